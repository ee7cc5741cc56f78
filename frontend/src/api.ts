/** The client of the task service: token, trace context, errors. */
import { AccountChanged, isRetryable, problemOf, SignedOut, Unreachable } from "./errors.ts";
import type { components, operations, paths } from "./task-service.d.ts";

export type Task = components["schemas"]["TaskResponse"];
export type TaskChange = components["schemas"]["TaskUpdate"];
export type NewTask = components["schemas"]["TaskCreate"];
export type TaskPage = components["schemas"]["TaskPage"];
export type ListQuery = NonNullable<operations["list_tasks"]["parameters"]["query"]>;

const TIMEOUT_MS = 30_000;
const TASKS = "/api/{user_id}/tasks" satisfies keyof paths;
const TASK = "/api/{user_id}/tasks/{task_id}" satisfies keyof paths;

/** Fetches a token of the session's user.
 * @throws SignedOut, or an error after which the same request may succeed: only 401 says that the session has ended. */
export async function fetchToken(): Promise<string> {
  const response = await reach(fetch("/api/auth/token", { signal: AbortSignal.timeout(TIMEOUT_MS) }));
  if (response.ok) return ((await reach(response.json())) as { token: string }).token;
  if (response.status === 401) throw new SignedOut();
  const problem = await problemOf(response);
  throw isRetryable(problem) ? problem : new Unreachable();
}

/** Keeps one token in memory and fetches the next one before it expires, once for all callers. */
export class Tokens {
  private current: Promise<string> | undefined;
  private goodUntil = 0;

  constructor(
    private readonly fetchNext: () => Promise<string> = fetchToken,
    private readonly now: () => number = () => performance.now(),
  ) {}

  set(token: string): void {
    this.current = Promise.resolve(token);
    this.goodUntil = this.now() + usableMs(token);
  }

  get(): Promise<string> {
    if (this.current && this.now() < this.goodUntil) return this.current;
    const next = this.fetchNext();
    this.current = next;
    this.goodUntil = Number.POSITIVE_INFINITY;
    next.then(
      (token) => {
        if (this.current === next) this.goodUntil = this.now() + usableMs(token);
      },
      () => this.discard(next),
    );
    return next;
  }

  /** Drops the token if it is still the current one: another call may have fetched a new one already. */
  discard(used: Promise<string> | undefined = this.current): void {
    if (this.current === used) this.current = undefined;
  }
}

/** By the token's lifetime from now on: the clock of this machine may be wrong. */
function usableMs(token: string): number {
  const { exp, iat } = claims(token);
  const seconds = exp - iat;
  return (seconds - Math.min(60, seconds / 5)) * 1000;
}

function claims(token: string): { sub: string; exp: number; iat: number } {
  const payload = token.split(".")[1] ?? "";
  return JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub: string; exp: number; iat: number };
}

export interface TaskApi {
  list(query: ListQuery, signal?: AbortSignal): Promise<TaskPage>;
  get(id: number): Promise<{ task: Task; etag: string }>;
  create(body: NewTask, idempotencyKey: string): Promise<Task>;
  update(id: number, changes: TaskChange, etag?: string): Promise<Task>;
  remove(id: number, keepalive?: boolean): Promise<void>;
}

interface Options {
  query?: ListQuery;
  body?: NewTask | TaskChange;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  keepalive?: boolean;
}

/** Returns a client of this user's tasks. Its methods throw SignedOut, AccountChanged, Unreachable or Problem. */
export function taskApi(userId: string, tokens: Tokens, baseUrl = location.origin): TaskApi {
  /** Sends a request, and once more with the next token after a 401. */
  const send = async (method: string, path: string, { query = {}, body, headers, signal, keepalive = false }: Options) => {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const request: RequestInit = {
      method,
      keepalive,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(body && { body: JSON.stringify(body) }),
    };
    const attempt = async (): Promise<Response> => {
      // The one in force now: a token fetched meanwhile must not be discarded for the failure of this one.
      const used = tokens.get();
      const token = await used;
      const authorization = { Authorization: `Bearer ${token}`, traceparent: traceparent() };
      const response = await fetch(address(path, query), {
        ...request,
        headers: { ...(body && { "Content-Type": "application/json" }), ...authorization, ...headers },
      });
      if (response.status === 401) tokens.discard(used);
      if (response.status === 403 && claims(token).sub !== userId) throw new AccountChanged();
      return response;
    };
    let response = await attempt();
    if (response.status === 401) response = await attempt();
    if (response.status === 401) throw new SignedOut();
    if (!response.ok) throw await problemOf(response);
    // A proxy that compresses makes the tag weak (W/"v1"), which If-Match never matches.
    const etag = (response.headers.get("ETag") ?? "").replace(/^W\//, "");
    return { data: response.status === 204 ? undefined : ((await response.json()) as unknown), etag };
  };
  const address = (path: string, query: ListQuery): string => {
    const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => [name, String(each)]));
    return `${baseUrl}${path.replace("{user_id}", encodeURIComponent(userId))}${pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ""}`;
  };
  const one = (id: number): string => TASK.replace("{task_id}", String(id));
  return {
    async list(query, signal) {
      return (await reach(send("GET", TASKS, { query, signal }))).data as TaskPage;
    },
    async get(id) {
      const { data, etag } = await reach(send("GET", one(id), {}));
      return { task: data as Task, etag };
    },
    async create(body, idempotencyKey) {
      return (await reach(send("POST", TASKS, { body, headers: { "Idempotency-Key": idempotencyKey } }))).data as Task;
    },
    async update(id, body, etag) {
      return (await reach(send("PATCH", one(id), { body, headers: etag ? { "If-Match": etag } : {} }))).data as Task;
    },
    async remove(id, keepalive = false) {
      await reach(send("DELETE", one(id), { keepalive }));
    },
  };
}

/** Turns what the browser throws without a whole response into Unreachable: no connection, a broken one, a time-out, or a
 * body that is no JSON, which something between page and server has sent. */
export async function reach<T>(response: Promise<T>): Promise<T> {
  try {
    return await response;
  } catch (error) {
    const isBroken = error instanceof DOMException ? error.name !== "AbortError" : error instanceof TypeError || error instanceof SyntaxError;
    throw isBroken ? new Unreachable() : error;
  }
}

/** W3C trace context of a new trace; the server decides whether it is recorded. */
function traceparent(): string {
  return `00-${hex(16)}-${hex(8)}-00`;
}

/** `crypto.randomUUID` is missing on plain HTTP other than localhost. */
export function hex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
