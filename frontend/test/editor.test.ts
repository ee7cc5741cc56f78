import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, SignedOut } from "../src/errors.ts";
import { open, settle } from "./fakes.ts";

const invalid = (pointer: string, detail: string) => new Problem(422, "Unprocessable Content", [{ pointer, detail }]);

/** Opens the editor of a task and types. */
async function edited(title: string, typed: object, ...titles: string[]) {
  const opened = await open(title, ...titles);
  const { key } = opened.row(title);
  opened.store.open(key);
  const { editor } = opened.row(title);
  assert.ok(editor);
  Object.assign(editor.text, typed);
  return { ...opened, key, editor };
}

test("only what was edited is sent", async () => {
  const { service, store, key } = await edited("a", { title: "b", tags: "home, errands" });
  store.save(key);
  await settle();
  assert.deepEqual(service.sent, ["get 1", 'update 1 {"title":"b","tags":["home","errands"]}']);
});

test("an editor that is closed, or saved without an edit, sends nothing", async () => {
  const { service, store, key, row } = await edited("a", { title: "b" });
  store.close(key);
  store.open(key);
  assert.equal(row("a").editor?.text.title, "a");
  store.save(key);
  await settle();
  assert.equal(row("a").editor, undefined);
  assert.deepEqual(service.sent, []);
});

test("what the fields cannot express survives an edit of another one", async () => {
  const { service, store } = await open();
  const due = "2026-12-01T09:00:30.5Z";
  store.add({ title: "a", due, tags: ["one, two", "#three"], description: "x\r\ny" });
  await settle();
  const key = store.rows[0]?.key ?? "";
  store.open(key);
  Object.assign(store.rows[0]?.editor?.text ?? {}, { title: "b" });
  store.save(key);
  await settle();
  assert.equal(service.sent.at(-1), 'update 1 {"title":"b"}');
});

test("a rejected edit is rolled back and returns to its editor with what is wrong", async () => {
  const { service, store, key, row } = await edited("a", { title: "too long", tags: "x" });
  service.failures.push(undefined, invalid("/body/title", "String should have at most 7 characters"));
  store.save(key);
  await settle();
  const { task, editor } = row("a");
  assert.deepEqual(task.tags, []);
  assert.equal(editor?.text.title, "too long");
  assert.deepEqual(editor?.problems, { title: "Title should have at most 7 characters." });
  assert.equal(store.notice?.text, "Not saved. What to correct is marked.");
  assert.equal(store.hasUnsent, true);
  Object.assign(editor?.text ?? {}, { title: "short" });
  store.save(key);
  await settle();
  assert.equal(service.sent.at(-1), 'update 1 {"title":"short","tags":["x"]}');
  assert.equal(row("short").editor, undefined);
  assert.equal(store.hasUnsent, false);
});

test("a rejected create returns to an editor, and its correction is another request", async () => {
  const { service, store } = await open();
  service.failures.push(invalid("/body/tags/0", "must be short"));
  store.add({ title: "bad", tags: ["long"], priority: "high" });
  const key = store.rows[0]?.key ?? "";
  store.set(key, { completed: true });
  await settle();
  const editor = store.rows[0]?.editor;
  assert.deepEqual(editor?.problems, { tags: "Tags must be short." });
  assert.equal(editor?.text.tags, "long");
  Object.assign(editor?.text ?? {}, { tags: "s" });
  store.save(key);
  await settle();
  const [saved] = [...service.tasks.values()];
  assert.deepEqual([saved?.title, saved?.tags, saved?.priority, saved?.completed], ["bad", ["s"], "high", true]);
  assert.equal(store.rows.length, 1);
  assert.equal(store.rows[0]?.state, "saved");
});

test("a rejected create that is given up leaves", async () => {
  const { service, store } = await open();
  service.failures.push(invalid("/body/title", "must be short"));
  store.add({ title: "bad" });
  await settle();
  store.close(store.rows[0]?.key ?? "");
  assert.deepEqual(store.rows, []);
  assert.equal(store.hasUnsent, false);
});

test("a rejection without a field is shown above the fields", async () => {
  const { service, store, key, row } = await edited("a", { description: "x" });
  service.failures.push(undefined, new Problem(413, "Content Too Large"));
  store.save(key);
  await settle();
  assert.deepEqual(row("a").editor?.problems, { other: "That is too long to save." });
});

test("what is typed outlives another list and an expired session", async () => {
  const { service, store, row, titles } = await edited("a", { title: "typed" }, "b");
  await store.load({ search: "nothing" });
  assert.equal(row("a").editor?.text.title, "typed");
  assert.equal(store.hasUnsent, true);
  service.failures.push(new SignedOut());
  await store.load({});
  await store.load({});
  assert.equal(row("a").editor?.text.title, "typed");
  assert.deepEqual(titles(), ["b", "a"]);
});

test("both versions of a conflict outlive another list", async () => {
  const { service, store, key, row } = await edited("a", { due: "2026-12-01", tags: "mine" });
  service.change(1, { tags: ["theirs"] });
  store.save(key);
  await settle();
  service.tasks.delete(1); // no longer part of the list
  await store.load({ search: "x" });
  const { conflict } = row("a");
  assert.deepEqual(conflict?.mine, { due: "2026-12-01", tags: ["mine"] });
  assert.deepEqual(conflict?.theirs.tags, ["theirs"]);
  assert.equal(store.hasUnsent, true);
});

test("the same priority or tags on both sides are no conflict", async () => {
  const { service, store, key, row } = await edited("a", { priority: "high", tags: "home" });
  service.change(1, { priority: "high", tags: ["home"], due: "2026-12-01" });
  store.save(key);
  await settle();
  assert.equal(row("a").conflict, undefined);
  assert.equal(row("a").state, "saved");
  assert.equal(row("a").task.due, "2026-12-01");
});
