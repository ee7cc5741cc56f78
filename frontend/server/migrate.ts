/** Creates and updates the tables of Better Auth. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseEnvelope, symmetricDecrypt, symmetricEncrypt } from "better-auth/crypto";
import { getMigrations } from "better-auth/db/migration";
import pg from "pg";
import { createAuth, createPool } from "./auth.ts";
import { describe, log } from "./observability.ts";
import type { Secret, Settings } from "./settings.ts";

/** Of the service's migrations (backend/db/migrations/env.py), so that both never change `users` at the same time. */
const LOCK_KEY = "7267118534120771001";
const LOCK_WAIT_SECONDS = 300;
/** A database that is installed at the same time needs a while. */
const CONNECT_WAIT_SECONDS = 120;
/** Errors of the network, and PostgreSQL's "the database system is starting up". */
const TRANSIENT = new Set(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "EAI_AGAIN", "ETIMEDOUT", "57P03"]);

/** Migrates the database. Concurrent calls are safe, and a repeated one has nothing to do. */
export async function migrate(settings: Settings): Promise<void> {
  const client = await connect(settings.migrationUrl);
  const pool = createPool(() => settings.migrationUrl, 1);
  try {
    await lock(client);
    const auth = createAuth(settings, pool);
    const { toBeCreated, toBeAdded, runMigrations } = await getMigrations(auth.options);
    await runMigrations();
    // The first key: replicas that start together would make one each.
    await auth.api.getJwks();
    const [newest] = settings.secrets ?? [];
    if (newest) await encryptKeys(client, (await auth.$context).secretConfig, newest);
    log("info", "migrated", { created: toBeCreated.map((each) => each.table), changed: toBeAdded.map((each) => each.table) });
  } finally {
    await pool.end();
    await client.end(); // releases the lock
  }
}

/** Encrypts the private keys with the newest secret, so that the earlier ones can be removed. */
async function encryptKeys(client: pg.Client, key: Parameters<typeof symmetricDecrypt>[0]["key"], newest: Secret): Promise<void> {
  const { rows } = await client.query<{ id: string; privateKey: string }>('SELECT id, "privateKey" FROM jwks');
  for (const row of rows) {
    const data = JSON.parse(row.privateKey) as string;
    const version = parseEnvelope(data)?.version;
    if (version === newest.version) continue;
    // Processes that know no versions read a key without one, as long as the secret is the same.
    if (version === undefined && (await symmetricDecrypt({ key: newest.value, data }).then(Boolean, () => false))) continue;
    const encrypted = await symmetricEncrypt({ key, data: await symmetricDecrypt({ key, data }) });
    await client.query('UPDATE jwks SET "privateKey" = $2 WHERE id = $1', [row.id, JSON.stringify(encrypted)]);
    log("info", "private key encrypted", { key_id: row.id, version: newest.version });
  }
}

async function connect(url: string): Promise<pg.Client> {
  const deadline = Date.now() + CONNECT_WAIT_SECONDS * 1000;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000 });
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (Date.now() > deadline || !TRANSIENT.has(String((error as NodeJS.ErrnoException).code))) throw error;
      log("warn", "the database does not respond", describe(error));
      await sleep(1000);
    }
  }
}

async function lock(client: pg.Client): Promise<void> {
  const deadline = Date.now() + LOCK_WAIT_SECONDS * 1000;
  // Poll: a blocking pg_advisory_lock keeps a snapshot that CREATE INDEX CONCURRENTLY waits for.
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1) AS locked", [LOCK_KEY]);
    if (rows[0]?.locked) return;
    if (Date.now() > deadline) throw new Error("another migration has not ended");
    await sleep(200);
  }
}
