/** The event stream, newest first: who came, who left and why, what was refused. */
import type { App } from "../app";
import { cleared, EVENTS_MAX, matches, paused, sentence, type Event } from "../model/events";
import * as format from "../model/format";
import { toInbox } from "../router";
import { button, empty, h, link, name, replace, write } from "../ui/dom";
import { frames, rows } from "../ui/live";
import { head, nameField } from "../ui/parts";
import type { View } from "../ui/shell";

const KINDS: readonly (readonly [string, string])[] = [
  ["connected", "good"],
  ["disconnected", ""],
  ["takeover", "warn"],
  ["refused", "bad"],
  ["inbox-full", "bad"],
  ["expired", "warn"],
  ["dropped", "bad"],
  ["idle", "warn"],
  ["purged", "warn"],
];
const colours = new Map(KINDS);

export function events(app: App): View {
  const list = h("ol", { class: "events", "aria-label": "Events" });
  const drawRows = rows<Event>(list, (event) => eventRow(app, event));
  const place = h("div", {});
  const tally = h("span", { class: "faint" });
  const pause = button("Pause", "plain", () => {
    app.events.set(paused(app.events.value, !app.events.value.isPaused));
  });

  const drawing = frames(() => {
    const stream = app.events.value;
    const shown = stream.events.filter((event) => matches(event, app.filter));
    write(pause, stream.isPaused ? `Resume${heldBack(stream.held.length)}` : "Pause");
    pause.setAttribute("aria-pressed", String(stream.isPaused));
    write(
      tally,
      shown.length === stream.events.length
        ? `Shown: ${format.count(shown.length)}, at most ${String(EVENTS_MAX)}.`
        : `Shown: ${format.count(shown.length)} of ${format.count(stream.events.length)}.`,
    );
    drawRows(shown);
    if (shown.length > 0) {
      if (!list.isConnected) replace(place, list);
    } else if (stream.events.length > 0) {
      replace(place, empty("No event fits the filter", "Take something out of it."));
    } else {
      replace(
        place,
        empty("No events yet", "They are shown as they happen, while this page is open: connect a client, and it appears here."),
      );
    }
  });
  const unwatch = app.events.watch(drawing.ask);

  const chips = KINDS.map(([kind]) => {
    const chip = h("button", { type: "button", class: "chip", "aria-pressed": String(app.filter.kinds.has(kind)) }, format.words(kind));
    chip.addEventListener("click", () => {
      const kinds = new Set(app.filter.kinds);
      if (!kinds.delete(kind)) kinds.add(kind);
      app.filter = { ...app.filter, kinds };
      chip.setAttribute("aria-pressed", String(kinds.has(kind)));
      drawing.ask();
    });
    return chip;
  });
  const search = nameField({ type: "search", id: "find", value: app.filter.text, placeholder: "Client ID, user, reason …" });
  search.addEventListener("input", () => {
    app.filter = { ...app.filter, text: search.value };
    drawing.ask();
  });
  const element = h(
    "div",
    { class: "stack" },
    head(
      "Events",
      h("span", {}, "Live, newest first; nothing is kept when the page is closed. ", tally),
      h(
        "div",
        { class: "actions" },
        pause,
        button("Clear", "plain", () => {
          app.events.set(cleared(app.events.value));
        }),
      ),
    ),
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "filters" },
        h("label", { for: "find", class: "hidden" }, "Filter"),
        search,
        h("div", { class: "chips", role: "group", "aria-label": "Kinds of events" }, ...chips),
      ),
      place,
    ),
  );
  return {
    title: "Events",
    element,
    close() {
      unwatch();
      drawing.close();
    },
  };
}

function eventRow(app: App, event: Event): HTMLElement {
  return h(
    "li",
    {},
    h("time", { class: "event-at number", title: format.iso(event.at) }, format.time(event.at, app.now())),
    h("span", { class: `badge ${colours.get(event.kind) ?? ""}` }, format.words(event.kind)),
    h("span", { class: "event-who" }, event.client === undefined ? name(event.who) : link(toInbox(event.client), name(event.client))),
    h("span", { class: "event-what", title: sentence(event) }, sentence(event)),
  );
}

function heldBack(count: number): string {
  if (count === 0) return "";
  return count < EVENTS_MAX ? ` (${String(count)} new)` : ` (${String(count)} or more new)`;
}
