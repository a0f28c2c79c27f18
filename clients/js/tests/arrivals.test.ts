/** Arrivals: repeats, order, gaps, epochs, receipts. */

import { expect, test } from "vitest";

import { Arrivals } from "../dist/arrivals.js";
import { Backoff } from "../dist/backoff.js";
import type { Property } from "../dist/message.js";
import type { Packet } from "../dist/packet.js";
import { isReceipt, parse } from "../dist/receipts.js";

function bare(properties: Property[], packetId = 1, retain = false): Packet {
  return { topic: "bob", payload: new Uint8Array(), packetId, qos: 1, retain, properties, contentType: undefined };
}

function packet(seq: number, more: Record<string, string> = {}, from = "alice", id = `m${seq}`): Packet {
  return bare([["id", id], ["seq", String(seq)], ["from", from], ...Object.entries(more)], seq);
}

function attached(dropped = 0): Arrivals {
  const arrivals = new Arrivals(100, [], { epoch: undefined, dropped });
  arrivals.attached("e1");
  return arrivals;
}

function judged(arrivals: Arrivals, ...packets: Packet[]): string[] {
  return packets.map((one) => arrivals.take(one).judgement);
}

function answer(arrivals: Arrivals, one: Packet): void {
  arrivals.remember(arrivals.key(one), arrivals.prepare(0));
}

test("a message is new once", () => {
  const arrivals = attached();
  expect(judged(arrivals, packet(1))).toEqual(["new"]);
  arrivals.attached("e1");
  expect(judged(arrivals, packet(1))).toEqual(["again"]);
  answer(arrivals, packet(1));
  arrivals.attached("e1");
  expect(judged(arrivals, packet(1))).toEqual(["repeat"]);
});

test("the same id of another sender is new", () => {
  const arrivals = attached();
  answer(arrivals, packet(1));
  expect(judged(arrivals, packet(2, {}, "carol", "m1"))).toEqual(["new"]);
});

test("what the broker says about a message is no repeat of it", () => {
  const arrivals = attached();
  answer(arrivals, packet(1));
  const told = packet(2, { $inboxd: "edit" }, "alice", "m1");
  expect(judged(arrivals, told, told)).toEqual(["new", "again"]);
});

test("a delivery that was lost on the way is a hole", () => {
  const arrivals = attached();
  expect(judged(arrivals, packet(1), packet(3, { prev: "2" }))).toEqual(["new", "hole"]);
  arrivals.attached("e1");
  expect(judged(arrivals, packet(1), packet(2, { prev: "1" }), packet(3, { prev: "2" }))).toEqual(["again", "new", "new"]);
});

test("a lost first delivery is a hole", () => {
  expect(judged(attached(), packet(2, { prev: "1" }))).toEqual(["hole"]);
});

test("the same hole twice does not end a connection again", () => {
  const arrivals = attached();
  expect(judged(arrivals, packet(3, { prev: "2" }))).toEqual(["hole"]);
  arrivals.attached("e1");
  expect(judged(arrivals, packet(3, { prev: "2" }))).toEqual(["new"]);
});

test("what left the inbox unread is told once", () => {
  const arrivals = attached(2);
  const missed = ["2", "5", "5"].map((dropped, index) => arrivals.take(packet(index + 1, { dropped })).missed);
  expect(missed).toEqual([0, 3, 0]);
  expect(arrivals.known).toEqual({ epoch: "e1", dropped: 5 });
});

test("another epoch is told", () => {
  const arrivals = attached();
  expect(arrivals.attached("e1")).toBeUndefined();
  expect(arrivals.attached("e2")).toBe("e1");
});

test("the oldest is forgotten", () => {
  const arrivals = new Arrivals(2);
  arrivals.attached("e1");
  for (const seq of [1, 2, 3]) answer(arrivals, packet(seq));
  expect(arrivals.toForget()).toEqual([arrivals.key(packet(1))]);
  arrivals.forget(arrivals.toForget());
  expect(judged(arrivals, packet(1))).toEqual(["new"]);
});

test("only what the broker says is a receipt", () => {
  const said: [Property, Property] = [
    ["from", "$inboxd"],
    ["$inboxd", "receipt"],
  ];
  expect(isReceipt(bare(said, 1, true), true)).toBe(true);
  expect(isReceipt(bare(said, 1, true), false)).toBe(false);
  expect(isReceipt(bare(said, 1, false), true)).toBe(false);
  expect(isReceipt(bare([["from", "mallory"], said[1]], 1, true), true)).toBe(false);
  expect(isReceipt(bare([said[0], ["$inboxd", "notice"]], 1, true), true)).toBe(false);
});

test("receipts are read and nonsense is left out", () => {
  const receipts = [
    { id: "m1", topic: "bob", seq: 5, state: "delivered" },
    { id: "m2", topic: "bob", seq: 6, state: "dropped", why: "purged" },
    { id: "m3", topic: "bob", state: "eaten" },
    { topic: "bob", state: "read" },
    "nonsense",
  ];
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  expect(parse(bytes(JSON.stringify({ notice: "receipt", receipts })))).toEqual([
    { id: "m1", topic: "bob", seq: 5, state: "delivered" },
    { id: "m2", topic: "bob", seq: 6, why: "it left the inbox unread: purged" },
  ]);
  for (const nonsense of [new Uint8Array([0xff]), bytes("[]"), bytes("{}")]) expect(parse(nonsense)).toEqual([]);
});

test("pauses grow to their bound with full jitter", () => {
  const backoff = new Backoff(1, 64);
  expect([...Array(8)].map(() => backoff.nextMs(() => 1))).toEqual([1, 2, 4, 8, 16, 32, 64, 64]);
  backoff.reset();
  expect(backoff.nextMs(() => 0)).toBe(0);
});
