// Goal: nothing comes in whose licence the project does not take, and no version floats.
import { expect, test } from "vitest";
import lock from "../../package-lock.json";
import manifest from "../../package.json";

const TAKEN = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "MPL-2.0"];

test("every package has a licence that is taken", () => {
  const packages = Object.entries(lock.packages).filter(([path]) => path !== "") as [string, { license?: string }][];
  expect(packages.length).toBeGreaterThan(20);
  expect(
    packages.filter(([, { license }]) => !TAKEN.includes(license ?? "none")).map(([path, { license }]) => `${path}: ${license ?? "none"}`),
  ).toEqual([]);
});

test("every version is exact", () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }))
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
});
