/** The routes and their headers. */
import { join } from "node:path";
import { getConnInfo } from "@hono/node-server/conninfo";
import { serveStatic } from "@hono/node-server/serve-static";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { proxy } from "hono/proxy";
import { secureHeaders } from "hono/secure-headers";
import { type Auth, CLIENT_ADDRESS_HEADER, ENDPOINTS } from "./auth.ts";
import { clientAddress } from "./client_address.ts";
import { describe, log, type Metrics, type Observed, observe } from "./observability.ts";
import type { Page } from "./page.ts";
import type { Readiness } from "./readiness.ts";
import { reloadEvents } from "./reload.ts";
import { signWithNewest } from "./session_cookies.ts";
import type { Settings } from "./settings.ts";

const PAGES = new Set(["/", "/sign-in", "/sign-up", "/account", "/forgot-password", "/reset-password"]);
const AUTH_BODY_BYTES = 64 * 1024;
const RETRY_AFTER_SECONDS = "5";
/** Ten times at most; src/main.tsx does the same without a style sheet. */
const RELOAD = `const reloads = history.state?.reloads ?? 0;
history.replaceState({ reloads: reloads + 1 }, "");
if (reloads < 10) setTimeout(() => location.reload(), 1000);
`;

export interface Parts {
  settings: Settings;
  auth: Auth;
  page: Page;
  metrics: Metrics;
  readiness: Readiness;
  /** Folder of the built client. */
  client: string;
}

export function createApp({ settings, auth, page, metrics, readiness, client }: Parts): Hono<Observed> {
  const app = new Hono<Observed>();
  app.use(observe(metrics));
  app.use(async (c, next) => {
    await next();
    // Clients with a kept connection move to another replica.
    if (readiness.draining) c.header("Connection", "close");
  });
  app.onError((error, c) => {
    log("error", "request failed", describe(error));
    return problem(c, 500, "Internal Server Error");
  });

  app.all("/api/*", async (c, next) => {
    if (c.req.path.startsWith("/api/auth/")) return next();
    if (!settings.apiUrl) return problem(c, 404, "Not Found");
    c.set("route", "/api/*");
    return forward(c, settings.apiUrl);
  });

  const [newest, ...earlier] = settings.secrets?.map(({ value }) => value) ?? [];
  if (newest) {
    app.use(async (c, next) => {
      const cookies = c.req.header("cookie");
      if (cookies) {
        const headers = new Headers(c.req.raw.headers);
        headers.set("cookie", signWithNewest(cookies, newest, earlier));
        c.req.raw = new Request(c.req.raw, { headers });
      }
      await next();
    });
  }
  app.use(pageHeaders(settings));
  app.use(
    "/assets/*",
    serveStatic({
      root: client,
      precompressed: true,
      onFound: (_path, c) => {
        c.header("Cache-Control", "public, max-age=31536000, immutable");
        (c as Context<Observed>).set("route", "/assets/*");
      },
    }),
  );
  app.get("/assets/*", (c) => {
    if (c.req.header("sec-fetch-dest") !== "script") return problem(c, 404, "Not Found");
    // During a rollout the page may be of another release than this process: its script loads the page again.
    c.header("Content-Type", "text/javascript");
    c.header("Cache-Control", "no-store");
    return c.body(RELOAD);
  });
  app.get(
    "/icon.svg",
    serveStatic({
      root: client,
      precompressed: true,
      onFound: (_path, c) => {
        c.header("Cache-Control", "public, max-age=86400");
        (c as Context<Observed>).set("route", "/icon.svg");
      },
    }),
  );

  if (settings.environment === "development") {
    app.get("/reload", (c) => {
      c.set("route", "/reload");
      return reloadEvents(c, join(client, "..", "watched"), readiness);
    });
  }

  app.on(
    ["GET", "POST"],
    "/api/auth/*",
    bodyLimit({ maxSize: AUTH_BODY_BYTES, onError: (c) => problem(c, 413, "Content Too Large") }),
    async (c) => {
      if (!ENDPOINTS.has(c.req.path)) return problem(c, 404, "Not Found");
      c.set("route", c.req.path);
      const request = new Request(c.req.raw);
      const peer = getConnInfo(c).remote.address ?? "";
      request.headers.set(CLIENT_ADDRESS_HEADER, clientAddress(peer, c.req.header("x-forwarded-for"), settings.trustedProxies));
      const response = await auth.handler(request).catch((error: unknown) => log("error", "better-auth failed", describe(error)));
      if (response && response.status < 500) return response;
      if (await readiness.databaseResponds()) return response ?? problem(c, 500, "Internal Server Error");
      c.header("Retry-After", RETRY_AFTER_SECONDS);
      return problem(c, 503, "Service Unavailable");
    },
  );

  app.get("*", async (c) => {
    const known = PAGES.has(c.req.path);
    if (known) c.set("route", c.req.path);
    const { html, headers, userId } = await page.render(c.req.raw.headers);
    c.set("user", userId);
    for (const cookie of headers.getSetCookie()) c.header("Set-Cookie", cookie, { append: true });
    c.header("Cache-Control", "no-store");
    return c.html(html, known ? 200 : 404);
  });
  app.all("*", (c) => problem(c, 405, "Method Not Allowed"));
  return app;
}

/** Sends a request to the API without the session's cookie, which the API must never see. */
async function forward(c: Context<Observed>, apiUrl: string): Promise<Response> {
  const { search, pathname } = new URL(c.req.url);
  const headers = { ...c.req.header(), cookie: undefined, host: undefined, traceparent: c.get("trace").traceparent };
  try {
    return await proxy(`${apiUrl}${pathname}${search}`, { raw: c.req.raw, headers, signal: c.req.raw.signal });
  } catch (error) {
    log("warn", "the API does not respond", describe(error));
    c.header("Retry-After", RETRY_AFTER_SECONDS);
    return problem(c, 503, "Service Unavailable");
  }
}

function problem(c: Context<Observed>, status: 404 | 405 | 413 | 500 | 503, title: string): Response {
  c.header("Content-Type", "application/problem+json");
  c.header("Cache-Control", "no-store");
  return c.body(JSON.stringify({ type: "about:blank", title, status, request_id: c.get("trace").requestId }), status);
}

function pageHeaders(settings: Settings) {
  return secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'", "data:"],
      connectSrc: ["'self'"],
      manifestSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'self'"],
      frameAncestors: ["'none'"],
      requireTrustedTypesFor: ["'script'"],
      trustedTypes: ["'none'"],
    },
    permissionsPolicy: { camera: [], geolocation: [], microphone: [] },
    // Only over HTTPS: on plain HTTP it would be ignored, and wrong where both are served.
    strictTransportSecurity: settings.publicUrl.startsWith("https:") ? "max-age=31536000" : false,
    xFrameOptions: "DENY",
  });
}
