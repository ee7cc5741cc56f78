// A frontend's Better Auth, as its documentation sets it up: e-mail and password, the jwt plugin. It signs more
// with the same keys: the links of its e-mails (GET /mailed?to=… gives the last one's token), a cached session.
// From the environment: PORT, SECRET, DATABASE (node-pg's settings as JSON), ALGORITHM (HS256 or one of
// the plugin's), ROTATION_SECONDS (0: never), SCHEMA (JSON: names of tables and columns, and kinds of ids, of Better
// Auth's options `user`, `session`, `account`, `verification` and `advanced`).
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer, jwt } from "better-auth/plugins";
import { SignJWT } from "jose";
import pg from "pg";

const { PORT, SECRET, DATABASE, ALGORITHM, ROTATION_SECONDS, SCHEMA } = process.env;
const schema = JSON.parse(SCHEMA);
const baseURL = `http://127.0.0.1:${PORT}`;
const secret = new TextEncoder().encode(SECRET);

const sharedSecret = {
  // The plugin has no HS256: a signing function is its way out, and asks for a remote key set.
  jwks: { remoteUrl: `${baseURL}/unused`, keyPairConfig: { alg: "ES256" } },
  jwt: { sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: "JWT" }).sign(secret) },
};
const keySet = {
  sessionCookieCache: true,
  jwks: {
    keyPairConfig: { alg: ALGORITHM },
    ...(Number(ROTATION_SECONDS) ? { rotationInterval: Number(ROTATION_SECONDS), gracePeriod: 3600 } : {}),
  },
};

const mailed = new Map();

const auth = betterAuth({
  baseURL,
  secret: SECRET,
  database: new pg.Pool({ ...JSON.parse(DATABASE), max: 4 }),
  emailAndPassword: { enabled: true },
  emailVerification: { sendOnSignUp: true, sendVerificationEmail: async ({ user, token }) => mailed.set(user.email, token) },
  ...schema,
  session: { cookieCache: { enabled: true, strategy: "jwt" }, ...schema.session },
  user: { modelName: "users", deleteUser: { enabled: true }, ...schema.user },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  plugins: [jwt(ALGORITHM === "HS256" ? sharedSecret : keySet), bearer()],
});

await (await getMigrations(auth.options)).runMigrations();
const handler = toNodeHandler(auth);
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, baseURL);
  if (pathname !== "/mailed") return handler(request, response);
  response.end(mailed.get(searchParams.get("to")));
}).listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0)); // ends with the test, however that ends
