/** Observable state and its hook. */
import { useEffect, useReducer } from "preact/hooks";

export class Store {
  private readonly listeners = new Set<() => void>();

  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  protected changed(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Renders the component again when the store changes. */
export function useStore<T extends Store>(store: T): T {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => store.subscribe(() => render(undefined)), [store]);
  return store;
}
