// Goal: streams are bounded, charts keep their holes, addresses survive any name.
import { describe, expect, test } from "vitest";
import { cleared, EVENTS_MAX, matches, noEvents, paused, received, sentence } from "../../src/model/events";
import { History } from "../../src/model/history";
import { signal } from "../../src/model/signal";
import { route, to, toInbox } from "../../src/router";
import { HOSTILE } from "../mock/world.mjs";

describe("events", () => {
  test("the newest 500 stay", () => {
    let stream = noEvents;
    for (let at = 1; at <= EVENTS_MAX + 20; at += 1) stream = received(stream, "connected", { at, client: "bob" }, "");
    expect(stream.events).toHaveLength(EVENTS_MAX);
    expect(stream.events[0]).toMatchObject({ at: EVENTS_MAX + 20, client: "bob" });
  });

  test("a pause holds new ones back, at most as many, and goes on where it was", () => {
    let stream = paused(received(noEvents, "connected", { at: 1 }, ""), true);
    for (let at = 2; at <= EVENTS_MAX + 20; at += 1) stream = received(stream, "refused", { at }, "");
    expect(stream.events).toHaveLength(1);
    expect(stream.held).toHaveLength(EVENTS_MAX);
    stream = paused(stream, false);
    expect(stream.events).toHaveLength(EVENTS_MAX);
    expect(stream.held).toHaveLength(0);
    expect(cleared(stream).events).toHaveLength(0);
  });

  test("filters look at kinds and at what is shown", () => {
    const [event] = received(noEvents, "refused", { who: "two\nlines", what: "a publish", cause: "publish_full" }, "").events;
    if (!event) throw new Error("an event is missing");
    expect(sentence(event)).toBe("a publish: publish full");
    expect(matches(event, { kinds: new Set(), text: "TWO\\NLINES" })).toBe(true);
    expect(matches(event, { kinds: new Set(["connected"]), text: "" })).toBe(false);
    expect(matches(event, { kinds: new Set(["refused"]), text: "carol" })).toBe(false);
  });

  test("a kind that is not known yet is told all the same", () => {
    const [event] = received(noEvents, "forgotten", { at: 1, inbox: "bob", after_s: 7 }, "").events;
    expect(event && sentence(event)).toBe("after s: 7");
  });
});

test("an event about an inbox leads there, also where the broker says its topic", () => {
  const [full] = received(noEvents, "inbox-full", { inbox: "inbox/bob", from: "alice" }, "inbox/").events;
  expect(full?.client).toBe("bob");
  const [idle] = received(noEvents, "idle", { inbox: "inbox/bob", from: "alice", id: "x", reason: "idle" }, "inbox/").events;
  expect(idle?.client).toBe("inbox/bob");
  expect(idle && sentence(idle)).toBe("message x, from alice");
});

test("a value tells nobody who has just stopped watching, and nobody an old value last", () => {
  const number = signal(1);
  const seen: string[] = [];
  number.watch((value) => {
    if (value === 2) stop();
    if (value === 3) number.set(4);
  });
  const stop = number.watch((value) => seen.push(`stopped ${String(value)}`));
  number.watch((value) => seen.push(`last ${String(value)}`));
  number.set(2);
  number.set(3);
  expect(seen).toEqual(["stopped 1", "last 1", "last 2", "last 4"]);
});

describe("history", () => {
  test("rows are bounded, and a silence is a hole", () => {
    const history = new History(10);
    for (let time = 0; time < 20; time += 1) history.push(time, { a: time });
    expect(history.window(["a"], 60)[0]).toHaveLength(10);
    history.push(100, { a: 1, b: 2 }, 15);
    expect(history.window(["a", "b"], 50)).toEqual([
      [19.001, 100],
      [null, 1],
      [null, 2],
    ]);
  });

  test("the next operator sees nothing of it", () => {
    const history = new History();
    history.push(5, { a: 1 });
    history.clear();
    expect(history.end).toBeUndefined();
    history.push(4, { b: 2 });
    expect(history.window(["a", "b"], 60)).toEqual([[4], [null], [2]]);
  });

  test("what is not newer is passed over, and a column that nobody filled is empty", () => {
    const history = new History();
    history.push(5, { a: 1 });
    history.push(5, { a: 2 });
    history.push(4, { a: 3 });
    expect(history.window(["a", "missing"], 60)).toEqual([[5], [1], [null]]);
    expect(history.latest("missing")).toBeUndefined();
  });
});

test.each(["bob", "a/b?c#d", "%", "", ...HOSTILE])("an address leads back to the inbox of %j", (name) => {
  expect(route(toInbox(name))).toMatchObject({ page: "inbox", name });
});

test("addresses of views", () => {
  expect(route("")).toMatchObject({ page: "overview", name: "" });
  expect(to("trace", { from: "a&b", to: "", id: "" })).toBe("#/trace?from=a%26b");
  expect(route("#/trace?from=a%26b").query.get("from")).toBe("a&b");
  expect(route("#/inbox/%E0%A4%A")).toMatchObject({ name: "%E0%A4%A" });
});
