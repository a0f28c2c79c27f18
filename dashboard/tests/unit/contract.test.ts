// Goal: what the broker says is read, and what is missing or of another type harms nothing.
import { expect, test } from "vitest";
import { clientPage, inbox, inboxPage, messagePage, overview, top } from "../../src/model/contract";
import { World } from "../mock/world.mjs";

test("a report of the broker", () => {
  const read = overview(JSON.parse(JSON.stringify(new World("loaded").overview(1e15))));
  expect(read).toMatchObject({
    version: "0.1.0",
    at: 1e15,
    intervalMs: 1000,
    store: { engine: "sled", isTroubled: false },
    waiting: { for: "disk" },
  });
  expect(read?.latency.puback.p99).toBeGreaterThan(0);
  expect(read?.refusals[0]).toMatchObject({ cause: "publish_full" });
});

test("a report before the first count, of an idle broker", () => {
  const read = overview({
    at: 1,
    inboxes: null,
    latency_us: { puback: { count: 0 } },
    memory: { pressure: 2 },
    waiting: { publishes: 0, for: null },
  });
  expect(read?.inboxes).toBeUndefined();
  expect(read?.latency.puback).toEqual({ count: 0, p50: undefined, p99: undefined });
  expect(read?.waiting.for).toBeUndefined();
  expect(read?.memory.pressure).toBe("mail leaves memory");
});

test.each([undefined, null, 7, "x", [], {}, { at: "now" }])("%j is no report", (value) => {
  expect(overview(value)).toBeUndefined();
});

test("the other messages take anything", () => {
  for (const value of [undefined, null, 7, [], {}, { inboxes: 7, messages: {}, clients: [7, null, {}], largest: [{}] }]) {
    expect(inboxPage(value).rows).toEqual([]);
    expect(messagePage(value).rows).toEqual([]);
    expect(clientPage(value).rows).toEqual([]);
    expect(inbox(value)).toBeUndefined();
  }
  expect(top({ counted_at: 1, largest: [{ client: "bob" }, {}] })?.largest).toEqual([
    { client: "bob", messages: 0, bytes: 0, oldestAt: undefined },
  ]);
});

test("before the first count nothing is known of inboxes, and that is not the same as none", () => {
  expect(top({ counted_at: null, largest: [], oldest: [] })).toBeUndefined();
  expect(top({ counted_at: 5, largest: [], oldest: [] })).toEqual({ largest: [], oldest: [] });
});

test("a message with bytes, one with text, and user properties", () => {
  const { rows, next } = messagePage({
    next: 9,
    messages: [
      { seq: 1, payload_hex: "00ff", bytes: 2, user_properties: [["a", "b"], ["broken"], 7] },
      { seq: 2, payload: "", bytes: 0 },
    ],
  });
  expect(next).toBe(9);
  expect(rows.map((row) => row.payload)).toEqual([{ hex: "00ff" }, { text: "" }]);
  expect(rows[0]?.userProperties).toEqual([["a", "b"]]);
});
