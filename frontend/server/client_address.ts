/** The address of the client, which the rate limits count by. */
import { type BlockList, isIP } from "node:net";

/** Returns the address of the client.
 *
 * `X-Forwarded-For` is read from its end, as far as each hop is a trusted proxy: a client can write the start of the
 * header, never the entry that a trusted proxy has appended.
 * @param peer The address of the socket.
 * @param forwardedFor The header `X-Forwarded-For`. */
export function clientAddress(peer: string, forwardedFor: string | undefined, trusted: BlockList): string {
  const chain = [...(forwardedFor ?? "").split(",").map((each) => each.trim()).filter(Boolean), plain(peer)];
  let client = chain.pop() ?? "";
  while (isTrusted(client, trusted)) {
    const before = chain.pop();
    if (before === undefined || !isIP(before)) break;
    client = before;
  }
  return client;
}

function isTrusted(address: string, trusted: BlockList): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** An IPv4 client of a socket that listens on `::` has an address such as `::ffff:10.0.0.1`. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}
