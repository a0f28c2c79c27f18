/** A chart of lines over time, with its legend: a thin coat over uPlot, which draws on a canvas. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import * as format from "../model/format";
import type { History } from "../model/history";
import { h, write } from "./dom";
import { ink, theme } from "./theme";

type Unit = "rate" | "bytes-rate" | "micros" | "count";

export interface Line {
  column: string;
  label: string;
  /** One of the six colours of the style sheet. */
  colour: 1 | 2 | 3 | 4 | 5 | 6;
  isDashed?: boolean;
  isFilled?: boolean;
}

const SHOWN: Record<Unit, (value: number | undefined) => string> = {
  rate: format.rate,
  "bytes-rate": (value) => (value === undefined ? "–" : `${format.bytes(Math.round(value))}/s`),
  micros: format.micros,
  count: format.short,
};
/** Where the scale ends while there is nothing to show. */
const EMPTY: Record<Unit, number> = { rate: 10, "bytes-rate": 1024, micros: 1000, count: 10 };
const HEIGHT = 168;
/** All charts share one cursor. */
const CURSOR = "overview";

export interface Chart {
  element: HTMLElement;
  draw: (history: History, spanS: number) => void;
  close: () => void;
}

export function chart(title: string, unit: Unit, lines: readonly Line[], hint?: string): Chart {
  const shown = SHOWN[unit];
  const place = h("div", { class: "plot", role: "img" });
  const values = lines.map(() => h("span", { class: "legend-value" }));
  const when = h("span", { class: "faint" });
  const legend = h(
    "div",
    { class: "legend" },
    ...lines.map((line, index) =>
      h(
        "span",
        { class: "legend-item" },
        h("i", { class: `swatch ink-${String(line.colour)}${line.isDashed ? " dashed" : ""}` }),
        line.label,
        values[index],
      ),
    ),
  );
  const element = h(
    "section",
    { class: "card chart" },
    h("div", { class: "chart-head" }, h("h2", { title: hint }, title), when),
    legend,
    place,
  );

  let plot: uPlot | undefined;
  /** The time that is shown: it is wider than what is known at first. */
  let span = { min: 0, max: 0 };
  let latest: uPlot.AlignedData = [[], ...lines.map(() => [])] as unknown as uPlot.AlignedData;

  const tell = (at: number | null | undefined): void => {
    const index = at ?? latest[0].length - 1;
    values.forEach((value, line) => {
      write(value, shown(latest[line + 1]?.[index] ?? undefined));
    });
    const time = latest[0][index];
    write(when, at === null || at === undefined || time === undefined ? "" : clock(time));
  };

  const build = (): void => {
    plot?.destroy();
    plot = undefined;
    const width = place.clientWidth;
    if (width === 0) return;
    plot = new uPlot(options(lines, shown, width, unit, tell), latest, place);
    plot.setScale("x", span);
  };

  const resized = new ResizeObserver(() => {
    const width = place.clientWidth;
    if (!plot) build();
    else if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
  });
  resized.observe(place);
  const unwatch = theme.watch(build);

  return {
    element,
    draw(history, spanS) {
      latest = history.window(
        lines.map((line) => line.column),
        spanS,
      ) as uPlot.AlignedData;
      const end = history.end ?? 0;
      span = { min: end - spanS, max: end };
      if (plot) {
        plot.batch(() => {
          plot?.setData(latest, false);
          plot?.setScale("x", span);
        });
        tell(plot.cursor.idx);
      } else {
        tell(null);
      }
      const said = lines.map((line) => `${line.label} ${shown(history.latest(line.column))}`).join(", ");
      place.setAttribute("aria-label", `${title}: ${said}`);
    },
    close() {
      resized.disconnect();
      unwatch();
      plot?.destroy();
    },
  };
}

function options(
  lines: readonly Line[],
  shown: (value: number) => string,
  width: number,
  unit: Unit,
  tell: (at: number | null | undefined) => void,
): uPlot.Options {
  const text = ink("faint");
  const grid = { stroke: ink("grid-line"), width: 1 };
  const axis = { stroke: text, font: "11px Inter, system-ui, sans-serif", grid, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: CURSOR }, points: { size: 7 }, y: false, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      // Every figure begins at 0; a chart without any has a scale, too.
      y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.08 : EMPTY[unit]] },
    },
    series: [
      {},
      ...lines.map((line): uPlot.Series => {
        const stroke = ink(`ink-${String(line.colour)}`);
        return {
          label: line.label,
          stroke,
          width: 1.5,
          points: { show: (_plot, _series, first, last) => last - first < 3, size: 4, fill: stroke },
          spanGaps: false,
          ...(line.isDashed ? { dash: [5, 4] } : {}),
          ...(line.isFilled ? { fill: faded(stroke) } : {}),
        };
      }),
    ],
    axes: [
      {
        ...axis,
        space: 70,
        size: 26,
        values: (_plot, at) => at.map((time) => clock(time).slice(0, at.length > 1 && (at[1] ?? 0) - (at[0] ?? 0) >= 60 ? 5 : 8)),
      },
      {
        ...axis,
        space: 26,
        size: 70,
        gap: 6,
        incrs: increments(unit),
        values: (_plot, at) => at.map((value) => (value === 0 ? "0" : shown(value))),
      },
    ],
    hooks: {
      setCursor: [
        (plot) => {
          tell(plot.cursor.idx);
        },
      ],
    },
  };
}

/** The time of day, from seconds since 1970. */
function clock(time: number): string {
  return format.time(time * 1e6, time * 1e6);
}

/** Steps of the axis that are round in its unit. */
function increments(unit: Unit): number[] {
  const decimal = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** (power - 2))).flat();
  if (unit === "bytes-rate") return Array.from({ length: 50 }, (_, power) => 2 ** power);
  return unit === "count" ? decimal.filter((step) => step >= 1) : decimal;
}

function faded(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, "rgba($1, 0.12)");
}
