import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { fetchToken, taskApi, Tokens } from "../src/api.ts";
import { AccountChanged, isRetryable, Problem, SignedOut, sentence, Unreachable } from "../src/errors.ts";

const browserFetch = globalThis.fetch;

afterEach(() => {
  globalThis.fetch = browserFetch;
});

function token(sub: string): string {
  const payload = Buffer.from(JSON.stringify({ sub, iat: 0, exp: 300 })).toString("base64url");
  return `header.${payload}.signature`;
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), { status, headers });

/** Replaces `fetch`: each request gets the next response, or the error is thrown. */
function responses(...list: (Response | Error)[]) {
  const requests: { url: string; init: RequestInit | undefined }[] = [];
  globalThis.fetch = async (input, init) => {
    requests.push({ url: String(input), init });
    const next = list.shift();
    assert.ok(next, `unexpected request ${String(input)}`);
    if (next instanceof Error) throw next;
    return next;
  };
  return requests;
}

function client(sub = "ada") {
  const fetched = { count: 0 };
  const tokens = new Tokens(
    async () => {
      fetched.count++;
      return token(sub);
    },
    () => 0,
  );
  return { fetched, tokens, api: taskApi("ada", tokens, "http://tasks") };
}

test("a query is encoded, and its lists are repeated parameters", async () => {
  const requests = responses(json(200, { tasks: [], count: 0, next_cursor: null }));
  await client().api.list({ search: "a & b", tag: ["x", "y"], limit: 50 });
  assert.equal(requests[0]?.url, "http://tasks/api/ada/tasks?search=a+%26+b&tag=x&tag=y&limit=50");
});

test("a write has its key, its media type and a new trace", async () => {
  const requests = responses(json(201, { id: 1 }), json(200, { id: 1 }), new Response(null, { status: 204 }));
  const { api } = client();
  await api.create({ title: "a" }, "key");
  await api.update(1, { title: "b" }, '"v1"');
  await api.remove(1, true);
  const [create, update, remove] = requests.map(({ url, init }) => ({ url, ...init, headers: new Headers(init?.headers) }));
  assert.deepEqual([create?.method, create?.url, create?.body], ["POST", "http://tasks/api/ada/tasks", '{"title":"a"}']);
  assert.equal(create?.headers.get("Idempotency-Key"), "key");
  assert.equal(create?.headers.get("Content-Type"), "application/json");
  assert.equal(create?.headers.get("Authorization"), `Bearer ${token("ada")}`);
  assert.match(create?.headers.get("traceparent") ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.deepEqual([update?.method, update?.url, update?.headers.get("If-Match")], ["PATCH", "http://tasks/api/ada/tasks/1", '"v1"']);
  assert.deepEqual([remove?.method, remove?.keepalive], ["DELETE", true]);
});

test("a weak entity tag is used as a strong one", async () => {
  responses(json(200, { id: 1 }, { ETag: 'W/"v1"' }));
  assert.equal((await client().api.get(1)).etag, '"v1"');
});

test("after a 401 the request is repeated once, with the next token", async () => {
  responses(json(401, {}), json(201, { id: 1 }));
  const { api, fetched } = client();
  assert.equal((await api.create({ title: "a" }, "key")).id, 1);
  assert.equal(fetched.count, 2);
});

test("a second 401 is the end of the session", async () => {
  const requests = responses(json(401, {}), json(401, {}));
  await assert.rejects(client().api.get(1), SignedOut);
  assert.equal(requests.length, 2);
});

test("a 403 means another account only if the token names one", async () => {
  responses(json(403, { title: "Forbidden" }), json(403, { title: "Forbidden" }));
  await assert.rejects(client("bob").api.get(1), AccountChanged);
  await assert.rejects(client("ada").api.get(1), (error) => error instanceof Problem && error.status === 403);
});

test("a connection that breaks in the middle of the body is no rejection: the service may have written", async () => {
  const body = new ReadableStream({ pull: (controller) => controller.error(new TypeError("network error")) });
  responses(new Response(body, { status: 201 }));
  await assert.rejects(client().api.create({ title: "a" }, "key"), Unreachable);
});

test("no connection, a time-out and a page of a proxy are the same: the service was not reached", async () => {
  const timeout = new DOMException("", "TimeoutError");
  responses(new TypeError("Failed to fetch"), timeout, new Response("<html>", { status: 200 }));
  for (let count = 0; count < 3; count++) await assert.rejects(client().api.get(1), Unreachable);
});

test("an aborted list is no failure of the network", async () => {
  responses(new DOMException("", "AbortError"));
  await assert.rejects(client().api.list({}), { name: "AbortError" });
});

test("of the responses of /token only 401 is a sign-out", async () => {
  responses(json(401, {}), json(500, {}), json(404, {}), json(503, {}, { "Retry-After": "7" }), json(429, {}, { "X-Retry-After": "9" }), new TypeError());
  await assert.rejects(fetchToken(), SignedOut);
  await assert.rejects(fetchToken(), Unreachable);
  await assert.rejects(fetchToken(), Unreachable);
  await assert.rejects(fetchToken(), (error) => error instanceof Problem && error.retryAfterSeconds === 7);
  await assert.rejects(fetchToken(), (error) => error instanceof Problem && error.retryAfterSeconds === 9);
  await assert.rejects(fetchToken(), Unreachable);
});

test("what may succeed later, and what not", () => {
  for (const status of [408, 409, 429, 502, 503, 504]) assert.equal(isRetryable(new Problem(status, "")), true, String(status));
  for (const status of [400, 403, 404, 412, 413, 415, 422, 500]) assert.equal(isRetryable(new Problem(status, "")), false, String(status));
  assert.equal(isRetryable(new Unreachable()), true);
  assert.equal(isRetryable(new SignedOut()), false);
});

test("a limit says how long it lasts", () => {
  assert.equal(sentence(new Problem(429, "", [], 7)), "Too many attempts. Try again in 7 seconds.");
});
