/** In development: tells open pages that the client was built again. */
import { readFileSync } from "node:fs";
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import type { Readiness } from "./readiness.ts";

const POLL_MS = 100;

/** Sends the names of the built files at once, and again after each build.
 * @param file That `vite build --watch` writes after each build (vite.config.ts). */
export function reloadEvents(c: Context, file: string, readiness: Readiness): Response {
  return streamSSE(c, async (stream) => {
    for (let sent = ""; !stream.aborted && !readiness.draining; await stream.sleep(POLL_MS)) {
      const names = read(file);
      if (names !== sent) await stream.writeSSE({ data: names });
      sent = names;
    }
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // no build has ended yet
  }
}
