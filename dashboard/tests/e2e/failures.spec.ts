/** What goes wrong with the connection, and what the page says then. The mock makes it go wrong, so a real broker is not asked. */
import { expect, mockOf, open, real, test } from "./site";

test.skip(real !== undefined, "only with the mock");

test("after a restart of the broker the page goes on by itself", async ({ page, site }) => {
  await open(page, site);
  await expect(page.locator(".tile")).toHaveCount(8);
  await mockOf(site).stop();
  await expect(page.locator(".banner")).toContainText("What you see is from before");
  await expect(page.locator("body")).toHaveAttribute("data-stale", "true");
  await expect(page.getByRole("button", { name: "Try now" })).toBeVisible();
  await mockOf(site).start();
  await expect(page.locator(".banner")).toBeHidden();
  await expect(page.locator("body")).toHaveAttribute("data-stale", "false");
});

test("a list that was asked for while the connection broke comes by itself", async ({ page, site }) => {
  await open(page, site);
  mockOf(site).options.isDeaf = true;
  await page.goto(`${site.url}#/inboxes`);
  await expect.poll(() => mockOf(site).asked).toContain("inbox/list");
  await mockOf(site).stop();
  await expect(page.locator(".banner")).toBeVisible();
  await expect(page.locator("main .notice")).toHaveCount(0);
  mockOf(site).options.isDeaf = false;
  await mockOf(site).start();
  await expect(page.locator("main .card").last().getByRole("link").first()).toBeVisible();
});

test.describe("a trace", () => {
  test.use({ mockOptions: { inboxPrefix: "inbox/" } });
  test("says what it does not show, and that it ended with the connection", async ({ page, site }) => {
    const mock = mockOf(site);
    await open(page, site, "#/trace?to=bob");
    await page.getByRole("button", { name: "Start" }).click();
    await expect(page.locator(".traced .step-why").first()).toBeVisible();
    // The topic that was refused has the prefix; the inbox has not.
    await expect(page.locator(".traced-way a").first()).toHaveAttribute("href", "#/inbox/bob");
    for (const { tell } of mock.traces.values()) {
      tell({ event: { what: "too-many", at: 1, followed: 10_000 } });
      tell({ missed: 12 });
    }
    await expect(page.getByText("the broker follows 10,000 at a time")).toBeVisible();
    await expect(page.getByText("12 milestones were missed")).toBeVisible();

    // The trace and what was asked are there after a look elsewhere.
    await page.getByRole("link", { name: "Events" }).click();
    await page.goto(`${site.url}#/trace`);
    await expect(page.getByLabel("To", { exact: true })).toHaveValue("bob");
    await expect(page.getByLabel("To", { exact: true })).toBeDisabled();
    mock.disconnectAll(0x8e);
    await expect(page.getByText("The trace is over: it ended with the connection")).toBeVisible();
    await expect(page.locator(".traced > li").first()).toBeVisible();
    await expect(page.getByRole("button", { name: "Start" })).toBeEnabled();
  });
});

test("a page whose client ID was taken over stops, until it is told to go on", async ({ page, site }) => {
  await open(page, site);
  mockOf(site).disconnectAll(0x8e);
  await expect(page.locator(".banner")).toContainText("took over");
  await expect(page.locator("header .state")).toHaveText("Stopped");
  await page.getByRole("button", { name: "Connect again" }).press("Enter");
  await expect(page.locator("header .state")).toHaveText("Live");
  await expect(page.locator("main")).toBeFocused();
});

test("a request that is not answered says what may be the matter", async ({ page, site }) => {
  await open(page, site);
  mockOf(site).options.isDeaf = true;
  await page.goto(`${site.url}#/clients`);
  await expect(page.getByRole("alert")).toContainText("did not answer in time");
  mockOf(site).options.isDeaf = false;
  await page.getByRole("button", { name: "Try again" }).press("Enter");
  await expect(page.locator("main table")).toBeVisible();
  await expect(page.locator("main .slot:focus")).toBeVisible();
});

test("a broker that falls silent is told apart from one that is gone", async ({ page, site }) => {
  await open(page, site);
  mockOf(site).options.isMute = true;
  await expect(page.locator(".banner")).toContainText("has said nothing for");
  await expect(page.locator("header .state")).toHaveText("Silent");
  await expect(page.locator(".banner")).toContainText(/Silent for \d+ s/);
  mockOf(site).options.isMute = false;
  await expect(page.locator(".banner")).toBeHidden();
});

test.describe("before the first report", () => {
  test.use({ mockOptions: { isMute: true } });
  test("every view says what it waits for", async ({ page, site }) => {
    await page.goto(site.url);
    await expect(page.getByText("Waiting for the first report")).toBeVisible();
    await page.goto(`${site.url}#/events`);
    await expect(page.getByText("No events yet")).toBeVisible();
  });
});

test("a port that is not the broker's is told as such", async ({ page, site, complaints }) => {
  await page.route("**/dashboard.json", (route) => route.fulfill({ status: 502, body: "" }));
  await page.goto(site.url);
  await expect(page.getByText("does not answer as it should")).toBeVisible();
  await expect(page.getByText("502")).toBeVisible();
  await page.unroute("**/dashboard.json");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.locator("header .state")).toHaveText("Live");
  // The browser's own line about the status.
  expect(complaints.splice(0)).toHaveLength(1);
});
