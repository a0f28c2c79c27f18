/** Lists with names as an attacker makes them, that are long, change, or fail; with the mock alone. */
import { HOSTILE } from "../mock/world.mjs";
import { expect, mockOf, open, real, test } from "./site";

test.skip(real !== undefined, "only with the mock");

test("what is counted anew each time keeps the focus, and how far it was scrolled", async ({ page, site }) => {
  const { world } = mockOf(site);
  await open(page, site, "#/inboxes");
  const largest = page.locator("main .card").first();
  const link = largest.getByRole("link").first();
  await link.focus();
  const rows = await largest.locator("tbody").evaluateHandle((body) => {
    body.closest(".scroll")?.scrollBy(0, 40);
    return [...body.children];
  });
  const [first] = world.top().largest;
  world.inboxes.get(first?.client ?? "").count = 99_999;
  await expect(largest.locator("td.number").first()).toHaveText("99,999");
  await expect(link).toBeFocused();
  expect(await rows.evaluate((all) => all.every((row) => row.isConnected))).toBe(true);
  expect(await largest.locator(".scroll").evaluate((scrolled) => scrolled.scrollTop)).toBe(40);
});

test("thousands of events at once are drawn once a frame, and the newest 500 stay", async ({ page, site }) => {
  await open(page, site, "#/events");
  const drawn = await page.locator("main").evaluateHandle((main) => {
    const seen = { frames: 0, draws: 0 };
    const tick = (): void => {
      seen.frames += 1;
      requestAnimationFrame(tick);
    };
    tick();
    new MutationObserver(() => (seen.draws += 1)).observe(main, { childList: true, subtree: true });
    return seen;
  });
  for (let at = 1; at <= 3000; at += 1) mockOf(site).event("connected", { client: `device-${String(at)}` });
  await expect(page.locator(".events li", { hasText: "device-3000" })).toBeVisible();
  await expect(page.locator(".events li")).toHaveCount(500);
  const { frames, draws } = await drawn.jsonValue();
  expect(draws).toBeLessThanOrEqual(frames);
});

test.describe("names", () => {
  test.use({ mockOptions: { scenario: "hostile" } });
  test("of scripts, line feeds and emoji are text everywhere, and lead to their inbox", async ({ page, site }) => {
    await open(page, site);
    for (const view of ["overview", "inboxes", "clients"]) {
      await page.goto(`${site.url}#/${view}`);
      await expect(
        page
          .locator("main .name", { hasText: "<script>alert('inbox')</script>" })
          .or(page.locator("main .name", { hasText: "<img" }))
          .first(),
      ).toBeVisible();
    }
    for (const name of HOSTILE) {
      await page.goto(`${site.url}#/inbox/${encodeURIComponent(name)}`);
      await expect(page.locator(".message").first()).toBeVisible();
    }
    // The last checks of this test are the complaints: no dialog was opened, nothing broke the policy.
    expect(await page.locator("main script, main img").count()).toBe(0);
  });

  test("that cannot be typed are confirmed as they are shown", async ({ page, site }) => {
    await open(page, site, `#/inbox/${encodeURIComponent("two\nlines\r\nand a\ttab")}`);
    await page.getByRole("button", { name: "Purge …" }).click();
    await page.getByRole("dialog").getByRole("textbox").fill("two\\nlines\\r\\nand a\\ttab");
    await page.getByRole("dialog").getByRole("button", { name: "Purge" }).click();
    await expect(page.locator(".toast")).toContainText("messages removed");
  });
});

test.describe("100,000 inboxes", () => {
  test.use({ mockOptions: { scenario: "many" } });
  test("are paged and found", async ({ page, site }) => {
    await open(page, site, "#/inboxes");
    const list = page.locator("main .card").last();
    await expect(list.getByRole("link")).toHaveCount(50);
    await list.getByRole("button", { name: "Next" }).click();
    await expect(list).toContainText("Inboxes 51 to 100");
    await list.getByRole("button", { name: "Next" }).click();
    await list.getByRole("button", { name: "Previous" }).click();
    await expect(list).toContainText("Inboxes 51 to 100");
    await page.getByLabel("Client ID begins with").fill("device-0999");
    await expect(list.getByRole("link", { name: "device-099900" })).toBeVisible();
    await page.getByLabel("Client ID begins with").fill("nobody");
    await expect(list).toContainText("No inbox with mail begins so");
    await page.reload();
    await expect(page.getByLabel("Client ID begins with")).toHaveValue("nobody");
  });

  test("are paged by keyboard, and a click before the page is there does not skip one", async ({ page, site }) => {
    await open(page, site, "#/inboxes");
    const list = page.locator("main .card").last();
    const next = list.getByRole("button", { name: "Next" });
    const previous = list.getByRole("button", { name: "Previous" });
    await next.press("Enter");
    await expect(list).toContainText("Inboxes 51 to 100");
    await expect(next).toBeFocused();
    await previous.press("Enter");
    await expect(list).toContainText("Inboxes 1 to 50");
    await expect(next).toBeFocused();

    await next.press("Enter");
    await expect(list).toContainText("Inboxes 51 to 100");
    await list.locator(".pager").evaluate((foot) => {
      for (const button of foot.querySelectorAll("button")) button.click();
    });
    await expect(list).toContainText("Inboxes 1 to 50");
    await expect(list.getByRole("link", { name: "device-000000" })).toBeVisible();
  });

  test("that are gone leave the page before, and an error leaves the way back", async ({ page, site }) => {
    const { world } = mockOf(site);
    await open(page, site, "#/inboxes");
    const list = page.locator("main .card").last();
    await list.getByRole("button", { name: "Next" }).click();
    await expect(list).toContainText("Inboxes 51 to 100");
    const { row } = world;
    world.row = () => {
      throw new Error("the store lacks something for now");
    };
    await list.getByRole("button", { name: "Next" }).click();
    await expect(list.getByRole("alert")).toContainText("The store lacks something for now.");
    await expect(list.getByRole("button", { name: "Next" })).toBeHidden();
    world.row = row;
    await list.getByRole("button", { name: "Try again" }).click();
    await expect(list).toContainText("Inboxes 101 to 150");

    for (const client of [...world.inboxes.keys()].slice(30)) world.inboxes.delete(client);
    await list.getByRole("button", { name: "Refresh" }).click();
    await expect(list.getByRole("link")).toHaveCount(30);
    await expect(list.locator(".pager")).toBeHidden();
  });
});

test.describe("an idle broker", () => {
  test.use({ mockOptions: { scenario: "idle" } });
  test("has no mail, and says so", async ({ page, site }) => {
    await open(page, site);
    await expect(page.getByText("Nothing was refused")).toBeVisible();
    await page.goto(`${site.url}#/inboxes`);
    await expect(page.getByText("No mail waits").last()).toBeVisible();
  });
});
