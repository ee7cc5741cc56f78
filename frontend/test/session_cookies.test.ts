import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { signWithNewest } from "../server/session_cookies.ts";

const signed = (value: string, secret: string): string =>
  encodeURIComponent(`${value}.${createHmac("sha256", secret).update(value).digest("base64")}`);
const resign = (cookies: string): string => signWithNewest(cookies, "newest", ["earlier", "earliest"]);

test("a cookie of an earlier secret is signed with the newest one", () => {
  for (const secret of ["earlier", "earliest"]) {
    for (const name of ["better-auth.session_token", "__Secure-better-auth.session_token", "better-auth.dont_remember"]) {
      const cookies = `theme=dark; ${name}=${signed("a.b", secret)}; a=b`;
      assert.equal(resign(cookies), `theme=dark; ${name}=${signed("a.b", "newest")}; a=b`);
    }
  }
});

test("every other cookie stays as it is", () => {
  for (const cookies of [
    "",
    `better-auth.session_token=${signed("token", "newest")}`,
    `better-auth.session_token=${signed("token", "unknown")}`,
    `better-auth.session_token=${signed("token", "earlier").replace("token", "forged")}`,
    `other.session_token=${signed("token", "earlier")}`,
    `not-better-auth.session_token=${signed("token", "earlier")}`,
    "better-auth.session_token=",
    "better-auth.session_token=%",
    "better-auth.session_token=token.short",
    `better-auth.session_token=.${"A".repeat(43)}=`,
  ]) {
    assert.equal(resign(cookies), cookies);
  }
});
