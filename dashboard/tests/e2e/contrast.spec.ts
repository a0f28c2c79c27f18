/** Text can be read in every state, in both themes: also figures from before, and a list that is asked for anew. With the mock, which goes away at will. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, mockOf, open, real, test, visit } from "./site";

test.skip(real !== undefined, "only with the mock");

const VIEWS = ["overview", "inbox/bob", "clients"];

/** Text that axe finds hard to read, in the light theme and in the dark one. */
async function faults(page: Page): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).withRules("color-contrast").analyze();
    for (const { nodes } of violations) found.push(`${colorScheme}: ${nodes[0]?.html ?? ""} ${nodes[0]?.failureSummary ?? ""}`);
  }
  return found;
}

test("figures from before are readable", async ({ page, site }) => {
  const mock = mockOf(site);
  const expectReadable = async (view: string): Promise<void> => {
    await expect(page.locator("body")).toHaveAttribute("data-stale", "true");
    const filters = await page
      .locator("main .live:not(:has(> .chart))")
      .evaluateAll((all) => all.map((each) => getComputedStyle(each).filter));
    expect(new Set(filters), "told apart from live ones").toEqual(new Set(["grayscale(1)"]));
    expect(await faults(page), view).toEqual([]);
  };
  await open(page, site);
  for (const view of VIEWS) {
    await visit(page, site, `#/${view}`);
    // A page that was taken over does nothing until it is told to.
    mock.disconnectAll(0x8e);
    await expect(page.locator(".banner.bad")).toBeVisible();
    await expectReadable(view);
    await page.getByRole("button", { name: "Connect again" }).click();
    await expect(page.locator("body")).toHaveAttribute("data-stale", "false");
  }
  await mock.stop();
  await expect(page.locator(".banner.warn")).toBeVisible();
  await expectReadable("a broker that is away");
  await mock.start();
});

test.describe("what is asked for anew", () => {
  test.use({ mockOptions: { scenario: "many" } });
  test("is readable until the answer comes", async ({ page, site }) => {
    const { options } = mockOf(site);
    // No question is given up here, however long axe takes.
    await page.addInitScript((givenUpMs) => {
      const later = window.setTimeout.bind(window);
      const patient = (act: () => void, ms?: number): number => (ms === givenUpMs ? 0 : later(act, ms));
      Object.assign(window, { setTimeout: patient });
    }, 15_000);
    await open(page, site);
    for (const view of ["inboxes", "inbox/device-000000"]) {
      const busy = page.locator("main [aria-busy=true]").first();
      options.isDeaf = false;
      await visit(page, site, `#/${view}`);
      options.isDeaf = true;
      await page.getByRole("button", { name: "Refresh" }).click();
      await expect(busy).toBeVisible();
      expect(await faults(page), view).toEqual([]);
      await expect(busy).toBeVisible();
    }
  });
});

test("a trace that runs, and a dialog that asks, are readable", async ({ page, site }) => {
  await open(page, site, "#/trace?to=bob");
  await page.getByRole("button", { name: "Start" }).click();
  await expect(page.locator(".traced .step-why").first()).toBeVisible();
  await expect(page.getByLabel("To", { exact: true })).toBeDisabled();
  expect(await faults(page)).toEqual([]);
  // axe passes over what is disabled; what is asked for there is read all the same.
  expect(await page.getByLabel("To", { exact: true }).evaluate((input) => getComputedStyle(input).opacity)).toBe("1");

  await visit(page, site, "#/inbox/bob");
  await page.getByRole("button", { name: "Purge …" }).click();
  await page.getByRole("dialog").getByRole("textbox").fill("bob");
  await expect(page.getByRole("dialog").getByRole("button", { name: "Purge" })).toBeEnabled();
  expect(await faults(page)).toEqual([]);
});
