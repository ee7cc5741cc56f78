/** Who is signed in: boot data, sign-up, sign-in, sign-out, account. */
import { reach, Tokens } from "./api.ts";
import { CookiesRejected, problemOf, SignedOut } from "./errors.ts";
import { Store } from "./store.ts";

export interface User {
  id: string;
  name: string;
  email: string;
  emailVerified: boolean;
}

export interface Boot {
  user?: User | null;
  token?: string;
  unavailable?: true;
  signUp: boolean;
  mail: boolean;
}

type Message = { kind: "signed-out" } | { kind: "signed-in"; userId: string };

const RETRY_MS = 3000;

export class Session extends Store {
  /** null: signed out. undefined: not known, the server cannot say at the moment. */
  user: User | null | undefined;
  /** Why the sign-in page shows. */
  reason: string | undefined;
  readonly features: Pick<Boot, "signUp" | "mail">;
  readonly tokens = new Tokens();
  /** Sign-out in one tab ends it in all of them at once. */
  private readonly channel = openChannel();
  /** Called before a sign-out drops the token. */
  leaving = () => {};

  constructor(boot: Boot) {
    super();
    this.features = boot;
    this.user = boot.user;
    if (boot.token) this.tokens.set(boot.token);
    if (boot.unavailable) this.askAgain();
    if (this.channel) {
      this.channel.onmessage = ({ data }: MessageEvent<Message>) => {
        if (data.kind === "signed-out") this.leave();
        else if (this.user && this.user.id !== data.userId) location.reload();
      };
    }
  }

  async signIn(email: string, password: string): Promise<void> {
    const { user } = (await post("sign-in/email", { email, password })) as { user: User };
    await this.enter(user);
  }

  async signUp(name: string, email: string, password: string): Promise<void> {
    const { user } = (await post("sign-up/email", { name, email, password })) as { user: User };
    await this.enter(user);
  }

  async signOut(): Promise<void> {
    await post("sign-out", {});
    this.channel?.postMessage({ kind: "signed-out" } satisfies Message);
    this.leave();
  }

  async changePassword(currentPassword: string, newPassword: string): Promise<void> {
    await post("change-password", { currentPassword, newPassword, revokeOtherSessions: true });
  }

  async deleteAccount(password: string): Promise<void> {
    await post("delete-user", { password });
    this.channel?.postMessage({ kind: "signed-out" } satisfies Message);
    this.leave("Your account and all its tasks are deleted.");
  }

  async requestPasswordReset(email: string): Promise<void> {
    await post("request-password-reset", { email });
  }

  async resetPassword(token: string, newPassword: string): Promise<void> {
    await post("reset-password", { token, newPassword });
  }

  async sendVerification(): Promise<void> {
    await post("send-verification-email", { email: this.user?.email, callbackURL: "/account" });
  }

  /** Shows the sign-in page. */
  leave(reason?: string): void {
    if (!reason) this.leaving();
    this.tokens.discard();
    this.user = null;
    this.reason = reason;
    this.changed();
  }

  private async enter(user: User): Promise<void> {
    this.tokens.discard();
    // Also shows whether the browser keeps the cookie of the session.
    await this.tokens.get().catch((error: unknown) => {
      throw error instanceof SignedOut ? new CookiesRejected() : error;
    });
    this.user = user;
    this.reason = undefined;
    this.channel?.postMessage({ kind: "signed-in", userId: user.id } satisfies Message);
    this.changed();
  }

  private askAgain(): void {
    setTimeout(async () => {
      try {
        const response = await reach(fetch("/api/auth/get-session"));
        if (!response.ok) throw await problemOf(response);
        this.user = ((await response.json()) as { user: User } | null)?.user ?? null;
        this.changed();
      } catch {
        this.askAgain();
      }
    }, RETRY_MS);
  }
}

function openChannel(): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel("session");
  } catch {
    return undefined; // Firefox with all cookies blocked; CookiesRejected explains it
  }
}

/** Returns the data that the server has put into the page. */
export function readBoot(): Boot {
  return JSON.parse(document.getElementById("boot")?.textContent ?? '{"user":null,"signUp":true,"mail":false}') as Boot;
}

async function post(endpoint: string, body: object): Promise<unknown> {
  const response = await reach(
    fetch(`/api/auth/${endpoint}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    }),
  );
  if (response.ok) return response.json();
  throw await problemOf(response);
}

