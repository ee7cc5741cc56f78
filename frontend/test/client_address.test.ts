import assert from "node:assert/strict";
import { test } from "node:test";
import { clientAddress } from "../server/client_address.ts";
import { readSettings } from "../server/settings.ts";

const trusted = readSettings({
  PUBLIC_URL: "http://localhost:3000",
  DATABASE_URL: "postgresql://localhost/tasks",
  BETTER_AUTH_SECRET: "x".repeat(32),
  TRUSTED_PROXIES: "10.0.0.0/8, 192.0.2.7, fd00::/8",
}).trustedProxies;

const cases: [string, string, string | undefined, string][] = [
  ["without a proxy", "198.51.100.1", undefined, "198.51.100.1"],
  ["a forged header without a proxy", "198.51.100.1", "203.0.113.9", "198.51.100.1"],
  ["behind one proxy", "10.1.1.1", "198.51.100.1", "198.51.100.1"],
  ["behind two proxies", "10.1.1.1", "198.51.100.1, 192.0.2.7", "198.51.100.1"],
  ["a forged entry before the client", "10.1.1.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"],
  ["a client inside the trusted network", "10.1.1.1", "10.2.2.2", "10.2.2.2"],
  ["an IPv4 peer of an IPv6 socket", "::ffff:10.1.1.1", "198.51.100.1", "198.51.100.1"],
  ["an IPv6 proxy", "fd00::1", "2001:db8::5", "2001:db8::5"],
  ["an entry that is no address", "10.1.1.1", "unknown", "10.1.1.1"],
  ["an empty header", "10.1.1.1", " , ", "10.1.1.1"],
];

for (const [name, peer, header, expected] of cases) {
  test(name, () => assert.equal(clientAddress(peer, header, trusted), expected));
}
