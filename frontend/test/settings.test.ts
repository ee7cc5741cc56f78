import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InvalidSetting, readSettings } from "../server/settings.ts";

const valid = {
  PUBLIC_URL: "https://tasks.example.com/",
  DATABASE_URL: "postgresql://user:hidden-password@localhost/tasks",
  BETTER_AUTH_SECRET: "s".repeat(32),
};

test("defaults", () => {
  const settings = readSettings(valid);
  assert.equal(settings.publicUrl, "https://tasks.example.com");
  assert.equal(settings.migrationUrl, valid.DATABASE_URL);
  assert.equal(settings.port, 3000);
  assert.equal(settings.signUp, true);
  assert.equal(settings.mail, undefined);
  assert.equal(settings.secrets, undefined);
});

test("a file takes precedence, and its line end is ignored", () => {
  const file = join(mkdtempSync(join(tmpdir(), "settings-")), "secret");
  writeFileSync(file, `${"f".repeat(40)}\n`);
  assert.equal(readSettings({ ...valid, BETTER_AUTH_SECRET_FILE: file }).secret, "f".repeat(40));
});

test("the newest of several secrets is the secret", () => {
  const settings = readSettings({ ...valid, BETTER_AUTH_SECRET: "", BETTER_AUTH_SECRETS: `2:${"n".repeat(32)},1:${"o".repeat(32)}` });
  assert.equal(settings.secret, "n".repeat(32));
  assert.deepEqual(settings.secrets?.map(({ version }) => version), [2, 1]);
});

const invalid: [Record<string, string>, RegExp][] = [
  [{ PUBLIC_URL: "" }, /^PUBLIC_URL is not set/],
  [{ PUBLIC_URL: "tasks.example.com" }, /^PUBLIC_URL must be an origin/],
  [{ PUBLIC_URL: "https://tasks.example.com/app" }, /^PUBLIC_URL must be an origin/],
  [{ PUBLIC_URL: "ftp://tasks.example.com" }, /^PUBLIC_URL must be an origin/],
  [{ DATABASE_URL: "" }, /^DATABASE_URL is not set/],
  [{ DATABASE_URL: "mysql://user:hidden-password@db/tasks" }, /^DATABASE_URL must start with postgresql/],
  [{ DATABASE_MIGRATION_URL: "db:5432" }, /^DATABASE_MIGRATION_URL must start/],
  [{ BETTER_AUTH_SECRET: "" }, /^BETTER_AUTH_SECRET is not set/],
  [{ BETTER_AUTH_SECRET: "short" }, /^BETTER_AUTH_SECRET must have at least 32 characters, not 5/],
  [{ BETTER_AUTH_SECRET_FILE: "/does/not/exist" }, /^BETTER_AUTH_SECRET_FILE: .* \(ENOENT\)/],
  [{ BETTER_AUTH_SECRETS: "new" }, /^BETTER_AUTH_SECRETS must be versions/],
  [{ BETTER_AUTH_SECRETS: "1:short" }, /must have at least 32 characters/],
  [{ PORT: "65536" }, /^PORT must be a whole number from 0 to 65535/],
  [{ PORT: "3e3" }, /^PORT must be a whole number/],
  [{ DATABASE_POOL_MAX_SIZE: "0" }, /^DATABASE_POOL_MAX_SIZE must be/],
  [{ SIGN_UP: "yes" }, /^SIGN_UP must be on or off/],
  [{ LOG_LEVEL: "loud" }, /^LOG_LEVEL must be DEBUG or/],
  [{ TRUSTED_PROXIES: "10.0.0.0/33" }, /^TRUSTED_PROXIES must be IP addresses/],
  [{ TRUSTED_PROXIES: "ingress" }, /^TRUSTED_PROXIES must be IP addresses/],
  [{ API_URL: "http://api:8000/api" }, /^API_URL must be an origin/],
  [{ SMTP_URL: "mail.example.com", MAIL_FROM: "a@example.com" }, /^SMTP_URL must start with smtp/],
  [{ SMTP_URL: "smtp://mail.example.com" }, /^MAIL_FROM is not set/],
];

for (const [change, message] of invalid) {
  test(`${JSON.stringify(change)} is one sentence`, () => {
    assert.throws(
      () => readSettings({ ...valid, ...change }),
      (error: Error) => {
        assert.ok(error instanceof InvalidSetting);
        assert.match(error.message, message);
        assert.match(error.message, /\.$/);
        assert.doesNotMatch(error.message, /hidden-password/);
        return true;
      },
    );
  });
}
