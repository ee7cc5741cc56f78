/** The fields of a task, as people read and type them. */
import type { Task, TaskChange } from "./api.ts";
import { Problem, sentence } from "./errors.ts";

export type Priority = Task["priority"];

export const PRIORITIES = { none: "No priority", low: "Low", medium: "Medium", high: "High" } as const satisfies Record<Priority, string>;

const DAY_MS = 86_400_000;

/** Returns a due date as text such as "Tomorrow" or "Mon, 30 Nov, 09:00", and whether it has passed.
 * @param due A date, which applies wherever the reader is, or a date-time. */
export function dueText(due: string, now = new Date(), locale?: string): { text: string; isOverdue: boolean } {
  const isDate = !due.includes("T");
  // Without a time a string with a time is local, one without is UTC.
  const moment = new Date(isDate ? `${due}T00:00:00` : due);
  const days = Math.round((midnight(moment) - midnight(now)) / DAY_MS);
  const day =
    Math.abs(days) <= 1
      ? new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day")
      : new Intl.DateTimeFormat(locale, {
          weekday: "short",
          day: "numeric",
          month: "short",
          ...(moment.getFullYear() !== now.getFullYear() && { year: "numeric" }),
        }).format(moment);
  const time = isDate ? "" : `, ${new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(moment)}`;
  return { text: day.charAt(0).toUpperCase() + day.slice(1) + time, isOverdue: isDate ? days < 0 : moment < now };
}

function midnight(moment: Date): number {
  return new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
}

/** Splits a due date into the values of a date field and of a time field. */
export function dueFields(due: string | null): { date: string; time: string } {
  if (!due) return { date: "", time: "" };
  if (!due.includes("T")) return { date: due, time: "" };
  const moment = new Date(due);
  const two = (number: number) => String(number).padStart(2, "0");
  return {
    date: `${String(moment.getFullYear()).padStart(4, "0")}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`,
    time: `${two(moment.getHours())}:${two(moment.getMinutes())}`,
  };
}

/** Joins the values of both fields; a date-time is in UTC, in the service's format. */
export function dueOf(date: string, time: string): string | null {
  if (!date) return null;
  return time ? new Date(`${date}T${time}`).toISOString().replace(".000Z", "Z") : date;
}

/** Returns the tags of a text such as "home, errands": trimmed, unique ignoring case. */
export function tagsOf(text: string): string[] {
  const tags = new Map<string, string>();
  for (const tag of text.split(",").map((each) => each.normalize("NFC").trim().replace(/^#\s*/, ""))) {
    if (tag && !tags.has(tag.toLowerCase())) tags.set(tag.toLowerCase(), tag);
  }
  return [...tags.values()];
}

/** What the fields of the editor contain. */
export interface Text {
  title: string;
  description: string;
  due: string;
  time: string;
  priority: Priority;
  tags: string;
}

export const LABELS = {
  title: "Title",
  description: "Notes",
  due: "Due",
  time: "Time",
  priority: "Priority",
  tags: "Tags",
} as const satisfies Record<keyof Text, string>;

export function textOf(task: Task): Text {
  const { date, time } = dueFields(task.due);
  return {
    // As the browser's fields contain them.
    title: task.title.replace(/[\r\n]/g, ""),
    description: (task.description ?? "").replace(/\r\n?/g, "\n"),
    due: date,
    time,
    priority: task.priority,
    tags: task.tags.join(", "),
  };
}

/** Returns the fields that were edited. One that was not keeps what its text cannot express, such as the seconds of a due
 * date or the comma in a tag. */
export function changesOf(text: Text, before: Text): TaskChange {
  const edited = (field: keyof Text): boolean => text[field] !== before[field];
  return {
    ...(edited("title") && { title: text.title.trim() }),
    ...(edited("description") && { description: text.description.trim() || null }),
    ...((edited("due") || edited("time")) && { due: dueOf(text.due, text.time) }),
    ...(edited("priority") && { priority: text.priority }),
    ...(edited("tags") && { tags: tagsOf(text.tags) }),
  };
}

/** What is wrong with a task, by field; `other` belongs to none. */
export type Problems = Partial<Record<keyof Text | "other", string>>;

/** Returns what a rejection says of each field, from the JSON pointers of its errors. */
export function problemsOf(error: unknown): Problems {
  const problems: Problems = {};
  if (error instanceof Problem) {
    for (const { pointer, detail } of error.fields) {
      const field = pointer.split("/")[2] ?? "";
      if (!Object.hasOwn(LABELS, field)) continue;
      const name = field as keyof Text;
      problems[name] ??= `${LABELS[name]} ${detail.replace(/^(String|Value) /, "")}.`;
    }
  }
  if (Object.keys(problems).length === 0) problems.other = sentence(error);
  return problems;
}

/** Quotes a text of any direction: its characters do not reorder those around it (Unicode FSI and PDI). */
export function quoted(text: string): string {
  return `“\u2068${text}\u2069”`;
}
