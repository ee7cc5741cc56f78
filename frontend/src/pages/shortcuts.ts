/** Keys for those who do not use a mouse. */
import { useEffect } from "preact/hooks";
import type { TaskStore } from "../tasks.ts";

export const SHORTCUTS: readonly (readonly [string, string])[] = [
  ["n", "New task"],
  ["/", "Search"],
  ["j", "Next task"],
  ["k", "Previous task"],
  ["x", "Complete the task, or not"],
  ["e", "Edit the task"],
  ["Delete", "Delete the task"],
  ["z", "Undo"],
  ["?", "Show these keys"],
];

const SETTING = "single-key-shortcuts";

/** Single keys can be switched off (WCAG 2.1.4): speech input types them by accident. */
export function shortcutsEnabled(): boolean {
  return localStorage.getItem(SETTING) !== "off";
}

export function enableShortcuts(enabled: boolean): void {
  localStorage.setItem(SETTING, enabled ? "on" : "off");
}

/** Focuses a row, by key or by position, after the change of the list has been rendered. */
export function focusRow(row: string | number): void {
  setTimeout(() => focusTitle(row));
}

/** Focuses the title of a row; without such a row the field of new tasks. */
function focusTitle(row: string | number): void {
  const titles = [...document.querySelectorAll<HTMLElement>(".task .title")];
  const found = typeof row === "number" ? titles[row] : titles.find((each) => keyOf(each) === row);
  (found ?? document.getElementById("new-task"))?.focus();
}

/** Removes a row; the focus goes to the next one. */
export function remove(store: TaskStore, key: string): void {
  const keys = store.rows.map((row) => row.key);
  const index = keys.indexOf(key);
  store.remove(key);
  focusRow(keys[index + 1] ?? keys[index - 1] ?? -1);
}

/** Takes the last deletion back; the focus goes to its row. */
export function undo({ notice }: TaskStore): void {
  if (!notice?.undo) return;
  notice.undo();
  focusRow(notice.key ?? "");
}

/** Focuses the filter by status: what had the focus leaves with the filter that it removed. */
export function focusFilters(): void {
  document.querySelector<HTMLElement>(".statuses button")?.focus();
}

function keyOf(element: Element | null): string | undefined {
  return element?.closest<HTMLElement>("[data-key]")?.dataset["key"];
}

export function useShortcuts(store: TaskStore): void {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const target = event.target as Element;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (target.matches("input:not([type=checkbox]), textarea, select") || !shortcutsEnabled()) return;
      if (act(event.key, keyOf(target), store)) event.preventDefault();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [store]);
}

/** Returns whether the key has a meaning here. */
function act(key: string, current: string | undefined, store: TaskStore): boolean {
  const rows = store.rows;
  const index = rows.findIndex((row) => row.key === current);
  const row = rows[index];
  switch (key) {
    case "n":
      document.getElementById("new-task")?.focus();
      return true;
    case "/":
      document.getElementById("search")?.focus();
      return true;
    case "j":
      focusTitle(rows[Math.min(index + 1, rows.length - 1)]?.key ?? 0);
      return true;
    case "k":
      focusTitle(rows[Math.max(index - 1, 0)]?.key ?? 0);
      return true;
    case "z":
      undo(store);
      return true;
    case "?":
      document.querySelector("dialog")?.showModal();
      return true;
  }
  if (!row) return false;
  switch (key) {
    case "x":
      store.set(row.key, { completed: !row.task.completed });
      return true;
    case "e":
      store.open(row.key);
      return true;
    case "Delete":
      remove(store, row.key);
      return true;
    default:
      return false;
  }
}
