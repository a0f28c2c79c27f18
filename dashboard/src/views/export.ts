/** Saves what is in an inbox as a file: one JSON object a line, each a message with its whole payload. */
import type { App } from "../app";
import { next } from "../model/contract";
import { object } from "../model/json";
import * as format from "../model/format";
import { fileName } from "../model/visible";
import { explained } from "../mqtt/requests";
import { button, h, name, write } from "../ui/dom";
import { modal, toast } from "../ui/dialog";
import { problem } from "../ui/parts";

const LIMIT = 100;

export function exportInbox(app: App, client: string): void {
  let isStopped = false;
  const progress = h("p", { role: "status" }, "Asking for the messages …");
  const wrong = problem();
  const dialog = modal(
    "Export",
    [h("p", {}, "From the inbox of ", name(client)), progress, wrong.element],
    [
      button("Cancel", "plain", () => {
        dialog.close();
      }),
    ],
  );
  dialog.addEventListener("close", () => {
    isStopped = true;
  });

  const run = async (): Promise<void> => {
    const parts: string[] = [];
    let after: string | number | undefined;
    do {
      const page = object(await app.ask("inbox/export", { client, limit: LIMIT, after }));
      if (isStopped) return;
      const messages: unknown[] = Array.isArray(page?.["messages"]) ? page["messages"] : [];
      for (const message of messages) parts.push(`${JSON.stringify(message)}\n`);
      write(progress, `${format.counted(parts.length, "message", "messages")} so far …`);
      // A broker that points back to where this page began would keep this going for ever.
      after = next(page) === after ? undefined : next(page);
    } while (after !== undefined);
    save(`${fileName(client)}.ndjson`, new Blob(parts, { type: "application/x-ndjson" }));
    dialog.close();
    toast(`${format.counted(parts.length, "message", "messages")} exported from `, name(client), ".");
  };
  run().catch((error: unknown) => {
    wrong.say(explained(error));
  });
}

function save(file: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  h("a", { href: url, download: file }).click();
  setTimeout(() => {
    URL.revokeObjectURL(url);
  }, 60_000);
}
