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
import { closeDialogs } from "./dialog";
import { button, empty, h, icon, link, name, replace, write, type Icon } from "./dom";
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
      return { title: "Not found", element: empty("There is no such page", "Go to the ", link(to("overview"), "overview"), ".") };
  }
}

export function shell(app: App): HTMLElement {
  const main = h("main", { id: "main", tabindex: -1 });
  const banner = h("div", { class: "banner", role: "status", hidden: true });
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
    h("div", { class: "content" }, banner, main),
  );
  const place = h("div", {});

  let open: View | undefined;
  let shown: "login" | "denied" | "views" | undefined;
  const go = (isNew: boolean): void => {
    const at = route(location.hash);
    const { phase } = app.connection;
    // A question about what was shown before is not asked over something else.
    closeDialogs();
    open?.close?.();
    open = shown === "denied" && phase.value.name === "online" ? denied(app, phase.value) : view(app, at);
    replace(main, open.element);
    document.title = `${open.title} · inboxd`;
    const current = at.page === "inbox" ? "inboxes" : at.page;
    for (const each of links) {
      if (each.dataset["page"] === current) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
    if (isNew) {
      main.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  };
  addEventListener("hashchange", () => {
    if (shown !== "login") go(true);
  });

  app.connection.phase.watch((phase) => {
    const wanted = showing(phase, shown);
    if (wanted === "login") {
      // A login that failed keeps its form, and what was typed.
      if (shown !== "login") {
        closeDialogs();
        open?.close?.();
        open = login(app);
        document.title = `${open.title} · inboxd`;
        replace(place, open.element);
      }
    } else if (wanted !== shown) {
      if (shown === "login" || shown === undefined) replace(place, framed);
      shown = wanted;
      go(false);
    }
    shown = wanted;
  });
  keepBanner(app, banner);
  return place;
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
  app.connection.phase.watch((phase) => {
    write(state, phase.name === "online" ? "Live" : phase.name === "stopped" ? "Stopped" : "Connecting");
    if (phase.name === "online") {
      const shown = name(phase.user);
      shown.title = `Connected as ${phase.clientId}`;
      replace(who, shown);
    }
  });
  app.isStale.watch((isStale) => {
    dot.classList.toggle("good", !isStale);
    if (isStale && app.connection.phase.value.name === "online") write(state, "Silent");
    if (!isStale) write(state, "Live");
    document.body.dataset["stale"] = String(isStale);
  });
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

/** What is wrong with the connection, what happens next, and what the operator can do. */
function keepBanner(app: App, banner: HTMLElement): void {
  const show = (kind: "warn" | "bad", text: string, ...more: HTMLElement[]): void => {
    banner.className = `banner ${kind}`;
    banner.hidden = false;
    replace(banner, h("p", {}, text), ...more);
  };
  let countdown: ReturnType<typeof setInterval> | undefined;
  const look = (): void => {
    clearInterval(countdown);
    const phase = app.connection.phase.value;
    const old = app.overview.value ? " What you see is from before." : "";
    if (phase.name === "waiting") {
      const when = h("span", { class: "countdown", "aria-hidden": "true" });
      const tick = (): void => {
        write(when, `Next attempt in ${String(Math.max(0, Math.ceil((phase.until - Date.now()) / 1000)))} s`);
      };
      tick();
      countdown = setInterval(tick, 250);
      show(
        "warn",
        phase.why + old,
        when,
        button("Try now", "plain", () => {
          app.connection.hurry();
        }),
      );
    } else if (phase.name === "stopped") {
      show(
        "bad",
        `${phase.why} This page stopped.${old}`,
        button("Connect again", "plain", () => {
          app.connection.again();
        }),
      );
    } else if (phase.name === "connecting" && !phase.isFirst) {
      show("warn", `${phase.why ?? ""} Connecting to the broker …${old}`.trim());
    } else if (phase.name === "online" && app.isStale.value) {
      show(
        "warn",
        `The broker has said nothing for ${String(Math.round(app.heardMsAgo() / 1000))} s, although the connection is open. It may be busy or stopped; look at its log.`,
      );
    } else {
      banner.hidden = true;
    }
  };
  app.connection.phase.watch(look);
  app.isStale.watch(look);
}
