/** TCP, TLS and WebSocket, by the URL alone. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { StoppedError } from "../dist/index.js";
import { failure, take, World } from "./world.js";

const CERTIFICATE = 'certificate = "tls/certificate.pem"\nkey = "tls/key.pem"\n';
const LISTENERS = [
  ["mqtts", "tls", CERTIFICATE],
  ["ws", "ws", ""],
  ["wss", "wss", CERTIFICATE],
]
  .map(([name, transport, more]) => `[[listener]]\nname = "${name}"\nlisten = "127.0.0.1:0"\ntransport = "${transport}"\n${more}`)
  .join("\n");
let world: World;

beforeEach(async () => {
  world = new World();
  await world.command(["init", "tls"]);
  await world.start(LISTENERS);
});
afterEach(() => world.end());

test.each(["mqtt", "mqtts", "ws", "wss"])("messages go over every transport: %s", async (scheme) => {
  const ca = readFileSync(join(world.directory, "tls/certificate.pem"), "utf8");
  const alice = await world.client("alice", { url: `${scheme}://localhost:${world.portOf(scheme)}`, ca });
  await (await alice.send("alice", new Uint8Array(300_000).fill(120))).stored();
  expect((await take(alice, 1)).map(({ length }) => length)).toEqual([300_000]);
  expect(await alice.close()).toBe(0);
});

test("a certificate that nobody knows is not trusted", async () => {
  const error = await failure(StoppedError, world.client("alice", { url: `mqtts://localhost:${world.portOf("mqtts")}` }));
  expect(error.message).toContain("certificate");
});
