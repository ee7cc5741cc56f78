/** Due date, priority and tags of a task, as people read and type them. */
import type { Task } from "./api.ts";

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

/** Returns the tags of a text such as "home, errands": trimmed, unique ignoring case, at most 20. */
export function tagsOf(text: string): string[] {
  const tags = new Map<string, string>();
  for (const tag of text.split(",").map((each) => each.normalize("NFC").trim().replace(/^#/, ""))) {
    if (tag && !tags.has(tag.toLowerCase())) tags.set(tag.toLowerCase(), tag.slice(0, 50));
  }
  return [...tags.values()].slice(0, 20);
}
