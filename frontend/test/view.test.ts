import assert from "node:assert/strict";
import { test } from "node:test";
import { listQuery, readView, viewUrl } from "../src/view.ts";

test("a view survives its address", () => {
  const view = { status: "pending", search: "müsli & milk", sort: "title" } as const;
  assert.deepEqual(readView(new URL(viewUrl(view), "http://localhost").searchParams), view);
});

test("the default view has no query", () => {
  assert.equal(viewUrl({ status: "all", search: "", sort: "newest" }), "/");
  assert.deepEqual(listQuery({ status: "all", search: "  ", sort: "newest" }), {});
});

test("unknown values of an address are the defaults", () => {
  const view = readView(new URLSearchParams("status=constructor&sort=__proto__&q=x"));
  assert.deepEqual(view, { status: "all", search: "x", sort: "newest" });
});

test("a view becomes the parameters of the API", () => {
  assert.deepEqual(listQuery({ status: "completed", search: " milk ", sort: "changed" }), {
    status: "completed",
    search: "milk",
    sort: "updated_at",
    order: "desc",
  });
});
