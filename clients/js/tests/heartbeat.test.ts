/** The heartbeat: it finds dead links, and how rare it may be. */

import { expect, test } from "vitest";

import { Heartbeat } from "../dist/heartbeat.js";
import { settle } from "../dist/options.js";
import { PINGRESP } from "./relay.js";
import { until, World } from "./world.js";

const BOUNDS = { firstMs: 30_000, shortestMs: 10_000, longestMs: 240_000 };

/** When there is something to do. */
function next(beat: Heartbeat, now: number): number {
  const due = beat.due(now, Infinity);
  return due.is === "wait" ? due.until : now;
}

/** The heartbeat after some hours behind a router that forgets links after so long a silence. */
function behindARouter(forgetsAfterMs: number): Heartbeat {
  const beat = new Heartbeat(BOUNDS);
  let now = 0;
  beat.connected(now);
  for (let round = 0; round < 1000; round += 1) {
    const silentSince = now;
    now = next(beat, now);
    expect(beat.due(now, Infinity)).toEqual({ is: "ask" });
    beat.asking(now);
    if (now - silentSince < forgetsAfterMs) {
      now += 50;
      beat.heard(now);
      continue;
    }
    now = next(beat, now);
    expect(beat.due(now, Infinity)).toEqual({ is: "dead" });
    beat.lost();
    beat.connected(now);
  }
  return beat;
}

test("the interval grows to what the link survives", () => {
  expect(behindARouter(Infinity).intervalMs).toBe(BOUNDS.longestMs);
  for (const router of [15_000, 35_000, 65_000, 130_000]) {
    const { intervalMs } = behindARouter(router);
    expect(intervalMs).toBeGreaterThanOrEqual(BOUNDS.shortestMs);
    expect(intervalMs).toBeLessThanOrEqual(router * 1.5);
  }
});

test("a half dead link is found within one and a half intervals", () => {
  const beat = new Heartbeat(BOUNDS);
  beat.connected(0);
  // What is written meanwhile is no sign of life of the other side.
  beat.sent(20_000);
  expect(beat.due(29_000, Infinity)).toEqual({ is: "wait", until: 30_000 });
  expect(beat.due(30_000, Infinity)).toEqual({ is: "ask" });
  beat.asking(30_000);
  expect(beat.due(44_000, Infinity).is).toBe("wait");
  expect(beat.due(45_000, Infinity).is).toBe("dead");
});

test("the broker may want shorter silences", () => {
  const beat = new Heartbeat(BOUNDS);
  beat.connected(0);
  expect(beat.due(0, 5_000)).toEqual({ is: "wait", until: 5_000 });
});

test("a link that is dead without a word is given up", async () => {
  const world = new World();
  try {
    await world.start();
    world.relay.swallow("to client", PINGRESP);
    const alice = await world.client("alice", { heartbeatFirstMs: 200, heartbeatShortestMs: 200 });
    const links = (state: string) => world.seen("alice", "link").filter((link) => link.state === state);
    await until(() => links("connected").length === 2);
    expect(links("waiting").map(({ why }) => why)).toEqual([expect.stringContaining("silent")]);
    expect(alice.state).toBe("connected");
  } finally {
    await world.end();
  }
});

test("a heartbeat takes longer than no time", () => {
  expect(() => settle({ clientId: "alice", outbox: "alice.inbox", heartbeatShortestMs: 0 })).toThrow(RangeError);
});
