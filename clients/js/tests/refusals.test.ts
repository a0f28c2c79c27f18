/** What is refused: for now, for good, and at once. The same scenarios are in the Python package. */

import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { OutboxFullError, RefusedError, StoppedError } from "../dist/index.js";
import { failure, numbered, take, until, World } from "./world.js";

let world: World;

beforeEach(() => {
  world = new World();
});
afterEach(() => world.end());

test("a full inbox holds its queue and keeps the order", async () => {
  await world.start("[inbox]\nmessages_max = 3\n");
  const alice = await world.client("alice");
  const sent = [];
  for (const text of numbered(8)) sent.push(await alice.send("bob", text));
  await (await alice.send("carol", "passes")).stored();
  await until(() => world.seen("alice", "held").length >= 2);
  const [held] = world.seen("alice", "held");
  expect(held).toMatchObject({ to: "bob", code: 0x97, why: expect.stringContaining("inbox is full") as string });
  expect(sent.filter(({ state }) => state === "queued")).toHaveLength(5);
  expect(await take(await world.client("bob"), 8)).toEqual(numbered(8));
});

test("a final refusal fails the handle and lets the rest go", async () => {
  await world.start();
  const alice = await world.client("alice");
  const refused = await alice.send("x".repeat(1100), "to nobody");
  const error = await failure(RefusedError, refused.stored());
  expect(error.code).toBe(0x90);
  expect(refused.failure).toBe(error);
  await failure(RefusedError, refused.delivered());
  await (await alice.send("bob", "to somebody")).stored();
  expect(await alice.close()).toBe(0);
});

test("who is not wanted is told", async () => {
  await world.start();
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  await bob["request"]("$inbox/block", { add: ["client:alice"] });
  await bob["sending"].whenEmpty();
  expect((await failure(RefusedError, (await alice.send("bob", "hello")).stored())).code).toBe(0x87);
});

test("a name without an inbox is refused at once", async () => {
  await world.start();
  const alice = await world.client("alice");
  for (const name of ["", "a/b", "a+", "#"]) await failure(TypeError, alice.send(name, "hello"));
});

test("a payload that is too large fails alone", async () => {
  await world.start('[mqtt]\nmessage_bytes_max = "1KiB"\n');
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  const large = await alice.send("bob", new Uint8Array(2000));
  const small = await alice.send("bob", "small");
  expect((await failure(RefusedError, large.stored())).code).toBe(0x95);
  await small.stored();
  expect(await take(bob, 1)).toEqual(["small"]);
});

test("a wrong password stops with the reason", async () => {
  await world.command(["passwd", "users", "alice"], "right horse battery\n");
  await world.start('[auth]\npassword_file = "users"\n');
  const error = await failure(StoppedError, world.client("alice", { username: "alice", password: "wrong" }));
  expect(error.message).toContain("0x86");
  const alice = await world.client("alice", { username: "alice", password: "right horse battery" });
  await (await alice.send("alice", "hello")).stored();
});

test("of two connections with one client ID, one stops", async () => {
  await world.start();
  const both = [await world.client("alice")];
  both.push(await world.client("alice", { outbox: join(world.directory, "second.inbox") }));
  await until(() => both.some(({ state }) => state === "stopped"));
  both.sort((a) => (a.state === "stopped" ? -1 : 1));
  const [stopped, other] = both;
  expect((await failure(StoppedError, stopped?.recv() ?? Promise.resolve())).message).toContain("0x8E");
  await failure(StoppedError, stopped?.send("bob", "hello") ?? Promise.resolve());
  await until(() => other?.state === "connected");
});

test("a full outbox is an error", async () => {
  await world.start();
  world.relay.shut();
  const alice = await world.client("alice", { outboxMessagesMax: 3 });
  for (const text of numbered(3)) await alice.send("bob", text);
  await failure(OutboxFullError, alice.send("bob", "one too many"));
  world.relay.isOpen = true;
  expect(await take(await world.client("bob"), 3)).toEqual(numbered(3));
  await (await alice.send("bob", "again")).stored();
});
