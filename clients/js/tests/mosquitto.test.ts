/** A plain Mosquitto: what works goes on working, what does not is told. */

import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { afterEach, beforeEach, expect, test } from "vitest";

import { RefusedError, UnsupportedError } from "../dist/index.js";
import { PUBACK } from "./relay.js";
import { ended, failure, sleep, take, World } from "./world.js";

let world: World;
let mosquitto: ChildProcess | undefined;

beforeEach(async () => {
  world = new World();
  await world.relay.start();
  while (!(await started()));
});
afterEach(async () => {
  await world.end();
  if (mosquitto) await ended(mosquitto);
});

/** Whether it listens. It cannot be told to take a free port, and who else does may be faster. */
async function started(): Promise<boolean> {
  const port = await freePort();
  const config = `listener ${port} 127.0.0.1\nallow_anonymous true\n`;
  writeFileSync(join(world.directory, "mosquitto.conf"), config);
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` };
  const child = spawn("mosquitto", ["-c", "mosquitto.conf"], { cwd: world.directory, env, stdio: ["ignore", "ignore", "pipe"] });
  mosquitto = child;
  await new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", () => reject(new Error("mosquitto is missing: `apt-get install mosquitto`")));
  });
  const isRunning = new Promise<boolean>((resolve) => {
    // Its log is read to the end, or it would stop for want of room in the pipe.
    createInterface(child.stderr).on("line", (line) => line.endsWith("running") && resolve(true));
    child.once("exit", () => resolve(false));
  });
  world.relay.target = port;
  return isRunning;
}

test("a plain Mosquitto stores and gives no receipts", async () => {
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  const sent = await alice.send("bob", "hello");
  await connected(world, "bob");
  await sent.stored();
  for (const wait of [sent.delivered(), sent.read()]) {
    expect((await failure(UnsupportedError, wait)).message).toContain("not inboxd");
  }
  expect(sent.state).toBe("stored");
  expect(world.seen("alice", "missing")[0]?.what).toContain("not inboxd");
  expect(await take(bob, 1)).toEqual(["hello"]);
  const absent = await alice.send("carol", "hello");
  expect((await failure(RefusedError, absent.stored())).message).toContain("nobody is subscribed");
});

test("a receipt that anybody could have made is not believed", async () => {
  const [alice, mallory] = [await world.client("alice"), await world.client("mallory")];
  await connected(world, "alice");
  world.relay.swallow("to client", PUBACK, 100);
  const sent = await alice.send("alice", "hello");
  const told = { id: sent.id, topic: "alice", seq: 1, state: "read" };
  const properties = [
    ["from", "$inboxd"],
    ["$inboxd", "receipt"],
  ] as const;
  await mallory.send("alice", JSON.stringify({ notice: "receipt", receipts: [told] }), { properties });
  for (let number = 0; number < 2; number += 1) {
    const delivery = await alice.recv();
    await delivery.ack();
    expect(delivery.from).toBe("");
  }
  expect(sent.state).toBe("queued");
});

/** Mosquitto may need a moment, and keeps nothing for who comes later. */
async function connected(world: World, name: string): Promise<void> {
  while (!world.seen(name, "link").some(({ state }) => state === "connected")) await sleep(20);
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    }),
  );
}
