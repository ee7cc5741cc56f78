/** One task of the list, and its editor in place. */
import type { Task } from "../api.ts";
import { dueText, PRIORITIES } from "../fields.ts";
import type { Row, TaskStore } from "../tasks.ts";
import type { View } from "../view.ts";
import { ConflictPanel } from "./ConflictPanel.tsx";
import { Guarded } from "./Guarded.ts";
import { focusRow, remove } from "./shortcuts.ts";
import { TaskEditor } from "./TaskEditor.tsx";

interface Props {
  row: Row;
  store: TaskStore;
  show: (change: Partial<View>) => void;
}

const STATES = { saved: "", sending: "Saving …", waiting: "Sent when you are online", failed: "Not saved" } as const;

/** Rendered again only when its own row changes: a list has hundreds. A row that cannot be shown leaves the others alone. */
export class TaskRow extends Guarded<Props> {
  override shouldComponentUpdate(next: Props, state: { broken: boolean }): boolean {
    return next.row !== this.props.row || state.broken !== this.state.broken;
  }

  override render(props: Props) {
    return this.state.broken ? <li class="task broken">This task cannot be shown.</li> : <Content {...props} />;
  }
}

function Content({ row, store, show }: Props) {
  const { task, key, editor } = row;
  const save = () => {
    store.save(key);
    focusRow(key);
  };
  const retry = () => {
    store.retry(key);
    focusRow(key);
  };
  const resolve = (winner: "mine" | "theirs") => {
    store.resolve(key, winner);
    focusRow(key);
  };
  const close = () => {
    store.close(key);
    focusRow(key);
  };
  return (
    <li class={task.completed ? "task completed" : "task"} data-key={key} data-state={row.state}>
      <input
        type="checkbox"
        aria-label={task.title}
        checked={task.completed}
        onChange={(event) => store.set(key, { completed: event.currentTarget.checked })}
      />
      {editor ? (
        <TaskEditor id={key} editor={editor} save={save} close={close} />
      ) : (
        <>
          <button type="button" class="title" dir="auto" onClick={() => store.open(key)}>
            {task.title}
            {task.description && <small dir="auto">{task.description.split("\n")[0]}</small>}
          </button>
          <button type="button" class="delete" aria-label={`Delete ${task.title}`} onClick={() => remove(store, key)} />
        </>
      )}
      {!editor && <Details task={task} show={show} />}
      {row.conflict && <ConflictPanel conflict={row.conflict} resolve={resolve} />}
      {row.state !== "saved" && (
        <p class="state">
          {STATES[row.state]}
          {row.state === "failed" && (
            <>
              . {row.problem}{" "}
              <button type="button" onClick={retry}>
                Try again
              </button>
            </>
          )}
        </p>
      )}
    </li>
  );
}

/** Due date, priority and tags; priority and tags are filters. */
function Details({ task, show }: { task: Task; show: Props["show"] }) {
  const { due, priority, tags } = task;
  if (!due && priority === "none" && tags.length === 0) return null;
  const when = due && dueText(due);
  return (
    <p class="details">
      {when && <time dateTime={due} class={when.isOverdue && !task.completed ? "overdue" : ""}>{when.text}</time>}
      {priority !== "none" && (
        <button
          type="button"
          class={`priority ${priority}`}
          aria-label={`${PRIORITIES[priority]} priority: show only these`}
          onClick={() => show({ priority })}
        >
          {PRIORITIES[priority]}
        </button>
      )}
      {tags.map((tag) => (
        <button type="button" dir="auto" onClick={() => show({ tag })}>
          #{tag}
        </button>
      ))}
    </p>
  );
}
