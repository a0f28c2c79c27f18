/** The frame around the views: navigation, state of the connection, and the login where there is none. */
import type { App } from "../app";
import { BOARD, type Phase } from "../mqtt/connection";
import { route, to, type Route } from "../router";
import { clients } from "../views/clients";
import { denied } from "../views/denied";
import { events } from "../views/events";
import { inbox } from "../views/inbox";
import { inboxes } from "../views/inboxes";
import { login } from "../views/login";
import { overview } from "../views/overview";
import { trace } from "../views/trace";
import { banner } from "./banner";
import { closeDialogs, toasts } from "./dialog";
import { h, icon, link, name, replace, write, type Icon } from "./dom";
import { head } from "./parts";
import { themeButton } from "./theme";

export interface View {
  title: string;
  element: HTMLElement;
  close?: () => void;
}

const PAGES: [Icon, string][] = [
  ["overview", "Overview"],
  ["inboxes", "Inboxes"],
  ["clients", "Clients"],
  ["events", "Events"],
  ["trace", "Trace"],
];

function view(app: App, at: Route): View {
  switch (at.page) {
    case "overview":
      return overview(app);
    case "inboxes":
      return inboxes(app, at);
    case "inbox":
      return inbox(app, at);
    case "clients":
      return clients(app);
    case "events":
      return events(app);
    case "trace":
      return trace(app, at);
    default:
      return {
        title: "Not found",
        element: head("There is no such page", h("span", {}, "Go to the ", link(to("overview"), "overview"), ".")),
      };
  }
}

/** Fills `page`, and keeps it so. */
export function shell(app: App, page: Element): void {
  const main = h("main", { id: "main", tabindex: -1 });
  const links = PAGES.map(([page, label]) => h("a", { href: to(page), "data-page": page }, icon(page), h("span", {}, label)));
  const framed = h(
    "div",
    { class: "frame" },
    h(
      "a",
      {
        class: "skip",
        href: "#main",
        onclick: (event: Event) => {
          event.preventDefault();
          main.focus();
        },
      },
      "Skip to the content",
    ),
    header(app),
    h("nav", { "aria-label": "Views" }, ...links),
    h("div", { class: "content" }, banner(app, main), main),
  );
  const place = h("div", {});
  replace(page, place, toasts);

  let open: View | undefined;
  let shown: "login" | "denied" | "views" | undefined;
  let refused: Extract<Phase, { name: "online" }> | undefined;
  const replaceView = (next: View): void => {
    // A question about what was shown before is not asked over something else.
    closeDialogs();
    open?.close?.();
    open = next;
    document.title = `${next.title} · inboxd`;
  };
  const go = (): void => {
    const at = route(location.hash);
    const next = shown === "denied" && refused ? denied(app, refused) : view(app, at);
    replaceView(next);
    replace(main, next.element);
    const current = at.page === "inbox" ? "inboxes" : at.page;
    for (const each of links) each.ariaCurrent = each.dataset["page"] === current ? "page" : null;
  };
  addEventListener("hashchange", () => {
    if (shown === "login") return;
    go();
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  });

  app.connection.phase.watch((phase) => {
    const before = shown;
    shown = showing(phase, before);
    const isRefused = shown === "denied" && phase.name === "online";
    if (isRefused) refused = phase;
    // A login that failed keeps its form, and what was typed. Who is refused again is told again.
    if (shown === before && !isRefused) return;
    if (shown === "login") {
      const form = login(app);
      replaceView(form);
      replace(toasts);
      replace(place, form.element);
      form.element.querySelector("input")?.focus();
      return;
    }
    if (before !== "denied" && before !== "views") replace(place, framed);
    go();
    // What had the focus is gone. A page that was just opened begins at its top.
    if (before !== undefined && document.activeElement === document.body) main.focus({ preventScroll: true });
  });
}

/** A first login keeps the form; a connection that comes back keeps the views. */
function showing(phase: Phase, shown: "login" | "denied" | "views" | undefined): "login" | "denied" | "views" {
  switch (phase.name) {
    case "signed-out":
      return "login";
    case "connecting":
      return phase.isFirst ? "login" : shown === "denied" ? "denied" : "views";
    case "online":
      return phase.denied.some(({ topic }) => topic.startsWith(BOARD)) ? "denied" : "views";
    default:
      return shown ?? "views";
  }
}

function header(app: App): HTMLElement {
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const state = h("span", { class: "state" });
  const who = h("span", { class: "who" });
  const look = (): void => {
    const phase = app.connection.phase.value;
    const isStale = app.isStale.value;
    const online = isStale ? "Silent" : "Live";
    write(state, phase.name === "online" ? online : phase.name === "stopped" ? "Stopped" : "Connecting");
    dot.classList.toggle("good", !isStale);
    document.body.dataset["stale"] = String(isStale);
    if (phase.name === "signed-out") replace(who);
    if (phase.name !== "online") return;
    const user = name(phase.user);
    user.title = `Connected as ${phase.clientId}`;
    replace(who, user);
  };
  app.connection.phase.watch(look);
  app.isStale.watch(look);
  const out = h(
    "button",
    {
      type: "button",
      class: "icon-button",
      title: "Sign out",
      "aria-label": "Sign out",
      onclick: () => {
        app.signOut();
      },
    },
    icon("out"),
  );
  return h(
    "header",
    {},
    h("a", { class: "brand", href: to("overview") }, h("span", { class: "mark" }, icon("inboxes")), "inboxd"),
    h("span", { class: "version faint" }, app.site.version),
    h("span", { class: "spring" }),
    h("span", { class: "connection" }, dot, state),
    who,
    themeButton(),
    out,
  );
}
