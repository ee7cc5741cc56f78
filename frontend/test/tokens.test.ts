import assert from "node:assert/strict";
import { test } from "node:test";
import { Tokens } from "../src/api.ts";

function token(seconds: number, name = ""): string {
  const payload = Buffer.from(JSON.stringify({ iat: 1_000_000, exp: 1_000_000 + seconds, name })).toString("base64url");
  return `header.${payload}.signature`;
}

function tokens(lifetimes: number[]) {
  const state = { now: 0, fetched: 0 };
  const store = new Tokens(
    async () => token(lifetimes[state.fetched] ?? 300, String(state.fetched++)),
    () => state.now,
  );
  return { state, store };
}

test("concurrent callers share one fetch", async () => {
  const { state, store } = tokens([300]);
  const [first, second] = await Promise.all([store.get(), store.get()]);
  assert.equal(first, second);
  assert.equal(state.fetched, 1);
});

test("a token is replaced 60 s before it expires, whatever the clock of the machine says", async () => {
  const { state, store } = tokens([300, 300]);
  await store.get();
  state.now = 239_000;
  await store.get();
  assert.equal(state.fetched, 1);
  state.now = 240_000;
  await store.get();
  assert.equal(state.fetched, 2);
});

test("a short token is used for four fifths of its lifetime", async () => {
  const { state, store } = tokens([5, 5]);
  await store.get();
  state.now = 3_999;
  await store.get();
  assert.equal(state.fetched, 1);
  state.now = 4_000;
  await store.get();
  assert.equal(state.fetched, 2);
});

test("a failed fetch is not kept", async () => {
  let count = 0;
  const store = new Tokens(
    async () => {
      if (count++ === 0) throw new Error("away");
      return token(300);
    },
    () => 0,
  );
  await assert.rejects(store.get());
  assert.equal(await store.get(), token(300));
});

test("discarding an old token keeps the one that replaced it", async () => {
  const { state, store } = tokens([300, 300]);
  const old = store.get();
  await old;
  store.discard(old);
  const next = store.get();
  await next;
  store.discard(old);
  assert.equal(await store.get(), await next);
  assert.equal(state.fetched, 2);
});
