/** A list that is asked for page by page. Pages only know what comes after them, so the way back is remembered here. */
import type { App } from "../app";
import type { Page } from "../model/contract";
import { asked } from "./asked";
import { button, h, write } from "./dom";

type Start = Page<unknown>["next"];

interface Source<T> {
  /** What is listed, in the plural: for the line below the list. */
  what: string;
  ask: (after: Start) => Promise<Page<T>>;
  show: (rows: readonly T[]) => HTMLElement;
}

export interface Pager {
  element: HTMLElement;
  /** From the first page. */
  restart: () => Promise<void>;
  /** This page again. */
  refresh: () => Promise<void>;
  close: () => void;
}

export function pager<T>(app: App, source: Source<T>): Pager {
  /** What each page begins after, up to the one that is wanted. */
  let wanted: readonly Start[] = [undefined];
  let next: Start;
  let counts: readonly number[] = [];
  const where = h("span", { class: "faint" });
  // Where the next page begins is known only when this one is there.
  const back = button("Previous", "plain", () => (place.isBusy() ? undefined : go(wanted.slice(0, -1))));
  const forth = button("Next", "plain", () => (place.isBusy() ? undefined : go([...wanted, next])));
  const foot = h("div", { class: "pager", hidden: true }, back, where, forth);

  const place = asked(app, {
    waiting: `Asking for ${source.what.toLowerCase()} …`,
    stays: true,
    ask: async () => {
      let starts = wanted;
      let page = await source.ask(starts.at(-1));
      // All that was on this page is gone: the one before has become the last.
      while (page.rows.length === 0 && page.next === undefined && starts.length > 1) {
        starts = starts.slice(0, -1);
        page = await source.ask(starts.at(-1));
      }
      return { starts, page };
    },
    show({ starts, page }) {
      const { length } = page.rows;
      wanted = starts;
      next = page.next;
      counts = [...counts.slice(0, starts.length - 1), length];
      const before = counts.slice(0, -1).reduce((sum, count) => sum + count, 0);
      offer(length === 0 ? "" : `${source.what} ${String(before + 1)} to ${String(before + length)}`);
      return source.show(page.rows);
    },
    fail() {
      next = undefined;
      offer("");
    },
  });

  function go(starts: readonly Start[]): Promise<void> {
    wanted = starts;
    return place.load();
  }

  function offer(text: string): void {
    const focused = document.activeElement;
    write(where, text);
    back.hidden = wanted.length === 1;
    forth.hidden = next === undefined;
    foot.hidden = back.hidden && forth.hidden;
    // At an end the button under the finger goes: the other one is the way on.
    if (focused === forth && forth.hidden) back.focus();
    if (focused === back && back.hidden) forth.focus();
  }

  return {
    element: h("div", {}, place.element, foot),
    restart() {
      next = undefined;
      counts = [];
      foot.hidden = true;
      return go([undefined]);
    },
    refresh: place.load,
    close: place.close,
  };
}
