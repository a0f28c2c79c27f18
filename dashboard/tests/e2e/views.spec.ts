/** What an operator does, view by view; against the mock, or against a real broker. */
import { readFile } from "node:fs/promises";
import { connectPeer, ownName, type Peer } from "./peer";
import { AxeBuilder } from "@axe-core/playwright";
import { expect, open, test, visit } from "./site";

let peer: Peer;
test.beforeEach(async ({ site }) => {
  peer = await connectPeer(site);
});
test.afterEach(async () => {
  await peer.client.endAsync(true);
});

/** An inbox that nobody reads, with three messages: JSON, a page, bytes. */
async function inboxWithMail(): Promise<string> {
  const name = ownName("e2e-inbox");
  const payloads = [JSON.stringify({ text: "first" }), "<script>alert('payload')</script>", Buffer.from([0, 255, 254, 16])];
  for (const payload of payloads) await peer.client.publishAsync(peer.inboxTopic(name), payload, { qos: 1 });
  return name;
}

test("the overview shows live figures, charts and what a PUBACK waits for", async ({ page, site }) => {
  await open(page, site);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await expect(page.locator(".tile")).toHaveCount(8);
  await expect(page.locator(".tile", { hasText: "Clients connected" }).locator(".tile-value")).toHaveText(/^[1-9]/);
  await expect(page.locator(".waiting-head")).toHaveText(/Nothing|wait/);
  await expect(page.locator(".chart canvas")).toHaveCount(9);
  await expect(page.getByRole("img", { name: /^Publish to PUBACK: 99 %/ })).toBeVisible();
  const about = page.locator(".about");
  const before = await about.textContent();
  await expect(about).not.toHaveText(before ?? "");
});

test("mail is found, looked into, exported and purged", async ({ page, site }) => {
  const name = await inboxWithMail();
  await open(page, site, "#/inboxes");
  await page.getByLabel("Client ID begins with").fill(name);
  await page.locator("main .card").last().getByRole("link", { name }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
  await expect(page).toHaveTitle(`Inbox ${name} · inboxd`);
  const messages = page.locator(".message");
  await expect(messages).toHaveCount(3);
  await expect(messages.nth(0)).toContainText(peer.id);

  // A payload is text, also where it is a page.
  await messages.nth(1).locator("summary").click();
  await expect(messages.nth(1).locator(".payload")).toHaveText("<script>alert('payload')</script>");
  await messages.nth(0).locator("summary").click();
  await messages.nth(0).getByRole("button", { name: "JSON" }).click();
  await expect(messages.nth(0).locator(".payload")).toContainText('"text": "first"');
  await messages.nth(2).locator("summary").click();
  await expect(messages.nth(2).locator(".payload")).toContainText("00 ff fe 10");

  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  const lines = (await readFile(await (await download).path(), "utf8")).trim().split("\n");
  expect(lines.map((line) => Object.keys(JSON.parse(line) as object).includes("seq"))).toEqual([true, true, true]);

  const purge = page.getByRole("button", { name: "Purge …" });
  await purge.click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByRole("button", { name: "Purge" })).toBeDisabled();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(purge).toBeFocused();
  await expect(messages).toHaveCount(3);
  await purge.click();
  await dialog.getByRole("textbox").fill(name);
  await dialog.getByRole("button", { name: "Purge" }).click();
  await expect(page.locator(".toast").last()).toContainText("3 messages removed");
  await expect(page.getByText("Nothing waits here")).toBeVisible();
});

