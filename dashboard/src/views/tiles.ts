/** The figures at the top of the overview: one number each, with what it is to be seen beside. */
import type { Overview } from "../model/contract";
import * as format from "../model/format";
import { h, write } from "../ui/dom";

type Level = "" | "warn" | "bad";

interface Tile {
  label: string;
  /** What the number means. */
  hint: string;
  value: (from: Overview, now: number) => string;
  more: (from: Overview, now: number) => string;
  level?: (from: Overview) => Level;
}

const DISK_LOW_BYTES = 1 << 30;

const TILES: readonly Tile[] = [
  {
    label: "Messages waiting",
    hint: "Messages in all inboxes that their readers have not acknowledged",
    value: (from) => (from.inboxes ? (from.inboxes.messages < 1e7 ? format.count : format.short)(from.inboxes.messages) : "…"),
    more: ({ inboxes }) =>
      inboxes
        ? `${format.bytes(inboxes.bytes)} in ${format.counted(inboxes.withMail, "inbox", "inboxes")}`
        : "being counted for the first time",
  },
  {
    label: "Oldest message",
    hint: "How long the oldest of them has waited",
    value: ({ inboxes }, now) => (inboxes?.oldestAt === undefined ? "–" : format.seconds((now - inboxes.oldestAt) / 1e6)),
    more: ({ inboxes }, now) => (inboxes?.countedAt === undefined ? "" : `counted ${format.ago(inboxes.countedAt, now)}`),
  },
  {
    label: "Clients connected",
    hint: "Open connections, this page's among them",
    value: ({ clients }) => format.short(clients.connected),
    more: ({ clients }) => `${format.counted(clients.keptSessions, "session", "sessions")} kept for absent ones`,
  },
  {
    label: "Received",
    hint: "Messages that clients published, a second",
    value: ({ rates }) => format.rate(rates.received),
    more: ({ rates }) => `${format.bytes(Math.round(rates.bytes_received))}/s in, ${format.bytes(Math.round(rates.bytes_sent))}/s out`,
  },
  {
    label: "PUBACK, 99 %",
    hint: "So long a publisher waits for PUBACK at most, in 99 of 100 cases",
    value: ({ latency }) => format.micros(latency.puback.p99),
    more: ({ latency }) =>
      latency.puback.count > 0 ? `half within ${format.micros(latency.puback.p50)}` : "no publish in the last interval",
  },
  {
    label: "Commits",
    hint: "Batches committed to the disk, a second; and which part of the messages was acknowledged by its reader before it had to be committed",
    value: ({ commit }) => format.rate(commit.perSecond),
    more: ({ commit, rates }) =>
      commit.cancelledShare === undefined || rates.acknowledged === 0
        ? ""
        : `${format.percent(commit.cancelledShare)} never had to be committed`,
  },
  {
    label: "Disk free",
    hint: "Space on the disk that has the data",
    value: ({ store }) => format.bytes(store.diskFree),
    more: ({ store }) =>
      store.isTroubled ? "the store is in trouble" : `${store.engine}, ${format.bytes(store.uncommitted)} to be committed`,
    level: ({ store }) => (store.isTroubled ? "bad" : (store.diskFree ?? Infinity) < DISK_LOW_BYTES ? "warn" : ""),
  },
  {
    label: "Memory",
    hint: "What the broker counts against its memory budget",
    value: ({ memory }) => format.bytes(memory.used),
    more: ({ memory }) =>
      [memory.limit ? `of ${format.bytes(memory.limit)}` : "no limit", ...(memory.pressure ? [memory.pressure] : [])].join(", "),
    level: ({ memory }) => (memory.pressure ? "warn" : ""),
  },
];

interface Tiles {
  element: HTMLElement;
  draw: (from: Overview, now: number) => void;
}

export function tiles(): Tiles {
  const made = TILES.map((tile) => {
    const value = h("dd", { class: "tile-value" }, "–");
    const more = h("dd", { class: "tile-more" });
    return { tile, value, more, element: h("div", { class: "tile", title: tile.hint }, h("dt", {}, tile.label), value, more) };
  });
  return {
    element: h("dl", { class: "tiles live" }, ...made.map(({ element }) => element)),
    draw(from, now) {
      for (const { tile, value, more, element } of made) {
        write(value, tile.value(from, now));
        write(more, tile.more(from, now));
        element.dataset["level"] = tile.level?.(from) ?? "";
      }
    },
  };
}
