/** The keys, in a dialog. */
import { useRef, useState } from "preact/hooks";
import { enableShortcuts, SHORTCUTS, shortcutsEnabled } from "./shortcuts.ts";

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [enabled, setEnabled] = useState(shortcutsEnabled);
  return (
    <>
      <button type="button" class="keys" aria-label="Keyboard shortcuts" onClick={() => dialog.current?.showModal()} />
      <dialog ref={dialog} aria-labelledby="keys-title">
        <h2 id="keys-title">Keyboard shortcuts</h2>
        <dl>
          {SHORTCUTS.map(([key, meaning]) => (
            <div>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <label class="switch">
          <input
            type="checkbox"
            checked={enabled}
            onChange={(event) => {
              enableShortcuts(event.currentTarget.checked);
              setEnabled(event.currentTarget.checked);
            }}
          />
          Use single-key shortcuts
        </label>
        <form method="dialog">
          <button type="submit" class="button primary">Close</button>
        </form>
      </dialog>
    </>
  );
}
