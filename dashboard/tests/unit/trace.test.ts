// Goal: a trace groups what belongs to one message, lets none wait that has ended, says what it does not show, and ends with its connection.
import { describe, expect, test } from "vitest";
import { followed, MESSAGES_MAX, MILESTONES_MAX, noTrace, outcome, over, type TraceState } from "../../src/model/trace";
import { Requests } from "../../src/mqtt/requests";
import { Tracer } from "../../src/mqtt/tracer";

const event = (what: string, seq?: number, more: object = {}): unknown => ({
  trace: 7,
  event: { what, at: 1, inbox: "bob", ...(seq === undefined ? {} : { seq }), ...more },
});
const running: TraceState = { ...noTrace, phase: "running", trace: 7 };
const fold = (...messages: unknown[]): TraceState => messages.reduce<TraceState>((state, each) => followed(state, each, ""), running);
const outcomes = (state: TraceState): string[] =>
  state.messages.map((message) => `${String(message.seq)} ${outcome(message).label}`).toReversed();

describe("messages", () => {
  test("are told apart by inbox and seq, and their milestones stand together", () => {
    const state = fold(
      event("accepted", 3, { id: "x", from: "alice" }),
      event("accepted", 4, { id: "x", from: "alice" }),
      event("accepted", 3, { id: "x", inbox: "carol" }),
      event("committed", 3),
      event("acknowledged", 3),
    );
    expect(state.messages.map((message) => message.milestones.map(({ what }) => what))).toEqual([
      ["accepted"],
      ["accepted"],
      ["accepted", "committed", "acknowledged"],
    ]);
    expect(outcomes(state)).toEqual(["3 acknowledged", "4 under way", "3 under way"]);
  });

  test.each([
    ["cancelled", "acknowledged", "good"],
    ["acknowledged", "acknowledged", "good"],
    ["expired", "expired", "bad"],
    ["dropped", "dropped", "bad"],
    ["idle", "idle", "bad"],
    ["purged", "purged", "bad"],
    ["committed", "on disk", "kept"],
    ["delivered", "under way", "open"],
  ])("%s says how one fares", (what, label, fate) => {
    expect(fold(event("accepted", 3), event("delivered", 3), event(what, 3)).messages.map(outcome)).toEqual([{ label, fate }]);
  });

  test("that waited before are on disk", () => {
    expect(outcomes(fold(event("waiting", 3)))).toEqual(["3 on disk"]);
  });

  test("a refused publish is one of its own, in the inbox that its topic is of", () => {
    const refused = event("refused", undefined, { inbox: "inbox/bob", from: "alice", cause: "publish_full" });
    const state = [refused, refused].reduce<TraceState>((now, each) => followed(now, each, "inbox/"), running);
    expect(state.messages).toHaveLength(2);
    expect(state.messages[0]).toMatchObject({ inbox: "bob", milestones: [{ why: "publish full" }] });
  });
});

describe("a purge", () => {
  const waiting = [
    event("waiting", 1),
    event("waiting", 2),
    event("accepted", 3),
    event("accepted", 9, { inbox: "carol" }),
    event("acknowledged", 2),
  ];

  test("ends all that is there, in this inbox alone", () => {
    expect(outcomes(fold(...waiting, event("purged")))).toEqual(["1 purged", "2 acknowledged", "3 purged", "9 under way"]);
  });

  test("ends what is up to a seq", () => {
    expect(outcomes(fold(...waiting, event("purged", undefined, { up_to: 2, messages: 1 })))).toEqual([
      "1 purged",
      "2 acknowledged",
      "3 under way",
      "9 under way",
    ]);
  });

  test("ends the oldest, where only their number is said", () => {
    expect(outcomes(fold(...waiting, event("purged", undefined, { messages: 1 })))).toEqual([
      "1 purged",
      "2 acknowledged",
      "3 under way",
      "9 under way",
    ]);
  });

  test("of nothing that is known is no message", () => {
    expect(fold(event("purged", undefined, { messages: 5 })).messages).toEqual([]);
  });
});

