/** A process of its own, to be killed: `child.mjs send|receive DIRECTORY PORT`. */

import { join } from "node:path";

import { Inbox } from "../dist/index.js";

const [what, directory, port] = process.argv.slice(2);
const clientId = what === "send" ? "alice" : "bob";
const url = `mqtt://127.0.0.1:${port}`;
const inbox = await Inbox.connect({ clientId, outbox: join(directory, `${clientId}.inbox`), url, reconnectLeastMs: 50 });
if (what === "send") {
  for (let number = 0; number < 10; number += 1) await inbox.send("bob", `message ${number}`);
  console.log("sent");
} else {
  for (let number = 0; number < 2; number += 1) await (await inbox.recv()).ack();
  console.log("acknowledged 2");
}
setTimeout(() => undefined, 600_000);
