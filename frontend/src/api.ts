/** The client of the task service: token, trace context, errors. */
import createClient from "openapi-fetch";
import { AccountChanged, Problem, problemOf, SignedOut, Unreachable } from "./errors.ts";
import type { components, operations, paths } from "./task-service.d.ts";

export type Task = components["schemas"]["TaskResponse"];
export type TaskChange = components["schemas"]["TaskUpdate"];
export type NewTask = components["schemas"]["TaskCreate"];
export type TaskPage = components["schemas"]["TaskPage"];
export type ListQuery = NonNullable<operations["list_tasks"]["parameters"]["query"]>;

const TIMEOUT_MS = 30_000;

/** Fetches a token of the session's user.
 * @throws SignedOut, Unreachable, Problem */
export async function fetchToken(): Promise<string> {
  const response = await reach(fetch("/api/auth/token", { signal: AbortSignal.timeout(TIMEOUT_MS) }));
  if (response.status === 401) throw new SignedOut();
  if (!response.ok) throw await problemOf(response);
  return ((await response.json()) as { token: string }).token;
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
  const payload = token.split(".")[1] ?? "";
  const { exp, iat } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { exp: number; iat: number };
  const seconds = exp - iat;
  return (seconds - Math.min(60, seconds / 5)) * 1000;
}

export interface TaskApi {
  list(query: ListQuery, signal?: AbortSignal): Promise<TaskPage>;
  get(id: number): Promise<{ task: Task; etag: string }>;
  create(body: NewTask, idempotencyKey: string): Promise<Task>;
  update(id: number, changes: TaskChange, etag?: string): Promise<Task>;
  remove(id: number, keepalive?: boolean): Promise<void>;
}

/** Returns a client of this user's tasks. Its methods throw SignedOut, AccountChanged, Unreachable or Problem. */
export function taskApi(userId: string, tokens: Tokens, baseUrl = location.origin): TaskApi {
  const send = async (request: Request): Promise<Response> => {
    // The one in force now: a token fetched meanwhile must not be discarded for the failure of this one.
    const used = tokens.get();
    request.headers.set("Authorization", `Bearer ${await used}`);
    const response = await reach(fetch(request));
    if (response.status === 401) tokens.discard(used);
    return response;
  };
  const client = createClient<paths>({
    baseUrl,
    fetch: async (request) => {
      request.headers.set("traceparent", traceparent());
      const repeated = request.clone(); // a body can be read only once
      let response = await send(request);
      if (response.status === 401) response = await send(repeated);
      if (response.status === 401) throw new SignedOut();
      if (response.status === 403) throw new AccountChanged();
      if (!response.ok) throw await problemOf(response);
      return response;
    },
  });
  const user = { user_id: userId };
  const signal = (other?: AbortSignal) =>
    other ? AbortSignal.any([other, AbortSignal.timeout(TIMEOUT_MS)]) : AbortSignal.timeout(TIMEOUT_MS);
  return {
    async list(query, other) {
      const { data } = await client.GET("/api/{user_id}/tasks", { params: { path: user, query }, signal: signal(other) });
      return some(data);
    },
    async get(id) {
      const { data, response } = await client.GET("/api/{user_id}/tasks/{task_id}", {
        params: { path: { ...user, task_id: id } },
        signal: signal(),
      });
      // A proxy that compresses makes the tag weak (W/"v1"), which If-Match never matches.
      return { task: some(data), etag: (response.headers.get("ETag") ?? "").replace(/^W\//, "") };
    },
    async create(body, idempotencyKey) {
      const { data } = await client.POST("/api/{user_id}/tasks", {
        params: { path: user, header: { "Idempotency-Key": idempotencyKey } },
        body,
        signal: signal(),
      });
      return some(data);
    },
    async update(id, changes, etag) {
      const { data } = await client.PATCH("/api/{user_id}/tasks/{task_id}", {
        params: { path: { ...user, task_id: id }, header: etag ? { "If-Match": etag } : {} },
        body: changes,
        signal: signal(),
      });
      return some(data);
    },
    async remove(id, keepalive = false) {
      await client.DELETE("/api/{user_id}/tasks/{task_id}", {
        params: { path: { ...user, task_id: id } },
        keepalive,
        signal: signal(),
      });
    },
  };
}

/** Turns the browser's errors of the network, and time-outs, into Unreachable. */
export async function reach(response: Promise<Response>): Promise<Response> {
  try {
    return await response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable();
  }
}

function some<T>(data: T | undefined): T {
  if (data === undefined) throw new Problem(502, "The response has no body");
  return data;
}

/** W3C trace context of a new trace; the server decides whether it is recorded. */
function traceparent(): string {
  return `00-${hex(16)}-${hex(8)}-00`;
}

/** `crypto.randomUUID` is missing on plain HTTP other than localhost. */
export function hex(bytes: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
