/** The client in a real browser, over WebSocket and IndexedDB. */

import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { createServer, type ViteDevServer } from "vite";
import { join } from "node:path";

import type { Delivery, Inbox as InboxClass, Sent } from "../../dist/index.js";
import { take, World } from "../world.js";

declare global {
  interface Window {
    Inbox: typeof InboxClass;
    inbox: InboxClass;
    sent: Sent;
    delivery: Delivery;
  }
}

const CONFIG = '[http]\nlisten = "127.0.0.1:0"\norigins = ["*"]\n';
let pages: ViteDevServer;
let world: World;

test.beforeAll(async () => {
  pages = await createServer({
    root: join(import.meta.dirname, "../.."),
    configFile: false,
    logLevel: "error",
    server: { port: 0, host: "127.0.0.1" },
    // What is found on the way reloads the page, in the middle of a test.
    optimizeDeps: { include: ["mqtt", "@msgpack/msgpack"] },
  });
  await pages.listen();
});
test.afterAll(() => pages.close());
test.beforeEach(async () => {
  world = new World();
  await world.start(CONFIG, "http");
});
test.afterEach(() => world.end());

/** A tab with alice in it. */
async function tab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${pages.resolvedUrls?.local[0] ?? ""}tests/browser/page.html`);
  await page.waitForFunction(() => window.Inbox !== undefined);
  return page;
}

async function connected(context: BrowserContext): Promise<Page> {
  const page = await tab(context);
  await page.evaluate(async (url) => {
    window.inbox = await window.Inbox.connect({
      clientId: "alice",
      outbox: "alice",
      url,
      reconnectLeastMs: 50,
      reconnectMostMs: 500,
      answerTimeoutMs: 1000,
    });
  }, url());
  return page;
}

function url(): string {
  return `ws://127.0.0.1:${world.relay.port}`;
}

test("a page sends and receives, through a cut link", async ({ context }) => {
  const page = await connected(context);
  const bob = await world.client("bob", { url: url() });
  await page.evaluate(async () => (await window.inbox.send("bob", "from a page")).stored());
  expect(await take(bob, 1)).toEqual(["from a page"]);
  world.relay.cut();
  await bob.send("alice", "to a page");
  const [from, text] = await page.evaluate(async () => {
    const delivery = await window.inbox.recv();
    await delivery.ack();
    return [delivery.from, delivery.text()];
  });
  expect([from, text]).toEqual(["bob", "to a page"]);
  expect(await page.evaluate(() => window.inbox.close())).toBe(0);
});

test("the outbox survives a closed tab", async ({ context }) => {
  world.relay.shut();
  const page = await connected(context);
  await page.evaluate(async () => {
    for (let number = 0; number < 5; number += 1) await window.inbox.send("bob", `message ${number}`);
  });
  await page.close();
  world.relay.isOpen = true;
  const again = await connected(context);
  const bob = await world.client("bob", { url: url() });
  expect(await take(bob, 5)).toEqual([0, 1, 2, 3, 4].map((number) => `message ${number}`));
  expect(await again.evaluate(() => window.inbox.close())).toBe(0);
});

test("what was acknowledged does not come to the next tab", async ({ context }) => {
  const bob = await world.client("bob", { url: url() });
  for (const text of ["one", "two"]) await bob.send("alice", text);
  const page = await connected(context);
  expect(
    await page.evaluate(async () => {
      const delivery = await window.inbox.recv();
      await delivery.ack();
      return delivery.text();
    }),
  ).toBe("one");
  await page.close();
  const again = await connected(context);
  expect(await again.evaluate(async () => (await window.inbox.recv()).text())).toBe("two");
});

test("another tab is told that the store is in use", async ({ context }) => {
  await connected(context);
  const second = await tab(context);
  const why = await second.evaluate(
    (url) =>
      window.Inbox.connect({ clientId: "alice", outbox: "alice", url }).then(String, (error: Error) => `${error.name}: ${error.message}`),
    url(),
  );
  expect(why).toContain("StoreError");
  expect(why).toContain("open in another tab");
});
