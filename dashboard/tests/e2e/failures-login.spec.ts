/** Logins that are refused, end, or are given up; with the mock alone. */
import { expect, logIn, mockOf, real, test } from "./site";

test.skip(real !== undefined, "only with the mock");

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
