/** The first example of the README runs, and says what the README says that it says. */

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { World } from "./world.js";

const PACKAGE = join(import.meta.dirname, "..");

test("the first example runs", async () => {
  const world = new World();
  try {
    await world.start();
    const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
    const [, program, output] = /```js\n(.*?)```\n\n```text\n(.*?)```/s.exec(readme) ?? [];
    // As an application has it: installed.
    mkdirSync(join(world.directory, "node_modules"));
    symlinkSync(PACKAGE, join(world.directory, "node_modules/inboxd-client"));
    writeFileSync(join(world.directory, "first.mjs"), program?.replace("127.0.0.1:1883", `127.0.0.1:${world.relay.port}`) ?? "");
    const printed = await new Promise((resolve, reject) =>
      execFile(process.execPath, ["first.mjs"], { cwd: world.directory }, (error, out) => (error ? reject(error) : resolve(out))),
    );
    expect(printed).toBe(output);
  } finally {
    await world.end();
  }
});
