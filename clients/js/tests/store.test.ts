/** The store: what was committed is there again, and nobody else has it. */

import { appendFileSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeEach, expect, test } from "vitest";

import { StoreError } from "../dist/index.js";
import { Store } from "../dist/store.js";
import { failure } from "./world.js";

let path: string;

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "inboxd-store-")), "s");
});

test("what was committed is there again", async () => {
  const store = await Store.open(path, "alice");
  await Promise.all([...Array(20).keys()].map((number) => store.commit([["out", `m${number}`, { number }]])));
  await store.commit([
    ["out", "m3", undefined],
    ["in", "m3", { payload: new Uint8Array([0, 255]) }],
  ]);
  await store.close();
  const again = await Store.open(path, "alice");
  expect(again.load("out").map(([key]) => key)).toEqual([...Array(20).keys()].filter((number) => number !== 3).map((n) => `m${n}`));
  expect(again.load("in")).toEqual([["m3", { payload: new Uint8Array([0, 255]) }]]);
  await again.close();
});

test("one client has it at a time", async () => {
  const store = await Store.open(path, "alice");
  await expect(Store.open(path, "alice")).rejects.toThrow(/held by process/);
  await store.close();
  await (await Store.open(path, "alice")).close();
});

test("a lock of a process that is gone is taken over", async () => {
  writeFileSync(`${path}.lock`, "2147483646");
  await (await Store.open(path, "alice")).close();
});

test("it belongs to one client ID", async () => {
  await (await Store.open(path, "alice")).close();
  await expect(Store.open(path, "bob")).rejects.toThrow(/that of client alice/);
});

test.each(["0123456789abcdef [[", "x", "0123456789abcdef [] \n"])("a torn last line is cut off: %j", async (torn) => {
  const store = await Store.open(path, "alice");
  await store.commit([["out", "m1", { number: 1 }]]);
  await store.close();
  appendFileSync(path, torn);
  const again = await Store.open(path, "alice");
  await again.commit([["out", "m2", { number: 2 }]]);
  await again.close();
  const third = await Store.open(path, "alice");
  expect(third.load("out").map(([key]) => key)).toEqual(["m1", "m2"]);
  await third.close();
});

test("damage before the last line is told", async () => {
  const store = await Store.open(path, "alice");
  await store.commit([["out", "m1", { number: 1 }]]);
  await store.close();
  writeFileSync(path, readFileSync(path, "utf8").replace("alice", "malice"));
  await failure(StoreError, Store.open(path, "alice"));
});

test.each(["no store", "no store\n", "this is\nno store\nat all\n"])(
  "a file of another kind is refused, and left as it is: %j",
  async (text) => {
    writeFileSync(path, text);
    await failure(StoreError, Store.open(path, "alice"));
    expect(readFileSync(path, "utf8")).toBe(text);
  },
);

test("the past is thrown away", async () => {
  const store = await Store.open(path, "alice");
  for (let number = 0; number < 100; number += 1) {
    await store.commit([["out", "m1", { number, payload: new Uint8Array(50_000) }]]);
  }
  expect(statSync(path).size).toBeLessThan(2 * 1024 * 1024);
  await store.commit([["out", "m2", { number: 2 }]]);
  await store.close();
  const again = await Store.open(path, "alice");
  expect(again.load("out").map(([key, { number }]) => [key, number])).toEqual([
    ["m1", 99],
    ["m2", 2],
  ]);
  await again.close();
});