test("everything about a client is erased", async ({ page, site }) => {
  const name = await inboxWithMail();
  await open(page, site, `#/inbox/${encodeURIComponent(name)}`);
  await expect(page.locator(".message")).toHaveCount(3);
  await page.getByRole("button", { name: "Erase …" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill(name);
  await page.keyboard.press("Enter");
  await expect(page.locator(".toast")).toContainText("Erased: 3 messages");
  await expect(page.getByText("Nothing waits here")).toBeVisible();
});

test("an inbox that was never written to is no error without advice", async ({ page, site }) => {
  await open(page, site, "#/inbox/nobody-has-this-name");
  await expect(page.getByText("Nothing waits here").or(page.locator(".notice").first()).first()).toBeVisible();
});

test("clients are listed, shown and disconnected", async ({ page, site }) => {
  const gone = new Promise((resolve) => {
    peer.client.once("close", () => {
      resolve(true);
    });
  });
  await open(page, site, "#/clients");
  const row = page.getByRole("row", { name: peer.id });
  await row.getByRole("button", { name: peer.id, exact: true }).click();
  await expect(page.getByRole("dialog")).toContainText("Address");
  await page.keyboard.press("Escape");
  await row.getByRole("button", { name: "Disconnect" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
  await expect(page.locator(".toast")).toContainText("is disconnected");
  expect(await gone).toBe(true);
});

test("events come live, can be filtered and paused", async ({ page, site }) => {
  await open(page, site, "#/events");
  const second = await connectPeer(site);
  await expect(page.locator(".events li", { hasText: second.id }).first()).toBeVisible();
  await page.getByPlaceholder("Client ID, user, reason …").fill(second.id);
  await page.getByRole("button", { name: "Pause" }).click();
  await second.client.endAsync();
  await expect(page.getByRole("button", { name: /Resume \(\d+ new\)/ })).toBeVisible();
  await expect(page.locator(".events li")).toHaveCount(1);
  await page.getByRole("button", { name: /Resume/ }).click();
  await expect(page.locator(".events li", { hasText: "disconnected" })).toBeVisible();
  await page.getByRole("group", { name: "Kinds" }).getByRole("button", { name: "connected", exact: true }).click();
  await expect(page.locator(".events li")).toHaveCount(1);
});

test("a trace follows a message, and ends when it is told to", async ({ page, site }) => {
  const name = ownName("e2e-traced");
  await open(page, site, "#/trace");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
  await page.getByLabel("To", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.getByText(/Trace \d+ runs/)).toBeVisible();
  await peer.client.publishAsync(peer.inboxTopic(name), "where am I?", { qos: 1 });
  const first = page.locator(".traced > li").last();
  await expect(first).toContainText(name);
  await expect(first.locator(".milestones li").first()).toContainText("accepted");
  await expect(first).toContainText(/accepted|committed/);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("The trace is over")).toBeVisible();
});

test("it is used by keyboard, in both themes", async ({ page, site }) => {
  await open(page, site);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const theme = page.getByRole("button", { name: /^Theme/ });
  await theme.click();
  await expect(theme).toHaveAccessibleName("Theme: light");
  const light = await ground();
  await theme.click();
  expect(await ground()).not.toBe(light);
  await page.reload();
  await expect(page.getByRole("button", { name: "Theme: dark" })).toBeVisible();
});

test("an address that leads nowhere says so, and the way back works", async ({ page, site }) => {
  await open(page, site, "#/nothing");
  await expect(page.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await page.getByRole("link", { name: "Events" }).click();
  await expect(page.getByRole("heading", { name: "Events" })).toBeVisible();
  await expect(page).toHaveTitle("Events · inboxd");
  await expect(page.locator("main")).toBeFocused();
  await expect(page.getByRole("link", { name: "Events" })).toHaveAttribute("aria-current", "page");
  await page.goBack();
  await expect(page.getByText("There is no such page")).toBeVisible();
});

test("no view is wider than a phone", async ({ page, site }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  const name = await inboxWithMail();
  await open(page, site);
  for (const view of ["overview", "inboxes", `inbox/${encodeURIComponent(name)}`, "clients", "events", "trace"]) {
    await visit(page, site, `#/${view}`);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), view).toBeLessThanOrEqual(390);
  }
});

for (const colorScheme of ["light", "dark"] as const) {
  test.describe(`in ${colorScheme}`, () => {
    test.use({ colorScheme });
    test("axe finds nothing that shuts anybody out", async ({ page, site }) => {
      const name = await inboxWithMail();
      await open(page, site);
      for (const view of ["overview", "inboxes", `inbox/${encodeURIComponent(name)}`, "clients", "events", "trace"]) {
        await visit(page, site, `#/${view}`);
        const { violations } = await new AxeBuilder({ page }).analyze();
        expect(violations.map(({ id, nodes }) => `${view}: ${id} ${nodes[0]?.html ?? ""} ${nodes[0]?.failureSummary ?? ""}`)).toEqual([]);
      }
    });
  });
}