describe("limits", () => {
  test("the newest messages stay, and older ones do not come back in pieces", () => {
    const seqs = Array.from({ length: MESSAGES_MAX + 5 }, (_, seq) => seq);
    const state = fold(...seqs.map((seq) => event("accepted", seq)), ...seqs.map((seq) => event("committed", seq)));
    expect(state.messages).toHaveLength(MESSAGES_MAX);
    expect(state.dropped).toBe(5);
    expect(outcomes(state).at(0)).toBe("5 on disk");
    expect(outcomes(state).at(-1)).toBe(`${String(MESSAGES_MAX + 4)} on disk`);
  });

  test("deliveries that repeat push nothing else out", () => {
    const again = Array.from({ length: 2 * MILESTONES_MAX }, (_, at) => event("delivered", 3, { at, dup: true }));
    const [message] = fold(event("accepted", 3), event("committed", 3), ...again).messages;
    expect(message?.milestones).toHaveLength(MILESTONES_MAX);
    expect(message?.milestones.slice(0, 2).map(({ what }) => what)).toEqual(["accepted", "committed"]);
    expect(message?.milestones.at(-1)?.at).toBe(2 * MILESTONES_MAX - 1);
  });

  test("what the broker could not follow is counted, and is no message", () => {
    const tooMany = { trace: 7, event: { what: "too-many", at: 1, followed: 10_000 } };
    expect(fold({ trace: 7, missed: 3 }, { trace: 7, missed: 4 }, tooMany)).toMatchObject({
      missed: 7,
      followedMax: 10_000,
      messages: [],
    });
  });
});

test("another trace, garbage and the end", () => {
  const others = [{ trace: 8, event: { what: "accepted", inbox: "bob" } }, null, { trace: 7 }, { trace: 7, event: 1 }, event("new", 1)];
  expect(fold(...others.slice(0, 4))).toEqual(running);
  expect(outcomes(fold(...others))).toEqual(["1 under way"]);
  expect(fold({ trace: 7, ended: "time" })).toMatchObject({ phase: "ended", ended: "time" });
  expect(over(fold({ trace: 7, ended: "time" }), "connection").ended).toBe("time");
});

describe("the trace that runs", () => {
  function tracer(): { requests: Requests; tracer: Tracer } {
    const requests = new Requests(() => true);
    return { requests, tracer: new Tracer(requests, "") };
  }

  test("goes on after its answer, and is heard no more when it has ended", async () => {
    const { requests, tracer: it } = tracer();
    const started = it.start({ to: "bob" });
    expect(it.state.value).toMatchObject({ phase: "starting", asked: { to: "bob" } });
    requests.answered("1", event("accepted", 1));
    requests.answered("1", { ok: true, result: { trace: 7 } });
    await started;
    expect(it.state.value).toMatchObject({ phase: "running", trace: 7 });
    requests.answered("1", { trace: 7, ended: "time" });
    requests.answered("1", event("accepted", 2));
    expect(it.state.value).toMatchObject({ phase: "ended", ended: "time" });
    expect(outcomes(it.state.value)).toEqual(["1 under way"]);
  });

  test("says that it ended with the connection, and keeps what it told", async () => {
    const { requests, tracer: it } = tracer();
    const started = it.start({ to: "bob" });
    requests.answered("1", { ok: true, result: { trace: 7 } });
    await started;
    requests.answered("1", event("accepted", 1));
    requests.lost();
    it.end("connection");
    expect(it.state.value).toMatchObject({ phase: "ended", ended: "connection" });
    expect(it.state.value.messages).toHaveLength(1);
  });

  test("is none where the broker refuses it, or the connection is lost before the answer", async () => {
    const { requests, tracer: it } = tracer();
    const refused = expect(it.start({})).rejects.toMatchObject({ code: "bad-request" });
    requests.answered("1", { ok: false, error: { code: "bad-request", message: "no" } });
    await refused;
    expect(it.state.value).toBe(noTrace);
    const lost = expect(it.start({ to: "bob" })).rejects.toMatchObject({ code: "lost" });
    requests.lost();
    it.end("connection");
    await lost;
    expect(it.state.value).toBe(noTrace);
  });

  test("is not stopped by the answer to the end of another", async () => {
    const { requests, tracer: it } = tracer();
    const first = it.start({ to: "bob" });
    requests.answered("1", { ok: true, result: { trace: 7 } });
    await first;
    const stopped = it.stop();
    requests.answered("1", { trace: 7, ended: "time" });
    const second = it.start({ to: "carol" });
    requests.answered("3", { ok: true, result: { trace: 8 } });
    await second;
    requests.answered("2", { ok: true, result: { stopped: false } });
    await stopped;
    expect(it.state.value).toMatchObject({ phase: "running", trace: 8 });
  });
});
