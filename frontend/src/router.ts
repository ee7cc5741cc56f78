/** The address of the page: its path selects the page, its query the list (view.ts). */
import { Store } from "./store.ts";

class Router extends Store {
  path = location.pathname;
  query = new URLSearchParams(location.search);

  constructor() {
    super();
    addEventListener("popstate", () => this.read());
  }

  /** Goes to a path with an optional query; `replace` adds no entry to the history. */
  go(url: string, replace = false): void {
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    this.read();
  }

  private read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
    this.changed();
  }
}

export const router = new Router();
