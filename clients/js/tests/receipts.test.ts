/** What a sender learns of its messages from a broker. The same scenarios are in the Python package. */

import { afterEach, beforeEach, expect, test } from "vitest";

import { type Inbox, Payload, RefusedError, type Sent } from "../dist/index.js";
import { PUBLISH } from "./relay.js";
import { failure, sleep, take, until, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());

async function both(): Promise<[Inbox, Inbox]> {
  await world.start();
  return [await world.client("alice"), await world.client("bob")];
}

test("a sender is told that its message was delivered and read", async () => {
  const [alice, bob] = await both();
  const sent = await alice.send("bob", "hello");
  const delivery = await bob.recv();
  expect([delivery.kind, delivery.about, delivery.user]).toEqual(["message", undefined, undefined]);
  await delivery.ack();
  await sent.delivered();
  expect(sent.state).toBe("delivered");
  await delivery.markRead();
  await sent.read();
  expect(alice.outbox()).toEqual([]);
});

test("a sender who was away is told later", async () => {
  await world.start();
  const alice = await world.client("alice");
  const sent = await alice.send("bob", "hello");
  await sent.stored();
  await alice.close();
  const bob = await world.client("bob");
  await (await bob.recv()).markRead();
  expect(await bob.flushed()).toBe(true);
  const again = await world.client("alice");
  // It may be told before anybody can ask for the handle.
  await until(() => world.seen("alice", "progress").some(({ id, state }) => id === sent.id && state === "read"));
  expect(again.outbox()).toEqual([]);
});

test("a sender is told what the recipient does not want", async () => {
  const [alice, bob] = await both();
  const sent = await alice.send("bob", "hello");
  await (await bob.recv()).reject(0x87);
  const error = await failure(RefusedError, sent.delivered());
  expect([error.code, error.message]).toEqual([0x87, expect.stringContaining("0x87")]);
  await sent.stored();
});

test("a sender is told what expired", async () => {
  await world.start();
  const alice = await world.client("alice");
  const sent = await alice.send("bob", "late", { expiresAfterMs: 1000 });
  await sent.stored();
  await sleep(2100);
  const bob = await world.client("bob");
  expect((await failure(RefusedError, sent.delivered())).message).toContain("expired");
  await alice.send("bob", "in time");
  expect(await take(bob, 1)).toEqual(["in time"]);
});

test("both are told what a full inbox dropped", async () => {
  await world.start('[inbox]\nwhen_full = "drop-oldest"\nmessages_max = 2\n');
  const alice = await world.client("alice");
  const sent = [await alice.send("bob", "1"), await alice.send("bob", "2"), await alice.send("bob", "3")] as const;
  expect((await failure(RefusedError, sent[0].delivered())).message).toContain("overflow");
  expect(await take(await world.client("bob"), 2)).toEqual(["2", "3"]);
  expect(world.seen("bob", "dropped").map(({ messages }) => messages)).toEqual([1]);
  await Promise.all(sent.slice(1).map((one) => one.delivered()));
});

test("read is told by name, and by seq, and not at all", async () => {
  const [alice, bob] = await both();
  const taken = async (text: string): Promise<[Sent, number]> => {
    const sent = await alice.send("bob", text);
    const delivery = await bob.recv();
    await delivery.ack();
    return [sent, delivery.seq ?? 0];
  };
  const [byId] = await taken("by id");
  await (await bob.markRead("alice", [byId.id])).stored();
  await byId.read();
  const [bySeq, seq] = await taken("by seq");
  await (await bob.markReadUpTo(seq)).stored();
  await bySeq.read();
  await (await bob.tellWhenRead(false)).stored();
  const [kept, keptSeq] = await taken("kept to himself");
  await (await bob.markReadUpTo(keptSeq)).stored();
  await (await bob.tellWhenRead(true)).stored();
  const [later] = await taken("later");
  await (await bob.markRead("alice", [later.id])).stored();
  await later.read();
  expect(kept.state).toBe("delivered");
});

test("a delivery that was lost on the way is told, and comes again", async () => {
  const [alice, bob] = await both();
  world.relay.swallow("to client", PUBLISH, 1, "bob");
  const [first, second] = [await alice.send("bob", "1"), await alice.send("bob", "2")];
  expect(await take(bob, 2)).toEqual(["1", "2"]);
  expect(world.seen("bob", "gap")).toEqual([{ type: "gap", after: undefined, prev: first.seq }]);
  await second.delivered();
});

test.each([{ a: [1, null, "grüße"] }, [1.5, true, new Uint8Array([0, 255])]])("values arrive as MessagePack: %j", async (value) => {
  await world.start();
  const alice = await world.client("alice");
  await alice.send("alice", Payload.messagePack(value));
  const delivery = await alice.recv();
  expect([delivery.messagePack(), delivery.contentType]).toEqual([value, "application/vnd.msgpack"]);
  await alice.send("alice", new Uint8Array([0xc1]));
  const nonsense = await alice.recv();
  expect(() => nonsense.messagePack()).toThrow();
});

test("flushed says whether all is out", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice");
  await alice.send("bob", "hello");
  const waiting = alice.flushed();
  await alice.close(0);
  expect(await waiting).toBe(false);
  world.relay.isOpen = true;
  expect(await (await world.client("alice")).flushed()).toBe(true);
});
