/** Title and notes of a task, in its row. */
import { useEffect, useRef } from "preact/hooks";
import type { Task, TaskChange } from "../api.ts";

interface Props {
  task: Task;
  /** Closes the editor, with what has changed and the values before. */
  close: (changes?: TaskChange, from?: TaskChange) => void;
}

export function TaskEditor({ task, close }: Props) {
  const opened = useRef(task).current;
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
    const changes: TaskChange = {};
    const from: TaskChange = {};
    if (title !== opened.title) {
      changes.title = title;
      from.title = opened.title;
    }
    if (description !== opened.description) {
      changes.description = description;
      from.description = opened.description;
    }
    if (Object.keys(changes).length > 0) close(changes, from);
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
      <div class="actions">
        <button type="submit" class="button primary">Save</button>
        <button type="button" class="button" onClick={() => close()}>Cancel</button>
      </div>
    </form>
  );
}
