/** Logs, metrics and trace context. */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes, randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type pg from "pg";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Settings } from "./settings.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

export interface Trace {
  traceId: string;
  requestId: string;
  /** W3C `traceparent` for the requests that this one causes. */
  traceparent: string;
}

const current = new AsyncLocalStorage<Trace>();
let lowest = 1;

export function configureLog(settings: Pick<Settings, "logLevel">): void {
  lowest = ["DEBUG", "INFO", "WARNING", "ERROR"].indexOf(settings.logLevel);
}

/** Writes one line of JSON. Fields must not contain addresses, tokens, e-mail addresses or bodies. */
export function log(level: Level, event: string, fields: Record<string, unknown> = {}): void {
  if (LEVELS.indexOf(level) < lowest) return;
  const trace = current.getStore();
  const context = trace ? { request_id: trace.requestId, trace_id: trace.traceId } : {};
  const line = { event, ...context, ...fields, level: level === "warn" ? "warning" : level, timestamp: new Date().toISOString() };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Describes an error by type, code and stack: messages of database errors may quote the values of a row.
 * Better Auth's own are fixed sentences. */
export function describe(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const stack = error.stack?.split("\n").filter((line) => line.startsWith("    at ")).slice(0, 8);
  const message = error.name === "BetterAuthError" && { message: error.message };
  return { error: error.name, ...message, code: (error as NodeJS.ErrnoException).code, stack };
}

export function traceOf(traceparent: string | undefined): Trace {
  const [, id, flags] = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/.exec(traceparent ?? "") ?? [];
  const traceId = id ?? randomBytes(16).toString("hex");
  return {
    traceId,
    requestId: randomUUID(),
    traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-${flags ?? "00"}`,
  };
}

/** The metrics, under the names that the service uses. */
export class Metrics {
  readonly registry = new Registry();
  private readonly duration = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "Time from the headers of a request to its response.",
    labelNames: ["http_request_method", "http_route", "http_response_status_code"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
    registers: [this.registry],
  });
  private readonly active = new Gauge({
    name: "http_server_active_requests",
    help: "Requests in progress.",
    registers: [this.registry],
  });
  private readonly failures = new Counter({
    name: "db_client_connection_failures_total",
    help: "Database connections that could not be opened or that broke.",
    registers: [this.registry],
  });

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "app_build_info",
      help: "Always 1; the labels are the running versions.",
      labelNames: ["version", "node_version"],
      registers: [this.registry],
    }).set({ version, node_version: process.versions.node }, 1);
  }

  watch(pool: pg.Pool): void {
    new Gauge({
      name: "db_client_connection_count",
      help: "Open database connections, by state.",
      labelNames: ["db_client_connection_state"],
      registers: [this.registry],
      collect() {
        this.set({ db_client_connection_state: "idle" }, pool.idleCount);
        this.set({ db_client_connection_state: "used" }, pool.totalCount - pool.idleCount);
      },
    });
    new Gauge({
      name: "db_client_connection_max",
      help: "Maximum number of database connections.",
      registers: [this.registry],
    }).set(pool.options.max);
    pool.on("error", (error) => {
      this.connectionFailed();
      log("warn", "database connection lost", describe(error));
    });
  }

  connectionFailed(): void {
    this.failures.inc();
  }

  started(): void {
    this.active.inc();
  }

  ended(method: string, route: string, status: number, seconds: number): void {
    this.active.dec();
    this.duration.observe(
      { http_request_method: method, http_route: route, http_response_status_code: status },
      seconds,
    );
  }
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export interface Observed {
  Variables: { trace: Trace; route: string; user: string | undefined };
}

/** One access line, one observation and one trace context for each request; routes set `route`, never the path. */
export function observe(metrics: Metrics): MiddlewareHandler<Observed> {
  return async (c, next) => {
    const started = performance.now();
    const trace = traceOf(c.req.header("traceparent"));
    c.set("trace", trace);
    c.set("route", "unmatched");
    metrics.started();
    await current.run(trace, async () => {
      await next();
      c.header("X-Request-ID", trace.requestId);
      const seconds = (performance.now() - started) / 1000;
      const method = METHODS.has(c.req.method) ? c.req.method : "_OTHER";
      metrics.ended(method, c.get("route"), c.res.status, seconds);
      log("info", "request", {
        user: c.get("user"),
        route: c.get("route"),
        method,
        status: c.res.status,
        duration_ms: Math.round(seconds * 1e5) / 100,
      });
    });
  };
}
