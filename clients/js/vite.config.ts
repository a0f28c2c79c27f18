import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts"],
    // For what must happen, on a machine that has other things to do: what fails waits in vain for so long.
    testTimeout: 180_000,
    hookTimeout: 60_000,
  },
});
