/** Clients: how many there are, over what, and the list. */
import type { App } from "../app";
import { client as read, clientPage, type Client } from "../model/contract";
import * as format from "../model/format";
import { bool, object } from "../model/json";
import { visible } from "../model/visible";
import { toInbox } from "../router";
import { asked } from "../ui/asked";
import { confirm, modal } from "../ui/dialog";
import { button, empty, h, link, loading, name } from "../ui/dom";
import { settle } from "../ui/live";
import { pager, type Pager } from "../ui/pager";
import { age, card, facts, head, named } from "../ui/parts";
import type { View } from "../ui/shell";
import { table, type Column } from "./tables";

const ROWS = 50;

export function clients(app: App): View {
  const list: Pager = pager(app, {
    what: "Clients",
    ask: async (after) => clientPage(await app.ask("client/list", { limit: ROWS, after })),
    show: (rows) =>
      rows.length === 0
        ? empty("No clients", "Nobody is connected.")
        : table(
            columns(app, () => list.refresh()),
            rows,
          ),
  });
  const counts = h("div", { class: "live" });
  const unwatch = app.counts.watch((now) => {
    settle(
      counts,
      now
        ? facts([
            ["Connected", format.count(now.connected)],
            ["Sessions kept", format.count(now.kept)],
            ["By protocol", shares(now.byProtocol.map(([version, number]) => [`MQTT ${version}`, number]))],
            ["By listener", shares(now.byListener)],
          ])
        : loading("Waiting for the counts …"),
    );
  });
  const element = h(
    "div",
    { class: "stack" },
    head("Clients", "Who is connected, from where and since when."),
    h("section", { class: "card" }, counts),
    card(
      "Connected clients",
      button("Refresh", "plain", () => list.refresh()),
      list.element,
    ),
  );
  return {
    title: "Clients",
    element,
    close() {
      unwatch();
      list.close();
    },
  };
}

function shares(all: readonly (readonly [string, number])[]): HTMLElement | string {
  const some = all.filter(([, number]) => number > 0);
  return some.length === 0
    ? "–"
    : h("span", { class: "shares" }, ...some.map(([label, number]) => h("span", {}, name(label), `: ${format.count(number)}`)));
}

function columns(app: App, then: () => Promise<void>): Column<Client>[] {
  return [
    {
      label: "Client ID",
      cell: ({ client }) =>
        h(
          "button",
          {
            type: "button",
            class: "link",
            onclick: () => {
              details(app, client);
            },
          },
          name(client),
        ),
    },
    { label: "User", kind: "minor", cell: ({ user }) => name(user) },
    {
      label: "Since",
      kind: "minor number",
      cell: ({ connectedAt }) => age(connectedAt, app.now()),
    },
    { label: "Address", kind: "minor", cell: ({ peer }) => name(peer) },
    { label: "Listener", kind: "minor", cell: ({ listener }) => name(listener) },
    { label: "MQTT", kind: "minor", cell: ({ protocol }) => name(protocol) },
    {
      label: "Action",
      kind: "acts",
      cell: ({ client }) => {
        const made = button("Disconnect", "plain", () => {
          disconnect(app, client, then);
        });
        // Heard in a list of buttons, it says whom.
        made.ariaLabel = `Disconnect ${visible(client)}`;
        return made;
      },
    },
  ];
}

function disconnect(app: App, client: string, then: () => Promise<void>): void {
  confirm({
    title: "Disconnect this client?",
    text: [
      h(
        "p",
        {},
        "The connection of ",
        h("strong", {}, name(client)),
        " is ended. Its session and its mail stay. Most clients connect again at once; to keep one out, take away its login.",
      ),
    ],
    act: "Disconnect",
    run: async () => {
      const result = object(await app.ask("client/disconnect", { client }));
      return [name(client), bool(result, "disconnected") ? " is disconnected." : " was not connected any more."];
    },
    then,
  });
}

function details(app: App, client: string): void {
  const shown = asked(app, {
    waiting: "Asking …",
    ask: async () => read(await app.ask("client/show", { client })),
    show: (one) =>
      facts([
        ["Client ID", name(one.client)],
        ["User", named(one.user)],
        ["State", one.connected ? "connected" : "absent, its session is kept"],
        ["Since", one.connectedAt && format.iso(one.connectedAt)],
        ["Address", named(one.peer)],
        ["Listener", named(one.listener)],
        ["MQTT", named(one.protocol)],
        ["Inbox", link(toInbox(client), "look into it")],
      ]),
  });
  const dialog = modal(
    "Client",
    [shown.element],
    [
      button("Close", "plain", () => {
        dialog.close();
      }),
    ],
  );
  dialog.addEventListener("close", shown.close);
}
