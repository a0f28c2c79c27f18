/** The outbox: order for each recipient, bounds, refusals. */

import { expect, test } from "vitest";

import { OutboxFullError } from "../dist/index.js";
import type { Message } from "../dist/message.js";
import { Outbox } from "../dist/outbox.js";

const LIMITS = { messagesMax: 4, bytesMax: 100, answerTimeoutMs: 30_000, pauseLeastMs: 1000, pauseMostMs: 64_000 };
const sure = (): number => 1;

function message(id: string, to = "bob", size = 1): Message {
  return {
    id,
    to,
    topic: to,
    payload: new Uint8Array(size),
    order: Number(id.slice(1)),
    contentType: undefined,
    properties: [],
    receipts: "",
    expiresAt: undefined,
    state: "queued",
    seq: undefined,
    durable: true,
  };
}

function filled(...messages: Message[]): Outbox {
  const outbox = new Outbox(LIMITS, messages);
  outbox.connected(10);
  return outbox;
}

function ids(messages: Message[]): string[] {
  return messages.map(({ id }) => id);
}

test("one message for each recipient is unanswered at a time", () => {
  const [first, second, other] = [message("m1"), message("m2"), message("m3", "carol")];
  const outbox = filled(first, second, other);
  expect(ids(outbox.due(0))).toEqual(["m1", "m3"]);
  expect(outbox.due(0)).toEqual([]);
  expect(outbox.answered(first, 0, 0, sure)).toEqual({ is: "stored" });
  expect(ids(outbox.due(0))).toEqual(["m2"]);
});

test("what was unanswered goes out again first", () => {
  const outbox = filled(message("m1"), message("m2"));
  expect(ids(outbox.due(0))).toEqual(["m1"]);
  outbox.disconnected();
  expect(outbox.due(0)).toEqual([]);
  outbox.connected(10);
  expect(ids(outbox.due(0))).toEqual(["m1"]);
});

test("messages of before a restart go out in their order", () => {
  expect(ids(filled(message("m2"), message("m1")).due(0))).toEqual(["m1"]);
});

test.each([0x83, 0x97])("a refusal that passes holds this recipient's queue with growing pauses: %i", (code) => {
  const first = message("m1");
  const outbox = filled(first, message("m3"));
  outbox.due(0);
  expect(outbox.answered(first, code, 0, sure)).toEqual({ is: "held", pauseMs: 1000 });
  outbox.add(message("m2", "carol"));
  expect(ids(outbox.due(500))).toEqual(["m2"]);
  expect(outbox.wakeAt(500)).toBe(1000);
  expect(ids(outbox.due(1000))).toEqual(["m1"]);
  expect(outbox.answered(first, code, 1000, sure)).toEqual({ is: "held", pauseMs: 2000 });
  expect(ids(outbox.due(3000))).toEqual(["m1"]);
  outbox.answered(first, 0, 3000, sure);
  expect(ids(outbox.due(3000))).toEqual(["m3"]);
});

test.each([0x10, 0x87, 0x90, 0x95, 0x99])("a final refusal lets the next one go: %i", (code) => {
  const first = message("m1");
  const outbox = filled(first, message("m2"));
  outbox.due(0);
  expect(outbox.answered(first, code, 0, sure)).toEqual({ is: "refused" });
  expect(ids(outbox.due(0))).toEqual(["m2"]);
});

test("a full outbox is an error", () => {
  const outbox = filled(...[0, 1, 2, 3].map((number) => message(`m${number}`)));
  expect(() => outbox.add(message("m4"))).toThrow(OutboxFullError);
  expect(outbox.size).toBe(4);
});

test("its bytes are bounded and given back", () => {
  const large = message("m1", "bob", 100);
  const outbox = filled(large);
  expect(() => outbox.add(message("m2"))).toThrow(OutboxFullError);
  outbox.remove(large);
  outbox.add(message("m2"));
});

test("what is not durable does not go out and nothing passes it", () => {
  const first = message("m1");
  first.durable = false;
  const outbox = filled(first, message("m2"));
  expect(outbox.due(0)).toEqual([]);
  first.durable = true;
  expect(ids(outbox.due(0))).toEqual(["m1"]);
});

test("the window of the broker is kept", () => {
  const outbox = new Outbox(LIMITS, [message("m1"), message("m2", "carol"), message("m3", "dave")]);
  outbox.connected(2);
  expect(ids(outbox.due(0))).toEqual(["m1", "m2"]);
  expect(outbox.due(0)).toEqual([]);
});

test("an answer that does not come is overdue", () => {
  const outbox = filled(message("m1"));
  outbox.due(5000);
  expect(outbox.wakeAt(5000)).toBe(35_000);
  expect(outbox.isOverdue(34_900)).toBe(false);
  expect(outbox.isOverdue(35_000)).toBe(true);
});

test("the largest in flight is who was too large", () => {
  const outbox = filled(message("m1", "bob", 5), message("m2", "carol", 9), message("m3", "bob", 50));
  outbox.due(0);
  expect(outbox.largestInFlight()?.id).toBe("m2");
});

test("a request about a message waits behind it", () => {
  const first = message("m1");
  const outbox = filled(first, message("m2"));
  expect(outbox.find("bob", "m1")).toBe(first);
  outbox.add({ ...message("r3"), topic: "$inbox/recall", behind: "bob", about: "m1" });
  for (const expected of ["m1", "m2", "r3"]) {
    expect(outbox.isAbout("bob", "m1")).toBe(true);
    const [due] = outbox.due(0);
    expect([due?.id, due?.mayBeOut]).toEqual([expected, true]);
    if (due) outbox.answered(due, 0, 0, sure);
  }
  expect(outbox.isAbout("bob", "m1")).toBe(false);
  expect(outbox.find("bob", "m1")).toBeUndefined();
});
