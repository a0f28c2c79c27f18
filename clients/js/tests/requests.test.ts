/** Taking messages back, as far as it takes no broker that can do it. The same scenarios are in the Python package. */

import { expect, test } from "vitest";

import type { Key } from "../dist/arrivals.js";
import { Delivery, Payload, RefusedError, UnsupportedError } from "../dist/index.js";
import type { Property } from "../dist/message.js";
import { Requests } from "../dist/requests.js";
import { Bench, newPath } from "./bench.js";
import { failure, take, until, World } from "./world.js";

test("what is in the outbox is taken back there", async () => {
  const world = new World();
  try {
    await world.start();
    world.relay.shut();
    const alice = await world.client("alice");
    const [first, second] = [await alice.send("bob", "1"), await alice.send("bob", "2")];
    expect(await alice.recall("bob", first.id)).toBe("beforeSending");
    expect((await failure(RefusedError, first.stored())).message).toContain("taken back");
    expect(alice.outbox()).toEqual([second]);
    world.relay.isOpen = true;
    expect(await take(await world.client("bob"), 1)).toEqual(["2"]);
  } finally {
    await world.end();
  }
});

test.each([false, true])("what may be out is asked of the broker, and behind it; by another process: %s", async (left) => {
  const path = newPath();
  let bench = await Bench.open(path);
  const sent = await bench.send();
  if (left) {
    // Another process cannot know whether it is out.
    await bench.end();
    bench = await Bench.open(path);
  }
  const requests = new Requests(bench.settings, bench.sending);
  const recalling = requests.recall("bob", sent.id);
  const changing = requests.edit("bob", sent.id, Payload.text("new"), [["colour", "red"]], undefined);
  await until(() => bench.sending.size === 3);
  expect(bench.published).toEqual([sent.id]);
  for (const [number, state] of ["stored", "told", "edited"].entries()) {
    await until(() => bench.published.length === number + 1);
    bench.answer(state);
  }
  expect([await recalling, await changing]).toEqual(["recipientTold", "undelivered"]);
  await bench.end();
});

test("a broker that says nothing has taken nothing back", async () => {
  const bench = await Bench.open(newPath());
  const recalling = new Requests(bench.settings, bench.sending).recall("bob", "m1");
  await until(() => bench.published.length);
  bench.answer("");
  await failure(UnsupportedError, recalling);
  await bench.end();
});

test("a recall and an edit say what they are about", () => {
  expect(delivery("recall", JSON.stringify({ notice: "recall", id: "m1" }))).toMatchObject({ kind: "recall", about: "m1" });
  const edit = delivery("edit", "new", ["edit-of", "m1"]);
  expect([edit.kind, edit.about, edit.id, edit.text()]).toEqual(["edit", "m1", "e1", "new"]);
  for (const nonsense of ["\xff", "[]", "{}", "null", '{"id":1}']) expect(delivery("recall", nonsense).about).toBe("e1");
  expect(["notice", "later"].map((notice) => delivery(notice).kind)).toEqual(["notice", "notice"]);
  expect(delivery("notice").about).toBeUndefined();
});

function delivery(notice: string, payload = "", ...more: Property[]): Delivery {
  const properties: Property[] = [["id", "e1"], ["$inboxd", notice], ...more];
  const packet = {
    topic: "bob",
    payload: new TextEncoder().encode(payload),
    packetId: 1,
    qos: 1,
    retain: false,
    properties,
    contentType: undefined,
  };
  const nobody = (): Promise<void> => Promise.reject(new Error("nobody answers"));
  return new Delivery(packet, {}, "a key" as Key, "alice", notice, { answer: nobody, markRead: nobody });
}
