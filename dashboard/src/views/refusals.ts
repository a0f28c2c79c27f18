/** What the broker refused and why: totals since its start, and a line for each of the most frequent causes. */
import type { Refusal } from "../model/contract";
import * as format from "../model/format";
import { refusedColumn, type History } from "../model/history";
import { chart, type Chart, type Line } from "../ui/chart";
import { empty, h, replace } from "../ui/dom";
import { settle } from "../ui/live";
import { table, type Column } from "./tables";

const LINES_MAX = 4;
const COLOURS = [5, 2, 4, 1] as const;
const COLUMNS: readonly Column<Refusal>[] = [
  { label: "Cause", cell: ({ cause }) => format.words(cause) },
  { label: "Now", kind: "number", cell: ({ perSecond }) => (perSecond > 0 ? format.rate(perSecond) : "–") },
  { label: "Total", kind: "number", cell: ({ total }) => format.count(total) },
];

interface Refusals {
  element: HTMLElement;
  draw: (refusals: readonly Refusal[], history: History, spanS: number) => void;
  close: () => void;
}

export function refusals(): Refusals {
  const place = h("div", { class: "slot live" });
  const body = h("div", {});
  const card = h("section", { class: "card live" }, h("h2", {}, "Refused since the start"), body);
  let lines: Chart | undefined;
  let drawn = "\n";
  return {
    element: h("div", { class: "grid" }, place, card),
    draw(all, history, spanS) {
      const byTotal = all.toSorted((left, right) => right.total - left.total);
      const causes = byTotal.slice(0, LINES_MAX).map(({ cause }) => cause);
      // The order of lines stays while the causes stay.
      const key = causes.toSorted().join("\n");
      if (key !== drawn) {
        drawn = key;
        lines?.close();
        lines = chart(
          "Refused, by cause",
          "rate",
          causes.length > 0 ? causes.map(line) : [{ column: "refused", label: "All causes", colour: 5 }],
        );
        replace(place, lines.element);
      }
      lines?.draw(history, spanS);
      settle(
        body,
        byTotal.length === 0
          ? empty("Nothing was refused", "Every connection, subscription and publish since the start was accepted.")
          : table(COLUMNS, byTotal),
      );
    },
    close() {
      lines?.close();
    },
  };
}

function line(cause: string, index: number): Line {
  return { column: refusedColumn(cause), label: format.words(cause), colour: COLOURS[index] ?? 5, isDashed: index > 1 };
}
