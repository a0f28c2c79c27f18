/** From send to "stored" through cut links, swallowed packets and killed brokers. The same scenarios are in the Python package. */

import { spawn } from "node:child_process";
import { renameSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { ClosedError, Payload, RefusedError } from "../dist/index.js";
import { PUBACK, PUBLISH, type Way } from "./relay.js";
import { ended, failure, firstLine, nothingMore, numbered, sleep, take, until, World } from "./world.js";

const CHILD = join(import.meta.dirname, "child.mjs");
let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());

/** Runs a child until it says something, and kills it. */
async function killedAfter(what: string, said: string): Promise<void> {
  const child = spawn(process.execPath, [CHILD, what, world.directory, String(world.relay.port)], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    expect(await firstLine(child)).toBe(said);
  } finally {
    await ended(child);
  }
}

test("stored outlives the broker", async () => {
  await world.start();
  const alice = await world.client("alice");
  await (await alice.send("bob", "hello")).stored();
  await world.kill();
  await world.start();
  const bob = await world.client("bob");
  expect(await take(bob, 1)).toEqual(["hello"]);
  await nothingMore(bob);
});

test("payloads arrive as they were sent", async () => {
  await world.start();
  const alice = await world.client("alice");
  await alice.send("alice", new Uint8Array([0, 255]), { properties: [["colour", "red"]] });
  await alice.send("alice", "grüße");
  await alice.send("alice", Payload.json({ a: [1, null] }));
  const [raw, text, structured] = [await alice.recv(), await alice.recv(), await alice.recv()];
  expect([raw.payload, raw.contentType, raw.properties.at(-1)]).toEqual([new Uint8Array([0, 255]), undefined, ["colour", "red"]]);
  expect([text.text(), text.contentType]).toEqual(["grüße", "text/plain; charset=utf-8"]);
  expect([structured.json(), structured.contentType]).toEqual([{ a: [1, null] }, "application/json"]);
  expect([raw, text, structured].map(({ from }) => from)).toEqual(["alice", "alice", "alice"]);
});

test("what was sent offline goes out in order", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice");
  expect(alice.state).toBe("waiting");
  const sent = [];
  for (const text of numbered(20)) sent.push(await alice.send("bob", text));
  world.relay.isOpen = true;
  expect(await take(await world.client("bob"), 20)).toEqual(numbered(20));
  await Promise.all(sent.map((one) => one.stored()));
});

test("a pause is not cut short by what is sent meanwhile", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice", { reconnectLeastMs: 100_000, reconnectMostMs: 100_000 });
  for (const text of numbered(5)) await alice.send("bob", text);
  await sleep(200);
  expect(world.seen("alice", "link").map(({ state }) => state)).toEqual(["connecting", "waiting"]);
});

test("messages that expired hold up nobody", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice");
  const sending = ["bob", "carol"].flatMap((name) => [...Array(700)].map(() => alice.send(name, "late", { expiresAfterMs: 100 })));
  const late = await Promise.all(sending);
  await alice.send("bob", "in time");
  await alice.send("carol", "in time");
  await sleep(200);
  world.relay.isOpen = true;
  for (const name of ["bob", "carol"]) expect(await take(await world.client(name), 1)).toEqual(["in time"]);
  expect(late.every(({ failure }) => failure)).toBe(true);
});

test("the outbox survives a killed process", async () => {
  await world.start();
  world.relay.shut();
  await killedAfter("send", "sent");
  world.relay.isOpen = true;
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  expect(await take(bob, 10)).toEqual(numbered(10));
  await nothingMore(bob);
  expect(await alice.close()).toBe(0);
});

test("a receiver killed after ack does not see it again", async () => {
  await world.start();
  const alice = await world.client("alice");
  for (const text of numbered(3)) await (await alice.send("bob", text)).stored();
  world.relay.swallow("to broker", PUBACK, 100);
  await killedAfter("receive", "acknowledged 2");
  world.relay.swallow("to broker", PUBACK, 0);
  const bob = await world.client("bob");
  expect(await take(bob, 1)).toEqual(numbered(3).slice(2));
  await nothingMore(bob);
});

test("unacknowledged comes again to the next process only", async () => {
  await world.start();
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  await alice.send("bob", "hello");
  const delivery = await bob.recv();
  world.relay.cut();
  await nothingMore(bob);
  await bob.close();
  expect((await (await world.client("bob")).recv()).id).toBe(delivery.id);
});

