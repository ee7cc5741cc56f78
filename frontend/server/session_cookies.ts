/** Session cookies during a rotation of the secret: Better Auth verifies them with the newest secret only. */
import { createHmac, timingSafeEqual } from "node:crypto";

const COOKIE = /((?:^|;)\s*(?:__Secure-)?better-auth\.(?:session_token|dont_remember)=)([^;]*)/g;
const SIGNED = /^(.+)\.([A-Za-z0-9+/]{43}=)$/;

/** Replaces the signatures of earlier secrets by the newest one's; all other cookies stay as they are.
 *
 * @param cookies A `Cookie` header. */
export function signWithNewest(cookies: string, newest: string, earlier: readonly string[]): string {
  return cookies.replace(COOKIE, (cookie, name: string, text: string) => {
    const [, value, signature] = SIGNED.exec(decode(text)) ?? [];
    if (!value || !signature || !earlier.some((secret) => equal(sign(value, secret), signature))) return cookie;
    return name + encodeURIComponent(`${value}.${sign(value, newest)}`);
  });
}

function sign(value: string, secret: string): string {
  return createHmac("sha256", secret).update(value).digest("base64");
}

function equal(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(one), Buffer.from(other));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text;
  }
}
