/** A list that is asked for page by page. Pages only know what comes after them, so the way back is remembered here. */
import type { App } from "../app";
import type { Page } from "../model/contract";
import { explained, isOffline } from "../mqtt/requests";
import { button, failed, h, loading, replace, write } from "./dom";

interface Source<T> {
  /** What is listed, in the plural: for the line below the list. */
  what: string;
  ask: (after: string | number | undefined) => Promise<Page<T>>;
  show: (rows: readonly T[]) => HTMLElement;
}

export interface Pager {
  element: HTMLElement;
  /** From the first page. */
  restart: () => void;
  /** This page again. */
  refresh: () => Promise<void>;
  close: () => void;
}

export function pager<T>(app: App, source: Source<T>): Pager {
  /** What each page so far begins after. */
  let starts: (string | number | undefined)[] = [undefined];
  let next: string | number | undefined;
  let counts: number[] = [];
  let turn = 0;
  const body = h("div", { class: "slot" }, loading(`Asking for ${source.what} …`));
  const where = h("span", { class: "faint" });
  const back = button("Previous", "plain", () => {
    starts.pop();
    return load();
  });
  const forth = button("Next", "plain", () => {
    starts.push(next);
    return load();
  });
  const foot = h("div", { class: "pager", hidden: true }, back, where, forth);
  let isLoaded = false;

  async function load(): Promise<void> {
    turn += 1;
    const mine = turn;
    body.setAttribute("aria-busy", "true");
    try {
      const page = await source.ask(starts.at(-1));
      if (mine !== turn) return;
      isLoaded = true;
      next = page.next;
      counts = [...counts.slice(0, starts.length - 1), page.rows.length];
      const before = counts.slice(0, -1).reduce((sum, count) => sum + count, 0);
      replace(body, source.show(page.rows));
      write(where, page.rows.length === 0 ? "" : `${source.what} ${String(before + 1)} to ${String(before + page.rows.length)}`);
      foot.hidden = starts.length === 1 && next === undefined;
      back.hidden = starts.length === 1;
      forth.hidden = next === undefined;
    } catch (error) {
      if (mine !== turn) return;
      isLoaded = false;
      // The banner says that the connection is gone; what is there stays, and is asked for again when it is back.
      if (isOffline(error)) return;
      replace(
        body,
        failed(explained(error), () => void load()),
      );
      foot.hidden = true;
    } finally {
      if (mine === turn) body.removeAttribute("aria-busy");
    }
  }

  // A list that is there stays when the connection comes back: its rows do not jump under the operator's hand.
  const unwatch = app.whenOnline(() => {
    if (!isLoaded) void load();
  });
  return {
    element: h("div", {}, body, foot),
    restart() {
      starts = [undefined];
      counts = [];
      if (app.connection.phase.value.name === "online") void load();
      else isLoaded = false;
    },
    refresh: load,
    close() {
      unwatch();
      turn += 1;
    },
  };
}
