/** Tables that several views show. */
import type { App } from "../app";
import type { InboxRow } from "../model/contract";
import * as format from "../model/format";
import { toInbox } from "../router";
import { empty, h, link, loading, name, type Child } from "../ui/dom";
import { settle } from "../ui/live";
import { age } from "../ui/parts";

export interface Column<T> {
  label: string;
  /** `number` is set to the right, `minor` is left out on a narrow screen, `acts` has buttons and no visible label. */
  kind?: "number" | "minor" | "minor number" | "acts";
  cell: (row: T) => Child;
}

export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): HTMLElement {
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...columns.map((column) =>
            h(
              "th",
              { class: column.kind, scope: "col" },
              column.kind === "acts" ? h("span", { class: "hidden" }, column.label) : column.label,
            ),
          ),
        ),
      ),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...columns.map((column) => h("td", { class: column.kind }, column.cell(row)))))),
    ),
  );
}

/** Inboxes, as the board or an answer lists them. */
export function inboxTable(rows: readonly InboxRow[] | undefined, now: number): HTMLElement {
  if (!rows) return loading("Not counted yet …");
  if (rows.length === 0)
    return empty("No mail waits", "Every message was acknowledged by its reader. An inbox is listed here while something is in it.");
  const columns: Column<InboxRow>[] = [
    { label: "Client ID", cell: ({ client }) => link(toInbox(client), name(client)) },
    { label: "Messages", kind: "number", cell: ({ messages }) => format.count(messages) },
    { label: "Size", kind: "number", cell: ({ bytes }) => format.bytes(bytes) },
  ];
  if (rows.some(({ oldestAt }) => oldestAt !== undefined)) {
    columns.push({
      label: "Oldest",
      kind: "number",
      cell: ({ oldestAt }) => age(oldestAt, now),
    });
  }
  return table(columns, rows);
}

interface Tops {
  largest: HTMLElement;
  oldest: HTMLElement;
  close: () => void;
}

/** The largest inboxes and those with the oldest mail, as the broker counts them. */
export function tops(app: App, rowsMax: number): Tops {
  const largest = h("div", { class: "live" });
  const oldest = h("div", { class: "live" });
  const close = app.top.watch((top) => {
    settle(largest, inboxTable(top?.largest.slice(0, rowsMax), app.now()));
    settle(oldest, inboxTable(top?.oldest.slice(0, rowsMax), app.now()));
  });
  return { largest, oldest, close };
}
