/** Pictures of each view, to be looked at: `INBOX_DASHBOARD_SHOTS=/tmp/shots npm run e2e -- shots`. */
import { open, test, expect, visit, type Site } from "./site";
import type { Page } from "@playwright/test";

const folder = process.env.INBOX_DASHBOARD_SHOTS;
test.skip(folder === undefined, "INBOX_DASHBOARD_SHOTS does not say where to");

const LOOKS = [
  { look: "light", colorScheme: "light", viewport: { width: 1280, height: 860 } },
  { look: "dark", colorScheme: "dark", viewport: { width: 1280, height: 860 } },
  { look: "phone", colorScheme: "light", viewport: { width: 390, height: 844 } },
] as const;

async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${folder ?? ""}/${name}.png`, fullPage: true, animations: "disabled" });
}

/** What the mock makes happen comes one by one; a real broker may have nothing to tell. */
async function wait(page: Page, site: Site, rows: string, count: number): Promise<void> {
  if (site.mock) await expect(page.locator(rows).nth(count - 1)).toBeVisible();
}

for (const { look, ...use } of LOOKS) {
  test.describe(look, () => {
    test.use({ ...use, mockOptions: { scenario: "loaded", history: 115 }, deviceScaleFactor: look === "phone" ? 2 : 1 });

    test(`views, ${look}`, async ({ page, site }) => {
      test.setTimeout(90_000);
      await open(page, site);
      await visit(page, site, "#/overview");
      await shoot(page, `overview-${look}`);
      await visit(page, site, "#/inboxes");
      await shoot(page, `inboxes-${look}`);
      const first = page.locator("main table a").first();
      if ((await first.count()) > 0) {
        await first.click();
        await page.locator(".message").first().click();
        await expect(page.locator("main .loading")).toHaveCount(0);
        await shoot(page, `inbox-${look}`);
        await page.getByRole("button", { name: "Purge" }).click();
        await shoot(page, `purge-${look}`);
        await page.keyboard.press("Escape");
      }
      await visit(page, site, "#/clients");
      await shoot(page, `clients-${look}`);
      await page.locator("main table .link").first().click();
      await expect(page.getByRole("dialog").locator("dl")).toBeVisible();
      await shoot(page, `client-${look}`);
      await page.keyboard.press("Escape");
      await visit(page, site, "#/events");
      await wait(page, site, ".events li", 5);
      await shoot(page, `events-${look}`);
      await visit(page, site, "#/trace?from=alice&to=bob");
      await page.getByRole("button", { name: "Start" }).click();
      await wait(page, site, ".traced > li", 5);
      await shoot(page, `trace-${look}`);
    });

    test(`states, ${look}`, async ({ page, site }) => {
      const { mock } = site;
      test.skip(!mock, "only with the mock");
      if (!mock) return;
      await open(page, site);
      await visit(page, site, "#/overview");
      await mock.stop();
      await expect(page.getByRole("button", { name: "Try now" })).toBeVisible();
      await shoot(page, `lost-${look}`);
      mock.options.anonymous = false;
      await mock.start();
      await expect(page.getByLabel("User name")).toBeVisible();
      await page.getByLabel("User name").fill("ops");
      await page.getByLabel("Password", { exact: true }).fill("wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      await expect(page.locator(".notice")).toContainText("does not accept");
      await shoot(page, `login-${look}`);
      await page.getByLabel("User name").fill("alice");
      await page.getByLabel("Password", { exact: true }).fill("secret");
      await page.getByRole("button", { name: "Log in" }).click();
      await expect(page.getByText("may not watch")).toBeVisible();
      await shoot(page, `denied-${look}`);
    });
  });

  for (const scenario of ["idle", "hostile", "many"]) {
    test.describe(`${scenario}, ${look}`, () => {
      test.use({ ...use, mockOptions: { scenario, history: 60 }, deviceScaleFactor: look === "phone" ? 2 : 1 });
      test(`${scenario}, ${look}`, async ({ page, site }) => {
        test.skip(!site.mock, "only with the mock");
        await open(page, site);
        await visit(page, site, "#/overview");
        await shoot(page, `${scenario}-overview-${look}`);
        for (const view of ["inboxes", "clients", "events", "trace"]) {
          await visit(page, site, `#/${view}`);
          if (view === "events" && scenario !== "idle") await wait(page, site, ".events li", 5);
          await shoot(page, `${scenario}-${view}-${look}`);
        }
        if (scenario !== "hostile") return;
        await visit(page, site, "#/inboxes");
        await page.locator("main table a").first().click();
        await page.locator(".message").first().click();
        await shoot(page, `${scenario}-inbox-${look}`);
      });
    });
  }
}
