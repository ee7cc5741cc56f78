/** The fields of a task, in its row. */
import { useEffect, useRef } from "preact/hooks";
import type { Task, TaskChange } from "../api.ts";
import { dueFields, dueOf, PRIORITIES, type Priority, tagsOf } from "../fields.ts";
import { isSame, pick } from "../tasks.ts";

interface Props {
  task: Task;
  /** Closes the editor, with what has changed and the values before. */
  close: (changes?: TaskChange, from?: TaskChange) => void;
}

export function TaskEditor({ task, close }: Props) {
  const opened = useRef(task).current;
  const { date, time } = dueFields(opened.due);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const title = form.current?.elements.namedItem("title") as HTMLInputElement | null;
    title?.focus();
    title?.setSelectionRange(title.value.length, title.value.length);
  }, []);
  const save = (event: Event) => {
    event.preventDefault();
    const fields = new FormData(form.current ?? undefined);
    const title = String(fields.get("title")).trim();
    const description = String(fields.get("description")).trim().replaceAll("\r\n", "\n") || null;
    if (!title) return;
    const values: Required<Omit<TaskChange, "completed">> = {
      title,
      description,
      due: dueOf(String(fields.get("due")), String(fields.get("time"))),
      priority: String(fields.get("priority")) as Priority,
      tags: tagsOf(String(fields.get("tags"))),
    };
    const changed = Object.entries(values).filter(([field, value]) => !isSame(value, opened[field as keyof Task]));
    const changes = Object.fromEntries(changed) as TaskChange;
    const from = pick(opened, changes);
    if (changed.length > 0) close(changes, from);
    else close();
  };
  return (
    <form
      class="editor"
      ref={form}
      onSubmit={save}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(event);
      }}
    >
      <label class="sr-only" for="title">Title</label>
      <input id="title" name="title" defaultValue={task.title} required maxLength={200} dir="auto" autocomplete="off" />
      <label class="sr-only" for="description">Notes</label>
      <textarea id="description" name="description" rows={3} maxLength={10000} dir="auto" placeholder="Notes">
        {task.description ?? ""}
      </textarea>
      <div class="fields">
        <label>
          Due
          <input name="due" type="date" defaultValue={date} min="1970-01-01" max="9999-12-31" />
        </label>
        <label>
          Time
          <input name="time" type="time" defaultValue={time} />
        </label>
        <label>
          Priority
          <select name="priority" defaultValue={task.priority}>
            {Object.entries(PRIORITIES).map(([value, label]) => (
              <option value={value}>{label}</option>
            ))}
          </select>
        </label>
        <label class="wide">
          Tags
          <input name="tags" defaultValue={task.tags.join(", ")} placeholder="home, errands" autocomplete="off" />
        </label>
      </div>
      <div class="actions">
        <button type="submit" class="button primary">Save</button>
        <button type="button" class="button" onClick={() => close()}>Cancel</button>
      </div>
    </form>
  );
}
