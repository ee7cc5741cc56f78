/** Both versions of a task that was changed here and elsewhere. */
import type { TaskChange } from "../api.ts";
import { dueText, PRIORITIES } from "../fields.ts";
import type { Conflict } from "../tasks.ts";

export function ConflictPanel({ conflict, resolve }: { conflict: Conflict; resolve: (winner: "mine" | "theirs") => void }) {
  return (
    <div class="conflict" role="group" aria-label="Changed elsewhere">
      <p>This task was changed elsewhere while you edited it. Choose the version to keep.</p>
      <div class="versions">
        <Version name="Your version" values={conflict.mine} keep="Keep yours" choose={() => resolve("mine")} />
        <Version
          name="The other version"
          values={Object.fromEntries(Object.keys(conflict.mine).map((field) => [field, conflict.theirs[field as keyof TaskChange]]))}
          keep="Keep the other"
          choose={() => resolve("theirs")}
        />
      </div>
    </div>
  );
}

function Version({ name, values, keep, choose }: { name: string; values: TaskChange; keep: string; choose: () => void }) {
  return (
    <div>
      <h2>{name}</h2>
      {values.title !== undefined && <p dir="auto">{values.title}</p>}
      {values.description !== undefined && <p dir="auto" class="notes">{values.description || "No notes"}</p>}
      {values.due !== undefined && <p>{values.due ? `Due ${dueText(values.due).text}` : "Not due"}</p>}
      {values.priority && <p>{PRIORITIES[values.priority]}</p>}
      {values.tags && <p>{values.tags.map((tag) => `#${tag}`).join(" ") || "No tags"}</p>}
      <button type="button" class="button" onClick={choose}>
        {keep}
      </button>
    </div>
  );
}
