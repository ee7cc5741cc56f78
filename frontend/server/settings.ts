/** The settings, from environment variables or from the files that `NAME_FILE` names. */
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";

export type Variables = Readonly<Record<string, string | undefined>>;

/** A setting that must be corrected; the message is one sentence for the operator. */
export class InvalidSetting extends Error {}

export interface Mail {
  url: string;
  from: string;
}

export interface Secret {
  version: number;
  value: string;
}

export interface Settings {
  environment: "development" | "production";
  host: string;
  port: number;
  opsPort: number;
  /** The origin that browsers see; issuer and audience of the tokens. */
  publicUrl: string;
  databaseUrl: string;
  /** A direct connection: an advisory lock belongs to a session, which a pooler does not keep. */
  migrationUrl: string;
  databasePoolSize: number;
  secret: string;
  /** Versioned secrets; the first one signs and encrypts, the others verify and decrypt. */
  secrets: Secret[] | undefined;
  /** Where /api is proxied to; undefined if the ingress routes it. */
  apiUrl: string | undefined;
  trustedProxies: BlockList;
  signUp: boolean;
  tokenSeconds: number;
  drainSeconds: number;
  gracefulSeconds: number;
  logLevel: "DEBUG" | "INFO" | "WARNING" | "ERROR";
  mail: Mail | undefined;
  /** Files that were read. */
  files: readonly string[];
}

const SECRET_MIN_LENGTH = 32;

/** Reads the settings.
 * @throws InvalidSetting for the first one that cannot work. */
export function readSettings(variables: Variables): Settings {
  const files: string[] = [];
  const read = (name: string): string | undefined => {
    const file = variables[`${name}_FILE`]?.trim();
    if (!file) return variables[name]?.trim() || undefined;
    files.push(file);
    try {
      return readFileSync(file, "utf8").trim() || undefined;
    } catch (error) {
      throw new InvalidSetting(`${name}_FILE: ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
    }
  };
  const required = (name: string, purpose: string): string => {
    const value = read(name);
    if (!value) throw new InvalidSetting(`${name} is not set: it is ${purpose}.`);
    return value;
  };
  const number = (name: string, fallback: number, min: number, max: number): number => {
    const text = read(name) ?? String(fallback);
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidSetting(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
    }
    return value;
  };
  const choice = <const T extends string>(name: string, choices: readonly T[], fallback: T): T => {
    const text = read(name) ?? fallback;
    const found = choices.find((each) => each === text);
    if (!found) throw new InvalidSetting(`${name} must be ${choices.join(" or ")}, not ${JSON.stringify(text)}.`);
    return found;
  };

  const publicUrl = origin("PUBLIC_URL", required("PUBLIC_URL", "the origin that browsers open, such as https://tasks.example.com"));
  const databaseUrl = postgresUrl("DATABASE_URL", required("DATABASE_URL", "the PostgreSQL URL of the users and sessions"));
  const migrationUrl = read("DATABASE_MIGRATION_URL");
  const secrets = readSecrets(read("BETTER_AUTH_SECRETS"));
  const secret =
    read("BETTER_AUTH_SECRET") ??
    secrets?.[0]?.value ??
    required("BETTER_AUTH_SECRET", `at least ${SECRET_MIN_LENGTH} random characters (openssl rand -hex 32)`);
  rejectShort("BETTER_AUTH_SECRET", secret);
  const apiUrl = read("API_URL");

  return {
    environment: choice("ENVIRONMENT", ["development", "production"], "production"),
    host: read("HOST") ?? "127.0.0.1",
    port: number("PORT", 3000, 0, 65535),
    opsPort: number("OPS_PORT", 9000, 0, 65535),
    publicUrl,
    databaseUrl,
    migrationUrl: migrationUrl ? postgresUrl("DATABASE_MIGRATION_URL", migrationUrl) : databaseUrl,
    databasePoolSize: number("DATABASE_POOL_MAX_SIZE", 4, 1, 100),
    secret,
    secrets,
    apiUrl: apiUrl && origin("API_URL", apiUrl),
    trustedProxies: networks("TRUSTED_PROXIES", read("TRUSTED_PROXIES") ?? ""),
    signUp: choice("SIGN_UP", ["on", "off"], "on") === "on",
    tokenSeconds: number("TOKEN_SECONDS", 300, 2, 3600),
    drainSeconds: number("DRAIN_SECONDS", 5, 0, 600),
    gracefulSeconds: number("GRACEFUL_TIMEOUT_SECONDS", 25, 1, 600),
    logLevel: choice("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], "INFO"),
    mail: readMail(read("SMTP_URL"), read("MAIL_FROM")),
    files,
  };
}

function origin(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && /^https?:$/.test(url.protocol) && url.pathname === "/" && !url.search && !url.hash && !url.username;
  if (!plain) throw new InvalidSetting(`${name} must be an origin such as https://tasks.example.com, without a path, not ${JSON.stringify(text)}.`);
  return url.origin;
}

function postgresUrl(name: string, text: string): string {
  // The value is not printed: it may contain a password.
  if (!/^postgres(ql)?:\/\//.test(text)) throw new InvalidSetting(`${name} must start with postgresql://.`);
  return text;
}

function rejectShort(name: string, secret: string): void {
  if (secret.length < SECRET_MIN_LENGTH) {
    throw new InvalidSetting(`${name} must have at least ${SECRET_MIN_LENGTH} characters, not ${secret.length}.`);
  }
}

function readSecrets(text: string | undefined): Settings["secrets"] {
  return text?.split(",").map((entry) => {
    const [, version, value] = /^\s*(\d+):(\S+)\s*$/.exec(entry) ?? [];
    if (!version || !value) throw new InvalidSetting("BETTER_AUTH_SECRETS must be versions and secrets, newest first, such as 2:new,1:old.");
    rejectShort("each secret of BETTER_AUTH_SECRETS", value);
    return { version: Number(version), value };
  });
}

function networks(name: string, text: string): BlockList {
  const list = new BlockList();
  for (const entry of text.replaceAll("*", "0.0.0.0/0,::/0").split(",").map((each) => each.trim()).filter(Boolean)) {
    const [address = "", prefix] = entry.split("/");
    const family = isIP(address);
    const bits = prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix);
    if (!family || !/^\d*$/.test(prefix ?? "") || bits > (family === 4 ? 32 : 128)) {
      throw new InvalidSetting(`${name} must be IP addresses and networks such as 10.0.0.0/8, not ${JSON.stringify(entry)}.`);
    }
    list.addSubnet(address, bits, family === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

function readMail(url: string | undefined, from: string | undefined): Mail | undefined {
  if (!url) return undefined;
  if (!/^smtps?:\/\//.test(url)) throw new InvalidSetting("SMTP_URL must start with smtp:// or smtps://.");
  if (!from) throw new InvalidSetting("MAIL_FROM is not set: it is the sender of the e-mails, which SMTP_URL needs.");
  return { url, from };
}
