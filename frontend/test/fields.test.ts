import assert from "node:assert/strict";
import { test } from "node:test";
import { Problem, Unreachable } from "../src/errors.ts";
import { dueFields, dueOf, dueText, problemsOf, quoted, tagsOf } from "../src/fields.ts";

const now = new Date("2026-11-26T15:00:00");

const dates: [string, string, boolean][] = [
  ["2026-11-26", "Today", false],
  ["2026-11-27", "Tomorrow", false],
  ["2026-11-25", "Yesterday", true],
  ["2026-11-30", "Mon, Nov 30", false],
  ["2027-01-04", "Mon, Jan 4, 2027", false],
];
for (const [due, text, isOverdue] of dates) {
  test(`${due} is ${text}`, () => assert.deepEqual(dueText(due, now, "en-US"), { text, isOverdue }));
}

test("a date-time has passed at its instant, a date at the end of its day", () => {
  const passed = new Date("2026-11-26T14:59:00").toISOString();
  assert.equal(dueText(passed, now, "en-US").isOverdue, true);
  assert.match(dueText(passed, now, "en-US").text, /^Today, 2:59\sPM$/);
});

test("both fields of a date-time survive", () => {
  const due = dueOf("2026-12-01", "09:30");
  assert.match(due ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$/);
  assert.deepEqual(dueFields(due), { date: "2026-12-01", time: "09:30" });
});

test("a date stays a date, and no date is null", () => {
  assert.equal(dueOf("2026-12-01", ""), "2026-12-01");
  assert.deepEqual(dueFields("2026-12-01"), { date: "2026-12-01", time: "" });
  assert.equal(dueOf("", "09:30"), null);
  assert.deepEqual(dueFields(null), { date: "", time: "" });
});

test("tags are trimmed and unique ignoring case, in their order", () => {
  assert.deepEqual(tagsOf(" home, #Errands,HOME ,, two words "), ["home", "Errands", "two words"]);
});

test("too many or too long tags are left to the service, which says so", () => {
  assert.equal(tagsOf(Array.from({ length: 30 }, (_, index) => `t${index}`).join(",")).length, 30);
  assert.equal(tagsOf("x".repeat(60))[0]?.length, 60);
});

test("each error is the one of its field", () => {
  const errors = [
    { pointer: "/body/tags/3", detail: "must have 1 to 50 characters" },
    { pointer: "/body/tags/4", detail: "must have 1 to 50 characters" },
    { pointer: "/body/due", detail: "must exist" },
    { pointer: "/body/constructor", detail: "is not known" },
    { pointer: "", detail: "is odd" },
  ];
  assert.deepEqual(problemsOf(new Problem(422, "Invalid", errors)), { tags: "Tags must have 1 to 50 characters.", due: "Due must exist." });
});

test("what belongs to no field is one sentence", () => {
  assert.deepEqual(problemsOf(new Problem(415, "Unsupported Media Type")), { other: "Unsupported Media Type." });
  assert.match(problemsOf(new Unreachable()).other ?? "", /cannot be reached/);
});

test("a quoted text cannot reorder its surroundings", () => {
  assert.equal(quoted("\u202Eabc"), "“\u2068\u202Eabc\u2069”");
});
