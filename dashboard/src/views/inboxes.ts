/** All inboxes: the largest, the oldest, and the whole list with a search by beginning. */
import type { App } from "../app";
import { inboxPage } from "../model/contract";
import { to, toInbox, type Route } from "../router";
import { button, empty, h, link, name } from "../ui/dom";
import { pager, type Pager } from "../ui/pager";
import { card, head, nameField } from "../ui/parts";
import type { View } from "../ui/shell";
import { inboxTable, tops } from "./tables";

const ROWS = 50;

export function inboxes(app: App, at: Route): View {
  let prefix = at.query.get("prefix") ?? "";
  const list: Pager = pager(app, {
    what: "Inboxes",
    ask: async (after) => inboxPage(await app.ask("inbox/list", { limit: ROWS, after, ...(prefix === "" ? {} : { prefix }) })),
    show: (rows) => {
      if (rows.length > 0) return inboxTable(rows, app.now());
      if (prefix === "") return inboxTable([], app.now());
      return empty(
        "No inbox with mail begins so",
        "Capital letters count. ",
        link(toInbox(prefix), "Look into the inbox of ", name(prefix)),
        " all the same.",
      );
    },
  });
  const search = nameField({ type: "search", id: "prefix", placeholder: "Client ID begins with …", value: prefix });
  let typing: ReturnType<typeof setTimeout> | undefined;
  const find = (): void => {
    clearTimeout(typing);
    if (search.value === prefix) return;
    prefix = search.value;
    // The address keeps the search, for the way back and for others; the view stays.
    history.replaceState(null, "", to("inboxes", { prefix }));
    void list.restart();
  };
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(find, 300);
  });
  const form = h(
    "form",
    {
      class: "search",
      role: "search",
      onsubmit: (event: Event) => {
        event.preventDefault();
        find();
      },
    },
    h("label", { for: "prefix", class: "hidden" }, "Client ID begins with"),
    search,
    button("Refresh", "plain", () => list.refresh()),
  );
  const { largest, oldest, close } = tops(app, 20);
  const element = h(
    "div",
    { class: "stack" },
    head("Inboxes", "Messages that wait for their reader. An inbox leaves the list when it is empty."),
    h(
      "div",
      { class: "grid" },
      h("section", { class: "card tall" }, h("h2", {}, "Largest"), largest),
      h("section", { class: "card tall" }, h("h2", {}, "Oldest"), oldest),
    ),
    card("All inboxes with mail", form, list.element),
  );
  return {
    title: "Inboxes",
    element,
    close() {
      clearTimeout(typing);
      close();
      list.close();
    },
  };
}
