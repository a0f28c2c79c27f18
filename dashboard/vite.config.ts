import { defineConfig } from "vitest/config";

/** Where `npm run mock` answers, for `npm run dev`. */
const mock = process.env.INBOX_DASHBOARD_MOCK ?? "http://127.0.0.1:8090";

export default defineConfig({
  base: "./",
  build: {
    // Nothing is inlined: the broker serves the pages under `default-src 'self'`, which forbids data: addresses.
    assetsInlineLimit: 0,
    target: ["chrome123", "firefox120", "safari17.5"],
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
    // The licences of what is bundled are passed on with it.
    license: { fileName: "licenses.txt" },
  },
  server: {
    proxy: {
      "/mqtt": { target: mock, ws: true },
      "/dashboard.json": mock,
    },
  },
  test: { include: ["tests/unit/**/*.test.ts"] },
});
