/** The overview: how the broker is now, and how it was since the page was opened. */
import type { App } from "../app";
import type { Overview } from "../model/contract";
import * as format from "../model/format";
import { to } from "../router";
import { chart, type Chart } from "../ui/chart";
import { h, link, loading, replace, write } from "../ui/dom";
import { frames } from "../ui/live";
import { head, segments } from "../ui/parts";
import type { View } from "../ui/shell";
import { refusals } from "./refusals";
import { tops } from "./tables";
import { tiles } from "./tiles";
import { waiting } from "./waiting";

const SPANS: readonly (readonly [string, number])[] = [
  ["2 min", 120],
  ["10 min", 600],
  ["1 h", 3600],
];
let spanS = 120;

function charts(): Chart[] {
  return [
    chart("Messages", "rate", [
      { column: "received", label: "Received", colour: 1, isFilled: true },
      { column: "delivered", label: "Delivered", colour: 3 },
      { column: "acknowledged", label: "Acknowledged", colour: 4, isDashed: true },
      { column: "committed", label: "Committed", colour: 2 },
    ]),
    chart("Traffic", "bytes-rate", [
      { column: "bytes_received", label: "In", colour: 1, isFilled: true },
      { column: "bytes_sent", label: "Out", colour: 3 },
    ]),
    chart(
      "Publish to PUBACK",
      "micros",
      [
        { column: "puback_p99", label: "99 %", colour: 2 },
        { column: "puback_p50", label: "50 %", colour: 1, isFilled: true },
      ],
      "How long publishers wait for PUBACK: 99 of 100, and half of them, wait no longer",
    ),
    chart(
      "Publish to delivery",
      "micros",
      [
        { column: "delivery_p99", label: "99 %", colour: 2 },
        { column: "delivery_p50", label: "50 %", colour: 1, isFilled: true },
      ],
      "How long messages take from the sender to a reader that is there",
    ),
    chart("Commit: messages in one", "count", [
      { column: "commit_messages_max", label: "Largest", colour: 2 },
      { column: "commit_messages_p50", label: "50 %", colour: 1, isFilled: true },
    ]),
    chart("Commit: time to write and sync", "micros", [
      { column: "commit_p99", label: "99 %", colour: 2 },
      { column: "fsync_p99", label: "99 %, sync alone", colour: 3, isDashed: true },
      { column: "commit_p50", label: "50 %", colour: 1, isFilled: true },
    ]),
    chart("Backlog: messages waiting in inboxes", "count", [{ column: "backlog", label: "Messages", colour: 4, isFilled: true }]),
    chart("Clients connected", "count", [{ column: "connected", label: "Connections", colour: 3, isFilled: true }]),
  ];
}

export function overview(app: App): View {
  const about = h("span");
  const now = waiting();
  const figures = tiles();
  const drawn = charts();
  const refused = refusals();
  const { largest, oldest, close } = tops(app, 5);
  const body = h(
    "div",
    { class: "stack" },
    now.element,
    figures.element,
    h("div", { class: "grid live" }, ...drawn.map((each) => each.element)),
    refused.element,
    h(
      "div",
      { class: "grid" },
      h("section", { class: "card" }, h("h2", {}, "Largest inboxes"), largest),
      h("section", { class: "card" }, h("h2", {}, "Oldest messages"), oldest),
    ),
    h("p", {}, link(to("inboxes"), "All inboxes")),
  );
  const wait = loading("Waiting for the first report of the broker; it comes within ten seconds …");
  const place = h("div", {}, wait);
  const spans = segments(
    "Time that the charts show",
    SPANS.map(([label]) => label),
    SPANS.findIndex(([, seconds]) => seconds === spanS),
    (index) => {
      spanS = SPANS[index]?.[1] ?? spanS;
      draw(app.overview.value);
    },
  );
  const element = h("div", { class: "stack" }, head("Overview", about, spans), place);

  function draw(from: Overview | undefined): void {
    if (!from) return;
    if (wait.isConnected) replace(place, body);
    write(
      about,
      [`inboxd ${from.version}`, from.store.engine, `up ${format.seconds(from.uptimeS)}`, `as of ${format.time(from.at, app.now())}`].join(
        " · ",
      ),
    );
    now.draw(from);
    figures.draw(from, app.now());
    for (const each of drawn) each.draw(app.history, spanS);
    refused.draw(from.refusals, app.history, spanS);
  }
  // What is known is there at once; reports that come together are drawn once.
  draw(app.overview.value);
  const drawing = frames(() => {
    draw(app.overview.value);
  });
  const unwatch = app.overview.watch(drawing.ask);
  return {
    title: "Overview",
    element,
    close() {
      unwatch();
      drawing.close();
      close();
      for (const each of drawn) each.close();
      refused.close();
    },
  };
}
