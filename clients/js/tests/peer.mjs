/**
 * One client of a crowd, a process of its own that does as it is told: `peer.mjs NAME DIRECTORY PORT`.
 *
 * It reads orders from standard input, a line each, and says on standard output what happened, in its order:
 *
 *     send TO TEXT      sent TO TEXT, when `send` has resolved
 *     flush             flushed, when the broker has everything
 *     close             closed LEFT: so many were not sent
 *     (a message came)  got FROM TEXT, before it is acknowledged
 */

import { writeSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { Inbox } from "../dist/index.js";

const [name, directory, port] = process.argv.slice(2);
const inbox = await Inbox.connect({
  clientId: name,
  outbox: join(directory, `${name}.inbox`),
  url: `mqtt://127.0.0.1:${port}`,
  heartbeatFirstMs: 500,
  heartbeatShortestMs: 500,
  reconnectLeastMs: 20,
  reconnectMostMs: 500,
});

/** One line. At once: what is said before the process ends badly counts, too. */
function say(...words) {
  writeSync(1, `${words.join(" ")}\n`);
}

/** Carries out one order after the other, the last of which is to close. */
async function obey() {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, to, text] = line.split(" ");
    if (what === "send") {
      await inbox.send(to, text);
      say("sent", to, text);
    } else if (what === "flush") {
      if (!(await inbox.flushed())) throw new Error("the client has stopped");
      say("flushed");
    } else {
      say("closed", await inbox.close());
      return;
    }
  }
}

/** Acknowledges what comes. */
async function read() {
  for await (const delivery of inbox) {
    say("got", delivery.from, delivery.text());
    await delivery.ack();
  }
}

say("ready");
await Promise.all([obey(), read()]);
process.stdin.destroy();
