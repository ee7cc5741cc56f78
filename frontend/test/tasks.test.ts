import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, SignedOut, Unreachable } from "../src/errors.ts";
import { UNDO_MS } from "../src/tasks.ts";
import { open, settle } from "./fakes.ts";

test("a new task shows before the response", async () => {
  const { store, row, titles } = await open("old");
  store.add({ title: "new" });
  assert.deepEqual(titles(), ["new", "old"]);
  assert.equal(row("new").state, "sending");
  await settle();
  assert.equal(row("new").state, "saved");
  assert.equal(row("new").task.id, 2);
});

test("a create whose response is lost is repeated with its key: one task", async () => {
  const { service, world, store, row } = await open();
  service.lost.push(new Unreachable());
  store.add({ title: "once" });
  await world.advance(1000);
  assert.equal(row("once").state, "saved");
  assert.deepEqual(service.sent, ["create once", "create once"]);
  assert.equal(service.tasks.size, 1);
});

test("after three failures a row offers to try again, and the key stays the same", async () => {
  const { service, world, store, row } = await open();
  service.lost.push(new Problem(503, "Busy"), new Problem(503, "Busy"), new Problem(503, "Busy"));
  store.add({ title: "once" });
  await world.advance(10_000);
  assert.equal(row("once").state, "failed");
  store.retry(row("once").key);
  await settle();
  assert.equal(row("once").state, "saved");
  assert.equal(service.tasks.size, 1);
});

test("Retry-After is obeyed", async () => {
  const { service, world, store } = await open();
  service.failures.push(new Problem(503, "Busy", [], 7));
  store.add({ title: "later" });
  await world.advance(6999);
  assert.equal(service.sent.length, 1);
  await world.advance(1);
  assert.equal(service.sent.length, 2);
});

test("a rejected change is rolled back", async () => {
  const { service, store, row } = await open("a");
  service.failures.push(new Problem(422, "Invalid"));
  store.set(row("a").key, { completed: true });
  assert.equal(row("a").task.completed, true);
  await settle();
  assert.equal(row("a").task.completed, false);
  assert.match(store.notice?.text ?? "", /^Not saved/);
});

test("completing sets a value: a repeat after a lost response does not flip it back", async () => {
  const { service, world, store, row } = await open("a");
  service.lost.push(new Problem(504, "Timeout"));
  store.set(row("a").key, { completed: true });
  await world.advance(1000);
  assert.equal(row("a").state, "saved");
  assert.equal(service.tasks.get(1)?.completed, true);
});

test("changes to one task are sent in order, and a waiting one takes further ones along", async () => {
  const { service, store, row } = await open("a");
  const { key } = row("a");
  store.set(key, { completed: true });
  store.set(key, { completed: false });
  store.set(key, { completed: true });
  await settle();
  assert.deepEqual(service.sent, ['update 1 {"completed":true}', 'update 1 {"completed":true}']);
  assert.equal(row("a").task.completed, true);
});

test("a task that is still being created takes its first change along", async () => {
  const { service, store, row } = await open();
  store.add({ title: "new" });
  store.set(row("new").key, { completed: true });
  await settle();
  assert.deepEqual(service.sent, ["create new", 'update 1 {"completed":true}']);
  assert.equal(row("new").task.completed, true);
});

test("a change of another field elsewhere is no conflict", async () => {
  const { service, store, row } = await open("a");
  service.change(1, { completed: true });
  store.edit(row("a").key, { title: "b" }, { title: "a" });
  await settle();
  assert.equal(row("b").conflict, undefined);
  assert.equal(row("b").task.completed, true);
});

test("a change of the same field elsewhere shows both versions and writes nothing", async () => {
  const { service, store, row } = await open("a");
  service.change(1, { title: "theirs" });
  store.edit(row("a").key, { title: "mine" }, { title: "a" });
  await settle();
  assert.equal(service.tasks.get(1)?.title, "theirs");
  const conflict = row("theirs").conflict;
  assert.equal(conflict?.mine.title, "mine");
  assert.equal(conflict?.theirs.title, "theirs");

  store.resolve(row("theirs").key, "mine");
  await settle();
  assert.equal(service.tasks.get(1)?.title, "mine");
  assert.equal(row("mine").conflict, undefined);
});

test("equal tags are no conflict, other tags are one", async () => {
  const { service, store, row } = await open("a");
  service.change(1, { tags: ["home"] });
  store.edit(row("a").key, { tags: ["home"], due: "2026-12-01" }, { tags: [], due: null });
  await settle();
  assert.equal(row("a").conflict, undefined);
  service.change(1, { tags: ["theirs"] });
  store.edit(row("a").key, { tags: ["mine"] }, { tags: ["home"] });
  await settle();
  assert.deepEqual(row("a").conflict?.theirs.tags, ["theirs"]);
});

test("theirs is kept without a request", async () => {
  const { service, store, row } = await open("a");
  service.change(1, { title: "theirs" });
  store.edit(row("a").key, { title: "mine" }, { title: "a" });
  await settle();
  service.sent.length = 0;
  store.resolve(row("theirs").key, "theirs");
  await settle();
  assert.equal(row("theirs").conflict, undefined);
  assert.deepEqual(service.sent, []);
});

test("a change between reading and writing is compared again", async () => {
  const { service, store, row } = await open("a");
  const get = service.get.bind(service);
  let once = true;
  service.get = async (id) => {
    const found = await get(id);
    if (once) service.change(id, { title: "theirs" });
    once = false;
    return found;
  };
  store.edit(row("a").key, { title: "mine" }, { title: "a" });
  await settle();
  assert.equal(row("theirs").conflict?.mine.title, "mine");
  assert.equal(service.tasks.get(1)?.title, "theirs");
});

