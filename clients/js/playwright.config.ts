import { defineConfig } from "@playwright/test";

/** The Chromium of the distribution: nothing is downloaded. */
const executablePath = process.env["INBOX_DASHBOARD_CHROMIUM"] ?? "/usr/bin/chromium";

export default defineConfig({
  testDir: "tests/browser",
  workers: 1,
  // For what must happen, on a machine that has other things to do: what fails waits in vain for so long.
  timeout: 180_000,
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath,
      // In containers there are neither users for its sandbox nor much shared memory; the page is our own.
      args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    },
  },
});
