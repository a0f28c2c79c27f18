/** What PUBACKs and receipts say about messages: only what happened, and never less than before. */

import { beforeEach, expect, test } from "vitest";

import { ForgottenError, RefusedError, type Sent, type State, UnsupportedError } from "../dist/index.js";
import { Bench, newPath } from "./bench.js";
import { failure } from "./world.js";

let path: string;

beforeEach(() => {
  path = newPath();
});

test("states come one after the other", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer();
  await sent.stored();
  expect([sent.state, sent.seq]).toEqual(["stored", 7]);
  await bench.tell(sent, "delivered");
  expect(sent.state).toBe("delivered");
  await bench.tell(sent, "read");
  await sent.read();
  expect(bench.sending.handles()).toEqual([]);
  await bench.end();
});

test("a repeat that was delivered already is delivered", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer("delivered");
  await sent.delivered();
  await bench.end();
});

test("a receipt may come before PUBACK and frees the queue", async () => {
  const bench = await Bench.open(path);
  const [first, second] = [await bench.send(), await bench.send()];
  expect(bench.published).toEqual([first.id]);
  await bench.tell(first, "delivered");
  expect(bench.published).toEqual([first.id, second.id]);
  // The late answer to the first one says nothing about the second.
  bench.answer("", 1, 0x97);
  expect([first.state, second.state]).toEqual(["delivered", "queued"]);
  await bench.end();
});

test("a receipt about another inbox is not believed", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer();
  await bench.tell(sent, "read", "carol");
  expect(sent.state).toBe("stored");
  await bench.end();
});

test("states never go back", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer();
  await bench.tell(sent, "read");
  await bench.tell(sent, "delivered");
  expect(sent.state).toBe("read");
  expect(bench.events.flatMap((event) => (event.type === "progress" ? [event.state] : []))).toEqual(["stored", "read"]);
  await bench.end();
});

test("a message that left unread was stored and will not be delivered", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer();
  await bench.tell(sent, undefined);
  await sent.stored();
  expect((await failure(RefusedError, sent.delivered())).message).toBe("why");
  await failure(RefusedError, sent.read());
  await bench.end();
});

test("a broker without receipts is told", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  bench.answer("");
  await sent.stored();
  expect((await failure(UnsupportedError, sent.delivered())).message).toContain("must be updated");
  await bench.end();
});

test("without receipts nobody waits for ever", async () => {
  const bench = await Bench.open(path);
  const sent = await bench.send("");
  bench.answer();
  await sent.stored();
  await failure(UnsupportedError, sent.delivered());
  await bench.end();
});

test.each<State>(["queued", "stored"])("what is open is followed after a restart: %s", async (left) => {
  const bench = await Bench.open(path);
  const sent = await bench.send();
  if (left === "stored") bench.answer();
  await bench.end();
  const again = await Bench.open(path);
  const [handle] = again.sending.handles();
  expect([handle?.id, handle?.state]).toEqual([sent.id, left]);
  if (handle) await again.tell(handle, "read");
  await handle?.read();
  await again.end();
  const third = await Bench.open(path);
  expect(third.sending.handles()).toEqual([]);
  await third.end();
});

test("the oldest is not followed for ever", async () => {
  const bench = await Bench.open(path, { followedMax: 2 });
  const sent: Sent[] = [];
  for (let number = 0; number < 3; number += 1) {
    sent.push(await bench.send());
    bench.answer();
  }
  await failure(ForgottenError, sent[0]?.delivered() ?? Promise.resolve());
  expect(bench.sending.handles()).toEqual(sent.slice(1));
  await bench.end();
});
