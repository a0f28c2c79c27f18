/** Taking messages back and replacing them, by a broker that can. The same scenarios are in the Python package. */

import { afterEach, beforeEach, expect, test } from "vitest";

import { type Delivery, type Inbox, RefusedError } from "../dist/index.js";
import { PUBACK } from "./relay.js";
import { failure, take, World } from "./world.js";

let world: World;

beforeEach(async () => {
  world = new World();
  await world.start();
});
afterEach(() => world.end());

/** The next delivery, acknowledged. */
async function taken(inbox: Inbox): Promise<Delivery> {
  const delivery = await inbox.recv();
  await delivery.ack();
  return delivery;
}

test("what was not delivered is gone", async () => {
  const alice = await world.client("alice");
  const sent = await alice.send("bob", "a mistake");
  await sent.stored();
  await alice.send("bob", "the rest");
  expect(await alice.recall("bob", sent.id)).toBe("undelivered");
  expect((await failure(RefusedError, sent.delivered())).message).toContain("recalled");
  expect(await take(await world.client("bob"), 1)).toEqual(["the rest"]);
});

test("who had it is told", async () => {
  const [alice, bob] = [await world.client("alice"), await world.client("bob")];
  const sent = await alice.send("bob", "a mistake");
  expect(await take(bob, 1)).toEqual(["a mistake"]);
  await sent.delivered();
  expect(await alice.recall("bob", sent.id)).toBe("recipientTold");
  const recall = await taken(bob);
  expect([recall.kind, recall.about, recall.from]).toEqual(["recall", sent.id, "alice"]);
  expect(await alice.edit("bob", sent.id, "better", { properties: [["colour", "red"]] })).toBe("recipientTold");
  const edit = await taken(bob);
  expect([edit.kind, edit.about, edit.from, edit.text()]).toEqual(["edit", sent.id, "alice", "better"]);
  expect(edit.id).not.toBe(sent.id);
  expect(edit.properties).toContainEqual(["colour", "red"]);
});

test("what was not delivered is replaced", async () => {
  const alice = await world.client("alice");
  const sent = await alice.send("bob", "old");
  await sent.stored();
  expect(await alice.edit("bob", sent.id, "new")).toBe("undelivered");
  const delivery = await taken(await world.client("bob"));
  expect([delivery.kind, delivery.id, delivery.text()]).toEqual(["message", sent.id, "new"]);
});

test("a recall never gets there before its message", async () => {
  const alice = await world.client("alice");
  world.relay.swallow("to client", PUBACK);
  const sent = await alice.send("bob", "a mistake");
  expect(await alice.recall("bob", sent.id)).toBe("undelivered");
  await (await alice.send("bob", "the rest")).stored();
  expect(await take(await world.client("bob"), 1)).toEqual(["the rest"]);
});

test("a message replaces an earlier one with its key", async () => {
  const alice = await world.client("alice");
  const first = await alice.send("bob", "17", { collapse: "price" });
  const other = await alice.send("bob", "rain", { collapse: "weather" });
  const last = await alice.send("bob", "18", { collapse: "price" });
  expect((await failure(RefusedError, first.delivered())).message).toContain("collapsed");
  expect(await take(await world.client("bob"), 2)).toEqual(["rain", "18"]);
  await Promise.all([other.delivered(), last.delivered()]);
});
