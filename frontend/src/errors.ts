/** What can go wrong between the page and its servers. */

/** The session has ended: sign in again. */
export class SignedOut extends Error {}

/** The browser does not keep the cookie of the session. */
export class CookiesRejected extends Error {}

/** The path names another user than the token: another tab has changed the account. */
export class AccountChanged extends Error {}

/** No response: no network, or a server that does not listen. */
export class Unreachable extends Error {}

export interface FieldError {
  /** JSON pointer, such as `/body/title`. */
  pointer: string;
  detail: string;
}

/** A response that is no success. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly fields: readonly FieldError[] = [],
    readonly retryAfterSeconds: number | undefined = undefined,
    /** Better Auth's code, such as INVALID_EMAIL_OR_PASSWORD. */
    readonly code: string | undefined = undefined,
  ) {
    super(`${status} ${title}`);
  }
}

/** 502 is an ingress that does not reach its server. */
const RETRYABLE = new Set([408, 409, 429, 502, 503, 504]);

/** Whether the same request may succeed later. */
export function isRetryable(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Problem && RETRYABLE.has(error.status));
}

/** Returns the problem that a response describes: RFC 9457 of the service, or Better Auth's code and message. */
export async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as {
    title?: string;
    message?: string;
    code?: string;
    errors?: FieldError[];
  };
  const retryAfter = Number(response.headers.get("Retry-After") ?? response.headers.get("X-Retry-After") ?? Number.NaN);
  return new Problem(
    response.status,
    body.title ?? body.message ?? response.statusText,
    body.errors ?? [],
    Number.isFinite(retryAfter) ? retryAfter : undefined,
    body.code,
  );
}

/** Returns one sentence for people. */
export function sentence(error: unknown): string {
  if (error instanceof Unreachable) return "The server cannot be reached. Check your connection.";
  if (error instanceof SignedOut) return "Your session has ended. Sign in again.";
  if (error instanceof CookiesRejected) return "Your browser rejects the cookie of this site. Allow its cookies and try again.";
  if (!(error instanceof Problem)) return "Something went wrong on this page. Reload it and try again.";
  switch (error.status) {
    case 429:
      return `Too many attempts. Try again in ${error.retryAfterSeconds ?? 10} seconds.`;
    case 502:
    case 503:
    case 504:
      return "The service is busy or being restarted.";
    case 413:
      return "That is too long to save.";
    default:
      return error.fields[0]?.detail ?? `${error.title}.`.replace(/([.!?])\.$/, "$1");
  }
}
