/** Better Auth, with the settings that docs/frontend.md explains. */
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins/jwt";
import pg from "pg";
import { createMailer } from "./mailer.ts";
import { describe, log } from "./observability.ts";
import type { Settings } from "./settings.ts";

export const PASSWORD_MIN_LENGTH = 12;
/** Set by this server for each request, never by a client. */
export const CLIENT_ADDRESS_HEADER = "x-client-address";

/** The endpoints that the page uses; every other one is 404. */
export const ENDPOINTS: ReadonlySet<string> = new Set(
  [
    ...["sign-up/email", "sign-in/email", "sign-out", "get-session", "token", "jwks"],
    ...["update-user", "change-password", "delete-user"],
    ...["request-password-reset", "reset-password", "send-verification-email", "verify-email"],
  ].map((name) => `/api/auth/${name}`),
);

/** @param url Called for each new connection, so that a rotated password needs no restart.
 * @param failed Called for each connection that cannot be opened, for which the pool has no event. */
export function createPool(url: () => string, size: number, failed = () => {}): pg.Pool {
  class Client extends pg.Client {
    constructor(options?: pg.ClientConfig) {
      super({ ...options, connectionString: url() });
      let connected = false;
      this.once("connect", () => {
        connected = true;
      });
      this.once("end", () => {
        if (!connected) failed();
      });
    }
  }
  return new pg.Pool({
    Client,
    max: size,
    connectionTimeoutMillis: 3000,
    idleTimeoutMillis: 300_000,
    statement_timeout: 5000,
    keepAlive: true,
    application_name: "task-service-frontend",
  });
}

export function createAuth(settings: Settings, pool: pg.Pool) {
  const mailer = settings.mail && createMailer(settings.mail);
  return betterAuth({
    baseURL: settings.publicUrl,
    secret: settings.secret,
    ...(settings.secrets && { secrets: settings.secrets }),
    database: pool,
    // Shared with the service: tasks are deleted with the row of their user.
    user: { modelName: "users", deleteUser: { enabled: true } },
    emailAndPassword: {
      enabled: true,
      disableSignUp: !settings.signUp,
      minPasswordLength: PASSWORD_MIN_LENGTH,
      revokeSessionsOnPasswordReset: true,
      ...(mailer && {
        sendResetPassword: async ({ user, token }: { user: { email: string }; token: string }) =>
          mailer.send(
            user.email,
            "Reset your password",
            // In the fragment, which no server or proxy sees.
            `Choose a new password within an hour:\n\n${settings.publicUrl}/reset-password#token=${token}\n\n` +
              "If you did not ask for this, ignore this e-mail: your password stays as it is.\n",
          ),
      }),
    },
    ...(mailer && {
      emailVerification: {
        sendOnSignUp: true,
        sendVerificationEmail: async ({ user, url }: { user: { email: string }; url: string }) =>
          mailer.send(
            user.email,
            "Confirm your e-mail address",
            `Open this link to confirm the address of your account:\n\n${url}\n\n` +
              "If you have no account, ignore this e-mail.\n",
          ),
      },
    }),
    // In the database: several replicas share limits, sessions and keys.
    rateLimit: { enabled: true, storage: "database" },
    advanced: { ipAddress: { ipAddressHeaders: [CLIENT_ADDRESS_HEADER] } },
    // Unexpected errors are thrown to this server: the router would write them to the console, with the values of rows.
    onAPIError: { errorURL: "/", throw: true },
    plugins: [
      jwt({
        jwt: { definePayload: () => ({}), expirationTime: `${settings.tokenSeconds}s` },
        disableSettingJwtHeader: true,
      }),
    ],
    logger: {
      disableColors: true,
      // Only the first words: further arguments may contain e-mail addresses or rows.
      log: (level, message, ...details) =>
        log(level, "better-auth", { message, ...describe(details.find((each) => each instanceof Error)) }),
    },
    telemetry: { enabled: false },
  });
}

export type Auth = ReturnType<typeof createAuth>;
