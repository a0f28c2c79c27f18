/** Where the tests run: a broker that is there already (INBOX_DASHBOARD_URL), or the mock. */
import { test as base, expect, type Page } from "@playwright/test";
import { MockBroker } from "../mock/broker.mjs";

export const real: string | undefined = process.env.INBOX_DASHBOARD_URL;
/** Without a user, the broker must let everybody in, as one without users does on this machine. */
export const user = process.env.INBOX_DASHBOARD_USER;
export const password = process.env.INBOX_DASHBOARD_PASSWORD ?? "";

/** What the browser says of a broker that is away. */
const AWAY = ["WebSocket connection to", "net::ERR_CONNECTION_REFUSED", "net::ERR_CONNECTION_RESET"];

export interface Site {
  url: string;
  /** Not where the broker is a real one. */
  mock: MockBroker | undefined;
}

export const test = base.extend<{ site: Site; mockOptions: object; complaints: string[] }>({
  mockOptions: [{}, { option: true }],
  site: async ({ mockOptions }, use) => {
    if (real !== undefined) {
      await use({ url: real.endsWith("/") ? real : `${real}/`, mock: undefined });
      return;
    }
    const mock = await new MockBroker(mockOptions).start();
    await use({ url: mock.url, mock });
    await mock.stop();
  },
  // What the browser complains about fails the test: errors, and what the Content-Security-Policy forbids. Only a broker that is away is no fault of the
  // page: the browser asks for the icon when it likes, also after a test has stopped the broker.
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("dialog", (dialog) => {
        complaints.push(`a dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("console", (message) => {
        const isAway = AWAY.some((text) => message.text().includes(text));
        if (message.type() === "error" && !isAway) complaints.push(message.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});
export { expect };

/** The mock, where a test cannot do without. */
export function mockOf(site: Site): MockBroker {
  if (!site.mock) throw new Error("these tests run with the mock");
  return site.mock;
}

/** Opens a view, and logs in where that is asked for. */
export async function open(page: Page, site: Site, hash = "#/overview"): Promise<void> {
  await page.goto(site.url + hash);
  if (real !== undefined && user !== undefined) await logIn(page, user, password);
  await expect(page.locator("header .state")).toHaveText("Live");
}

export async function logIn(page: Page, name: string, secret: string): Promise<void> {
  await page.getByLabel("User name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(secret);
  await page.getByRole("button", { name: "Log in" }).click();
}

/** Goes to a view, and waits until it is there with all that it asked for. */
export async function visit(page: Page, site: Site, hash: string): Promise<void> {
  const before = await page.locator("main > *").elementHandle();
  const isSame = page.url() === site.url + hash;
  await page.goto(site.url + hash);
  if (!isSame) await expect.poll(() => before?.evaluate((view) => view.isConnected)).toBe(false);
  await expect(page.locator("main .loading, main [aria-busy]")).toHaveCount(0);
}
