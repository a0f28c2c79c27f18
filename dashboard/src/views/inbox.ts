/** One inbox: what it holds, who reads it, and what an operator can do about it. */
import type { App } from "../app";
import { inbox as read, messagePage, type Inbox } from "../model/contract";
import * as format from "../model/format";
import { at, num, numbers, object, bool } from "../model/json";
import { visible } from "../model/visible";
import { to, type Route } from "../router";
import { asked } from "../ui/asked";
import { confirm } from "../ui/dialog";
import { button, empty, h, link, name } from "../ui/dom";
import { pager } from "../ui/pager";
import { age, card, facts } from "../ui/parts";
import type { View } from "../ui/shell";
import { exportInbox } from "./export";
import { messageItem } from "./message";

const MESSAGES = 20;
const PAYLOAD_BYTES = 1024;

export function inbox(app: App, { name: client }: Route): View {
  const figures = asked(app, {
    waiting: "Asking for the inbox …",
    ask: async () => read(await app.ask("inbox/show", { client })),
    show: (shown) => summary(app, shown),
  });
  const messages = pager(app, {
    what: "Messages",
    ask: async (after) => messagePage(await app.ask("inbox/peek", { client, limit: MESSAGES, payload_bytes_max: PAYLOAD_BYTES, after })),
    show: (rows) =>
      rows.length === 0
        ? empty(
            "Nothing waits here",
            "Every message was acknowledged by its reader, has expired, or was removed. What comes next is shown after a refresh.",
          )
        : h("div", { class: "messages" }, ...rows.map((row) => messageItem(row, app.now()))),
  });
  const reload = async (): Promise<void> => {
    await Promise.all([messages.restart(), figures.load()]);
  };
  const element = h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "title" },
      h(
        "div",
        { class: "grow" },
        h("p", { class: "about" }, link(to("inboxes"), "Inboxes"), " /"),
        h("h1", { class: "long" }, name(client)),
      ),
      h(
        "div",
        { class: "actions" },
        button("Refresh", "plain", reload),
        button("Export", "plain", () => {
          exportInbox(app, client);
        }),
        h("a", { class: "button plain", href: to("trace", { to: client }) }, "Trace"),
        button("Purge …", "danger", () => {
          purge(app, client, reload);
        }),
        button("Erase …", "danger", () => {
          erase(app, client, reload);
        }),
      ),
    ),
    h("section", { class: "card" }, figures.element),
    card("Messages, oldest first", h("span", { class: "faint" }, "Looking changes nothing: they go on waiting."), messages.element),
  );
  return {
    title: `Inbox ${visible(client)}`,
    element,
    close() {
      figures.close();
      messages.close();
    },
  };
}

function summary(app: App, shown: Inbox): HTMLElement {
  const state = shown.reader
    ? h(
        "span",
        {},
        h("span", { class: "badge good" }, "being read"),
        shown.inFlight !== undefined && shown.inFlight > 0 && ` ${format.count(shown.inFlight)} in flight`,
      )
    : shown.connected
      ? h("span", { class: "badge warn" }, "connected, does not read")
      : h("span", { class: "badge" }, "reader absent");
  return facts([
    ["Reader", state],
    ["Messages", part(shown.messages, shown.messagesMax, format.count)],
    ["Size", part(shown.bytes, shown.bytesMax, format.bytes)],
    ["Oldest", age(shown.oldestAt, app.now())],
  ]);
}

/** How much of what may be. */
function part(value: number, max: number | undefined, shown: (value: number) => string): HTMLElement {
  if (max === undefined || max === 0) return h("span", {}, shown(value));
  return h(
    "span",
    { class: "part" },
    h("span", {}, `${shown(value)} of ${shown(max)}`),
    h("meter", { min: 0, max, value, high: max * 0.8, optimum: 0, "aria-label": "Used" }),
  );
}

function purge(app: App, client: string, then: () => Promise<void>): void {
  confirm({
    title: "Purge this inbox?",
    text: [
      "All messages that wait in it are removed, those that come in the meantime among them. Their senders are not told, and nobody can bring them back. Export them first if somebody may need them.",
    ],
    act: "Purge",
    typed: client,
    run: async () => {
      const result = object(await app.ask("inbox/purge", { client }));
      return [`${format.counted(num(result, "purged"), "message", "messages")} removed from the inbox of `, name(client), "."];
    },
    then,
  });
}

function erase(app: App, client: string, then: () => Promise<void>): void {
  confirm({
    title: "Erase everything about this client?",
    text: [
      "For requests of data protection: the messages that wait for it, its session, and everything else that is kept under this client ID are removed. Nobody can bring them back.",
      "Messages that this client sent to others belong to their inboxes, and stay there.",
    ],
    act: "Erase",
    typed: client,
    run: async () => {
      const result = object(await app.ask("client/erase", { client }));
      const tables = numbers(at(result, "kept"))
        .filter(([, entries]) => entries > 0)
        .map(([table, entries]) => `${format.words(table)} (${format.count(entries)})`);
      const rest = [...(bool(result, "session") ? ["its session"] : []), ...tables].join(", ");
      const messages = format.counted(num(result, "purged"), "message", "messages");
      return [`Erased: ${messages}${rest === "" ? "" : `, ${rest}`} of `, name(client), "."];
    },
    then,
  });
}
