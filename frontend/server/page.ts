/** The page with the session's data, so that its first paint needs no request. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Auth } from "./auth.ts";
import { describe, log } from "./observability.ts";

export interface Boot {
  /** null: signed out. Absent while the database does not respond, which is no sign-out. */
  user?: { id: string; name: string; email: string; emailVerified: boolean } | null;
  /** A token for the API. */
  token?: string;
  unavailable?: true;
  signUp: boolean;
  mail: boolean;
}

const MARKER = "<!--boot-->";

export class Page {
  private template: readonly [string, string];

  /**
   * @param folder Of the built client.
   * @param rebuilt Whether the client is built again while the server runs. */
  constructor(
    private readonly folder: string,
    private readonly auth: Auth,
    private readonly features: Pick<Boot, "signUp" | "mail">,
    private readonly rebuilt: boolean,
  ) {
    this.template = this.read();
  }

  private read(): readonly [string, string] {
    const [before, after] = readFileSync(join(this.folder, "index.html"), "utf8").split(MARKER);
    if (before === undefined || after === undefined) throw new Error(`index.html has no ${MARKER}`);
    return [before, after];
  }

  /** Returns the page for a request, the headers that Better Auth adds to it, and the user's id. */
  async render(headers: Headers): Promise<{ html: string; headers: Headers; userId: string | undefined }> {
    const { boot, headers: added } = await this.boot(headers);
    // Data, not script: the policy of the page need not allow it. `<` could end the element.
    const data = JSON.stringify({ ...boot, ...this.features } satisfies Boot).replaceAll("<", "\\u003c");
    if (this.rebuilt) this.template = this.read();
    const [before, after] = this.template;
    const html = `${before}<script type="application/json" id="boot">${data}</script>${after}`;
    return { html, headers: added, userId: boot.user?.id };
  }

  private async boot(headers: Headers): Promise<{ boot: Omit<Boot, "signUp" | "mail">; headers: Headers }> {
    if (!headers.get("cookie")?.includes("better-auth.session_token=")) return { boot: { user: null }, headers: new Headers() };
    try {
      const session = await this.auth.api.getSession({ headers, returnHeaders: true });
      if (!session.response) return { boot: { user: null }, headers: session.headers };
      const { token } = await this.auth.api.getToken({ headers });
      const { id, name, email, emailVerified } = session.response.user;
      return { boot: { user: { id, name, email, emailVerified }, token }, headers: session.headers };
    } catch (error) {
      log("error", "session not read", describe(error));
      return { boot: { unavailable: true }, headers: new Headers() };
    }
  }
}