test("an edit whose response is lost is no conflict with itself", async () => {
  const { service, world, store, row } = await open("a");
  service.lost.push(new Unreachable());
  store.edit(row("a").key, { title: "mine" }, { title: "a" });
  await world.advance(1000);
  assert.equal(row("mine").conflict, undefined);
  assert.equal(row("mine").state, "saved");
});

test("a deletion is sent when it can no longer be undone", async () => {
  const { service, world, store, row, titles } = await open("a", "b");
  store.remove(row("a").key);
  assert.deepEqual(titles(), ["b"]);
  await world.advance(UNDO_MS - 1);
  assert.deepEqual(service.sent, []);
  await world.advance(1);
  assert.deepEqual(service.sent, ["remove 1"]);
  assert.deepEqual(titles(), ["b"]);
});

test("undo returns the row to its position and sends nothing", async () => {
  const { service, world, store, row, titles } = await open("a", "b", "c");
  store.remove(row("b").key);
  store.notice?.undo?.();
  await world.advance(UNDO_MS);
  assert.deepEqual(titles(), ["c", "b", "a"]);
  assert.deepEqual(service.sent, []);
});

test("deletions that wait for an undo are sent when the page closes, once", async () => {
  const { service, world, store, row } = await open("a", "b");
  store.remove(row("a").key);
  store.remove(row("b").key);
  store.flush();
  await world.advance(UNDO_MS);
  assert.deepEqual(service.sent, ["remove 1", "remove 2"]);
});

test("deleting a task that is gone is a success", async () => {
  const { service, world, store, row, titles } = await open("a");
  service.tasks.delete(1);
  store.remove(row("a").key);
  await world.advance(UNDO_MS);
  assert.deepEqual(titles(), []);
});

test("a change of a task that was deleted elsewhere removes the row", async () => {
  const { service, store, row, titles } = await open("a");
  service.tasks.delete(1);
  store.set(row("a").key, { completed: true });
  await settle();
  assert.deepEqual(titles(), []);
  assert.match(store.notice?.text ?? "", /deleted elsewhere/);
});

test("offline additions wait and are sent later", async () => {
  const { service, world, store, row } = await open();
  world.online = false;
  service.failures.push(new Unreachable());
  store.add({ title: "offline" });
  await settle();
  assert.equal(row("offline").state, "waiting");
  assert.equal(store.hasUnsent, true);
  world.online = true;
  await store.resume();
  await settle();
  assert.equal(row("offline").state, "saved");
  assert.equal(store.hasUnsent, false);
});

test("an expired session keeps what was typed and sends it after the next sign-in", async () => {
  const { service, world, store, row } = await open();
  service.failures.push(new SignedOut());
  store.add({ title: "kept" });
  await settle();
  assert.equal(world.signOuts, 1);
  assert.equal(row("kept").state, "waiting");
  store.retryAll();
  await settle();
  assert.equal(row("kept").state, "saved");
});

test("a failed list is asked for again, later each time, and then sends what failed", async () => {
  const { service, world, store } = await open("a");
  service.failures.push(new Problem(503, "Busy"), new Problem(503, "Busy"));
  await store.load();
  assert.ok(store.failure);
  assert.equal(store.rows.length, 1);
  await world.advance(1000);
  assert.ok(store.failure);
  await world.advance(2000);
  assert.equal(store.failure, undefined);
});

test("pages follow each other without repeating a task", async () => {
  const { store } = await open(...Array.from({ length: 120 }, (_, index) => `task ${index}`));
  store.add({ title: "new" });
  await settle();
  while (store.hasMore) await store.more();
  const ids = store.rows.map((row) => row.task.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, 121);
});

test("a completed task stays for a moment in the list of pending ones", async () => {
  const { world, store, row, titles } = await open("a", "b");
  await store.load({ status: "pending" });
  store.set(row("a").key, { completed: true });
  await settle();
  assert.deepEqual(titles(), ["b", "a"]);
  await world.advance(700);
  assert.deepEqual(titles(), ["b"]);
});

test("an unchanged row keeps its identity, so that it is not rendered again", async () => {
  const { store, row } = await open("a", "b");
  const before = row("b");
  store.set(row("a").key, { completed: true });
  await settle();
  assert.equal(row("b"), before);
});

test("a list that is 30 s old is loaded again when the page is visible again", async () => {
  const { service, world, store } = await open("a");
  await world.advance(30_000);
  await store.resume();
  assert.deepEqual(service.sent, []);
  await world.advance(1);
  await store.resume();
  assert.deepEqual(service.sent, ['list {"limit":50}']);
});

test("a newer list aborts the older one, whose response is ignored", async () => {
  const { service, store, titles } = await open("a");
  const list = service.list.bind(service);
  const signals: (AbortSignal | undefined)[] = [];
  const held: (() => void)[] = [];
  service.list = async (query, signal) => {
    signals.push(signal);
    const page = await list(query);
    await new Promise<void>((resolve) => held.push(resolve));
    return query.search ? { ...page, tasks: [] } : page;
  };
  void store.load({ search: "old" });
  void store.load({});
  await settle();
  assert.deepEqual(signals.map((signal) => signal?.aborted), [true, false]);
  for (const release of held.reverse()) release();
  await settle();
  assert.deepEqual(titles(), ["a"]);
});

test("only what is asked for again says so", async () => {
  const { service, store } = await open("a");
  service.failures.push(new Problem(422, "Unprocessable Content"));
  await store.load();
  assert.equal(store.failure, "Unprocessable Content.");
  service.failures.push(new Problem(503, "Busy"));
  await store.load();
  assert.match(store.failure ?? "", /Trying again/);
});
