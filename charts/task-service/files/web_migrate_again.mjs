// Migrates the embedded database whenever it is empty; its data is lost with its pod.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

process.once("SIGTERM", () => process.exit());
for (;;) {
  // The key set is a table: without it the response is 500. 503: the database does not respond, and may be empty later.
  const status = await fetch(`${process.argv[1]}/api/auth/jwks`).then((response) => response.status, () => 0);
  if (status >= 500) await once(spawn("node", ["dist/server/main.js", "migrate"], { stdio: "inherit" }), "close");
  await sleep(5000);
}
