import assert from "node:assert/strict";
import { test } from "node:test";
import { listQuery, readView, viewUrl } from "../src/view.ts";

test("a view survives its address", () => {
  const view = { status: "pending", search: "müsli & milk", sort: "title", tag: "two words", priority: "high" } as const;
  assert.deepEqual(readView(new URL(viewUrl(view), "http://localhost").searchParams), view);
});

test("the default view has no query", () => {
  assert.equal(viewUrl({ status: "all", search: "", sort: "newest", tag: "", priority: undefined }), "/");
  assert.deepEqual(listQuery({ status: "all", search: "  ", sort: "newest", tag: "", priority: undefined }), {});
});

test("unknown values of an address are the defaults", () => {
  const view = readView(new URLSearchParams("status=constructor&sort=__proto__&priority=toString&q=x"));
  assert.deepEqual(view, { status: "all", search: "x", sort: "newest", tag: "", priority: undefined });
});

test("a view becomes the parameters of the API", () => {
  assert.deepEqual(listQuery({ status: "completed", search: " milk ", sort: "changed", tag: "home", priority: "low" }), {
    status: "completed",
    search: "milk",
    sort: "updated_at",
    order: "desc",
    tag: ["home"],
    priority: ["low"],
  });
});
