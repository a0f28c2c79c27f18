/** What goes wrong, and what the page says then. The mock makes it go wrong, so a real broker is not asked. */
import { HOSTILE } from "../mock/world.mjs";
import { expect, logIn, open, real, test } from "./site";
import type { MockBroker } from "../mock/broker.mjs";
import type { Site } from "./site";

test.skip(real !== undefined, "only with the mock");

function mockOf(site: Site): MockBroker {
  if (!site.mock) throw new Error("these tests run with the mock");
  return site.mock;
}

test.describe("with users", () => {
  test.use({ mockOptions: { anonymous: false } });

  test("a wrong password stays at the login, and a right one goes on", async ({ page, site }) => {
    await page.goto(site.url);
    await expect(page.getByLabel("User name")).toBeFocused();
    await logIn(page, "ops", "wrong");
    await expect(page.getByRole("alert")).toContainText("does not accept this login");
    await expect(page.getByLabel("User name")).toHaveValue("ops");
    await logIn(page, "ops", "secret");
    await expect(page.locator("header .who")).toHaveText("ops");
    await expect(page.locator("main")).toBeFocused();
    // Nothing is kept unless that was asked for.
    expect(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))).not.toContain("secret");
    await page.reload();
    await expect(page.getByLabel("User name")).toBeVisible();
    await page.getByLabel("Stay logged in").check();
    await logIn(page, "ops", "secret");
    await expect(page.locator("header .state")).toHaveText("Live");
    await page.reload();
    await expect(page.locator("header .state")).toHaveText("Live");
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page.getByLabel("User name")).toBeVisible();
    expect(await page.evaluate(() => sessionStorage.getItem("inboxd-login"))).toBeNull();
  });

  test("a login without the role is told which one, and can be left", async ({ page, site }) => {
    await page.goto(site.url);
    await logIn(page, "alice", "secret");
    await expect(page.getByRole("heading", { name: "This login may not watch the broker" })).toBeVisible();
    await expect(page.getByText("--role ops")).toBeVisible();
    await expect(page.getByText("0x87").first()).toBeVisible();
    await page.getByRole("link", { name: "Events" }).click();
    await expect(page.getByRole("link", { name: "Events" })).toHaveAttribute("aria-current", "page");
    await page.getByRole("button", { name: "Try again" }).press("Enter");
    await expect(page.locator("main")).toBeFocused();
    await expect(page.getByRole("heading", { name: "This login may not watch the broker" })).toBeVisible();
    await page.getByRole("button", { name: "Log in as somebody else" }).click();
    await logIn(page, "ops", "secret");
    await expect(page.getByRole("heading", { name: "Events" })).toBeVisible();
  });

  test("signing out forgets the login and all that was shown, also where the role is missing", async ({ page, site }) => {
    const stored = (): Promise<string> => page.evaluate(() => JSON.stringify({ ...sessionStorage }));
    await page.goto(site.url);
    await page.getByLabel("Stay logged in").check();
    await logIn(page, "alice", "secret");
    await page.getByRole("button", { name: "Log in as somebody else" }).click();
    await expect(page.getByLabel("User name")).toBeVisible();
    expect(await stored()).not.toContain("secret");

    await logIn(page, "ops", "secret");
    await page.goto(`${site.url}#/events`);
    await page.getByPlaceholder("Client ID, user, reason …").fill("bob");
    await page.getByRole("link", { name: "Clients" }).click();
    await page.getByRole("button", { name: "Disconnect" }).first().click();
    await expect(page.getByRole("dialog")).toBeVisible();
    mockOf(site).disconnectAll(0xa0);
    await expect(page.getByRole("alert")).toContainText("The token has expired");
    await expect(page.getByRole("dialog")).toHaveCount(0);
    await logIn(page, "ops", "secret");
    await page.getByRole("link", { name: "Events" }).click();
    await expect(page.getByPlaceholder("Client ID, user, reason …")).toHaveValue("");
  });

  test("a token logs in, and its end asks for a fresh one", async ({ page, site }) => {
    const body = Buffer.from(JSON.stringify({ sub: "ops", roles: ["ops"] })).toString("base64url");
    await page.goto(site.url);
    await page.getByRole("button", { name: "Token" }).click();
    await page.getByLabel("Token", { exact: true }).fill(`e30.${body}.c2ln`);
    await expect(page.getByLabel("User name")).toHaveValue("ops");
    await page.getByRole("button", { name: "Log in" }).click();
    await expect(page.locator("header .state")).toHaveText("Live");
    mockOf(site).disconnectAll(0xa0);
    await expect(page.getByRole("alert")).toContainText("The token has expired");
  });

  test("a connection that is ended before it is there says why at the login", async ({ page, site }) => {
    const mock = mockOf(site);
    mock.subscribe = () => {
      mock.disconnectAll(0x98, "an operator ended this connection");
    };
    await page.goto(site.url);
    await logIn(page, "ops", "secret");
    await expect(page.getByRole("alert")).toContainText("An operator ended this connection.");
    await expect(page.getByRole("button", { name: "Log in" })).toBeEnabled();
  });

  test("a broker that is away at the login is named", async ({ page, site }) => {
    await page.goto(site.url);
    await expect(page.getByLabel("User name")).toBeVisible();
    await mockOf(site).stop();
    await logIn(page, "ops", "secret");
    await expect(page.getByRole("alert")).toContainText("does not answer at ws://127.0.0.1");
    await mockOf(site).start();
  });
});

test("after a restart of the broker the page goes on by itself", async ({ page, site }) => {
  await open(page, site);
  await expect(page.locator(".tile")).toHaveCount(8);
  await mockOf(site).stop();
  await expect(page.locator(".banner")).toContainText("What you see is from before");
  await expect(page.locator("body")).toHaveAttribute("data-stale", "true");
  await expect(page.getByRole("button", { name: "Try now" })).toBeVisible({ timeout: 10_000 });
  await mockOf(site).start();
  await expect(page.locator(".banner")).toBeHidden({ timeout: 20_000 });
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
  await expect(page.locator("main .card").last().getByRole("link").first()).toBeVisible({ timeout: 20_000 });
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
  await expect(page.getByRole("alert")).toContainText("did not answer in time", { timeout: 15_000 });
  mockOf(site).options.isDeaf = false;
  await page.getByRole("button", { name: "Try again" }).press("Enter");
  await expect(page.locator("main table")).toBeVisible();
  await expect(page.locator("main .slot:focus")).toBeVisible();
});

test("a broker that falls silent is told apart from one that is gone", async ({ page, site }) => {
  await open(page, site);
  mockOf(site).options.isMute = true;
  await expect(page.locator(".banner")).toContainText("has said nothing for", { timeout: 25_000 });
  await expect(page.locator("header .state")).toHaveText("Silent");
  await expect(page.locator(".banner")).toContainText(/Silent for 1[6-9] s/);
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