test("an ack while disconnected holds", async () => {
  await world.start();
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  await alice.send("bob", "hello");
  const delivery = await bob.recv();
  world.relay.shut();
  await until(() => bob.state === "waiting");
  await delivery.ack();
  world.relay.isOpen = true;
  await nothingMore(bob);
  await bob.close();
  await nothingMore(await world.client("bob"));
});

test.each<[Way, number]>([
  ["to broker", PUBLISH],
  ["to client", PUBACK],
  ["to client", PUBLISH],
  ["to broker", PUBACK],
])("a swallowed packet loses and repeats nothing: %s, %i", async (way, packet) => {
  await world.start();
  const [alice, bob] = [await world.client("alice", { receipts: false }), await world.client("bob")];
  world.relay.swallow(way, packet);
  for (const text of numbered(5)) await alice.send("bob", text);
  expect(await take(bob, 5)).toEqual(numbered(5));
  expect(world.relay.swallowed).toBe(1);
  expect(await alice.close()).toBe(0);
  await nothingMore(bob);
});

test("cuts and kills lose, repeat and reorder nothing", async () => {
  await world.start();
  const [names, count] = [["alice", "bob", "carol"], 60];
  const clients = new Map(await Promise.all(names.map(async (name) => [name, await world.client(name)] as const)));
  const inbox = (name: string) => clients.get(name) ?? expect.fail(name);

  const send = async (name: string): Promise<void> => {
    for (let number = 0; number < count; number += 1) {
      for (const other of names) if (other !== name) await inbox(name).send(other, Payload.json([name, number]));
      await sleep(Math.random() * 20);
    }
  };
  const receive = async (name: string): Promise<[string, number][]> => {
    const got: [string, number][] = [];
    while (got.length < count * 2) {
      const delivery = await inbox(name).recv();
      got.push(delivery.json() as [string, number]);
      await delivery.ack();
    }
    return got;
  };
  const trouble = async (): Promise<void> => {
    for (let number = 0; number < 12; number += 1) {
      await sleep(Math.random() * 400);
      if (number % 4 === 3) {
        await world.kill();
        await world.start();
      } else world.relay.cut();
    }
  };

  const sending = Promise.all([...names.map(send), trouble()]);
  const lists = await Promise.all(names.map(receive));
  await sending;
  for (const [index, name] of names.entries()) {
    for (const other of names) {
      const numbers = lists[index]?.filter(([sender]) => sender === other).map(([, number]) => number);
      expect(numbers).toEqual(other === name ? [] : [...Array(count).keys()]);
    }
    await nothingMore(inbox(name), 300);
  }
});

test("close waits for the outbox until its deadline", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice");
  const sent = await alice.send("bob", "hello");
  expect(await alice.close(200)).toBe(1);
  await failure(ClosedError, sent.stored());
  await failure(ClosedError, alice.recv());
  const again = await world.client("alice");
  expect(again.outbox().map(({ id }) => id)).toEqual([sent.id]);
  world.relay.isOpen = true;
  expect(await again.close(30_000)).toBe(0);
  expect(await take(await world.client("bob"), 1)).toEqual(["hello"]);
});

test("an expired message does not go out", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice");
  const late = await alice.send("bob", "late", { expiresAfterMs: 100 });
  await alice.send("bob", "in time", { expiresAfterMs: 600_000 });
  await sleep(200);
  world.relay.isOpen = true;
  await failure(RefusedError, late.stored());
  expect(await take(await world.client("bob"), 1)).toEqual(["in time"]);
});

test("a restored broker is told as a new epoch", async () => {
  await world.start();
  const alice = await world.client("alice");
  world.relay.shut();
  await world.kill("SIGTERM");
  await world.command(["backup", "--data", "data", "backup.tar"]);
  renameSync(join(world.directory, "data"), join(world.directory, "old"));
  await world.command(["restore", "backup.tar", "--data", "data"]);
  await world.start();
  world.relay.isOpen = true;
  await until(() => world.seen("alice", "epochChanged").length && alice.state === "connected");
});

test("states are told", async () => {
  await world.start();
  const alice = await world.client("alice");
  world.relay.cut();
  await until(() => world.seen("alice", "link").filter(({ state }) => state === "connected").length === 2);
  await alice.close();
  const states = world.seen("alice", "link").map(({ state }) => state);
  expect(states.slice(0, 3)).toEqual(["connecting", "connected", "waiting"]);
  expect(states.at(-1)).toBe("closed");
});
