/** Commands: `serve` (default) and `migrate`. */
import { watchFile } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { createApp } from "./app.ts";
import { createAuth, createPool } from "./auth.ts";
import { migrate } from "./migrate.ts";
import { configureLog, describe, log, Metrics } from "./observability.ts";
import { Page } from "./page.ts";
import { Readiness } from "./readiness.ts";
import { InvalidSetting, readSettings, type Settings } from "./settings.ts";

/** Longer than the 60 s for which ingress controllers keep a connection, else they reuse one that closes. */
const KEEP_ALIVE_MS = 75_000;
/** kubelet updates a mounted Secret within about a minute. */
const FILES_POLL_MS = 2000;
const VERSION = process.env["VERSION"] ?? "0.1.0";

async function serve(settings: Settings): Promise<void> {
  let current = settings;
  const metrics = new Metrics(VERSION);
  const pool = createPool(() => current.databaseUrl, settings.databasePoolSize, () => metrics.connectionFailed());
  metrics.watch(pool);
  const readiness = new Readiness(pool);
  const client = join(import.meta.dirname, "..", "client");
  const create = () => {
    const auth = createAuth(current, pool);
    const page = new Page(client, auth, { signUp: current.signUp, mail: current.mail !== undefined }, current.environment === "development");
    return createApp({ settings: current, auth, page, metrics, readiness, client });
  };
  let app = create();
  for (const file of settings.files) {
    // Polls: a mounted Secret is replaced by a symbolic link, which `watch` does not follow.
    watchFile(file, { interval: FILES_POLL_MS }, () => {
      try {
        current = readSettings(process.env);
        app = create();
        log("info", "settings read again", { file });
      } catch (error) {
        log("error", "settings not read again", { file, ...describe(error), message: (error as Error).message });
      }
    });
  }

  const server = createServer(
    { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: 15_000, requestTimeout: 60_000, maxHeaderSize: 16_384 },
    getRequestListener((request, bindings) => app.fetch(request, bindings)),
  );
  const ops = createServer((request, response) => void probe(request, response, metrics, readiness));
  await Promise.all([listen(server, settings.host, settings.port), listen(ops, settings.host, settings.opsPort)]);
  log("info", "serving", { port: port(server), ops_port: port(ops), public_url: settings.publicUrl });

  await new Promise((stop) => process.once("SIGTERM", stop).once("SIGINT", stop));
  readiness.draining = true;
  log("info", "draining", { seconds: settings.drainSeconds });
  // Load balancers stop sending requests to this process; it serves those that still arrive.
  await sleep(settings.drainSeconds * 1000);
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  await Promise.race([closed, sleep(settings.gracefulSeconds * 1000)]);
  server.closeAllConnections();
  ops.closeAllConnections();
  ops.close();
  await pool.end();
  log("info", "stopped");
  process.exit(0);
}

async function probe(request: IncomingMessage, response: ServerResponse, metrics: Metrics, readiness: Readiness): Promise<void> {
  const reply = (status: number, type: string, body: string): void => {
    response.writeHead(status, { "Content-Type": type }).end(body);
  };
  const json = (status: number, body: object): void => reply(status, "application/json", JSON.stringify(body));
  switch (request.url) {
    case "/livez":
      return json(200, { status: "ok" });
    case "/readyz": {
      const reason = await readiness.notReadyReason();
      return reason ? json(503, { status: "not ready", reason }) : json(200, { status: "ready" });
    }
    case "/metrics":
      return reply(200, metrics.registry.contentType, await metrics.registry.metrics());
    default:
      return json(404, { status: "not found" });
  }
}

function listen(server: Server, host: string, number: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new InvalidSetting(`port ${number} is in use: choose another one.`) : error),
    );
    server.listen(number, host, resolve);
  });
}

function port(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function main(): Promise<void> {
  const [command = "serve", ...rest] = process.argv.slice(2);
  if (!["serve", "migrate"].includes(command) || rest.length > 0) throw new InvalidSetting("usage: main.js [serve | migrate]");
  const settings = readSettings(process.env);
  configureLog(settings);
  await (command === "migrate" ? migrate(settings) : serve(settings));
}

main().catch((error: unknown) => {
  if (error instanceof InvalidSetting) process.stderr.write(`${error.message}\n`);
  else log("error", "stopped by an error", { ...describe(error), message: (error as Error).message });
  process.exit(error instanceof InvalidSetting ? 2 : 1);
});
