/** The fields of a task, in its row. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { LABELS, PRIORITIES, type Text } from "../fields.ts";
import type { Editor } from "../tasks.ts";

interface Props {
  /** Unique among the editors of the page. */
  id: string;
  editor: Editor;
  save: () => void;
  close: () => void;
}

export function TaskEditor({ id, editor, save, close }: Props) {
  const typed = useRef(editor.text).current;
  const form = useRef<HTMLFormElement>(null);
  const { problems } = editor;
  // Before the next key: it may be typed already.
  useLayoutEffect(() => {
    const title = control(form.current, "title");
    if (!problems) {
      title?.focus();
      title?.setSelectionRange(title.value.length, title.value.length);
    } else if (!isTyping(form.current)) {
      (form.current?.querySelector<HTMLElement>("[aria-invalid]") ?? title)?.focus();
    }
  }, [problems]);
  const field = (name: keyof Text) => ({
    id: `${id}-${name}`,
    name,
    ...(problems?.[name] && { "aria-invalid": true, "aria-describedby": `${id}-${name}-problem` }),
  });
  const around = (name: keyof Text) => ({ id: `${id}-${name}`, label: LABELS[name], problem: problems?.[name] });
  return (
    <form
      class="editor"
      ref={form}
      onInput={(event) => {
        const [due, time] = [control(event.currentTarget, "due"), control(event.currentTarget, "time")];
        if (due && time) {
          if (event.target === due && due.value === "" && !due.validity.badInput) time.value = ""; // cleared
          due.required = time.value !== ""; // a time alone is no date
        }
        editor.text = read(event.currentTarget);
      }}
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.currentTarget.requestSubmit();
      }}
    >
      {problems?.other && <p class="problem">{problems.other}</p>}
      <Labelled {...around("title")} hidden>
        <input {...field("title")} defaultValue={typed.title} required dir="auto" autocomplete="off" />
      </Labelled>
      <Labelled {...around("description")} hidden>
        <textarea {...field("description")} rows={3} dir="auto" placeholder="Notes" defaultValue={typed.description} />
      </Labelled>
      <div class="fields">
        <Labelled {...around("due")}>
          <input {...field("due")} type="date" defaultValue={typed.due} min="1970-01-01" max="9999-12-31" />
        </Labelled>
        <Labelled {...around("time")}>
          <input {...field("time")} type="time" defaultValue={typed.time} />
        </Labelled>
        <Labelled {...around("priority")}>
          <select {...field("priority")}>
            {Object.entries(PRIORITIES).map(([value, label]) => (
              <option value={value} selected={value === typed.priority}>{label}</option>
            ))}
          </select>
        </Labelled>
      </div>
      <Labelled {...around("tags")}>
        <input {...field("tags")} defaultValue={typed.tags} dir="auto" placeholder="home, errands" autocomplete="off" />
      </Labelled>
      <div class="actions">
        <button type="submit" class="button primary">Save</button>
        <button type="button" class="button" onClick={close}>Cancel</button>
      </div>
    </form>
  );
}

interface LabelledProps {
  id: string;
  label: string;
  problem: string | undefined;
  /** Whether only assistive technology gets the label. */
  hidden?: boolean;
  children: ComponentChildren;
}

function Labelled({ id, label, problem, hidden, children }: LabelledProps) {
  return (
    <div>
      <label for={id} class={hidden ? "sr-only" : "hint"}>
        {label}
      </label>
      {children}
      {problem && (
        <p class="problem" id={`${id}-problem`}>
          {problem}
        </p>
      )}
    </div>
  );
}

function control(form: HTMLFormElement | null, name: keyof Text): HTMLInputElement | null {
  return (form?.elements.namedItem(name) ?? null) as HTMLInputElement | null;
}

function read(form: HTMLFormElement): Text {
  const text = Object.fromEntries(new FormData(form)) as unknown as Text;
  return { ...text, description: text.description.replaceAll("\r\n", "\n") };
}

/** Whether someone types into a field outside of this form, which must keep the focus. */
function isTyping(form: HTMLFormElement | null): boolean {
  const focused = document.activeElement;
  return !!focused?.matches("input:not([type=checkbox]), textarea") && !form?.contains(focused) && (focused as HTMLInputElement).value !== "";
}
