/** A place in the page for an answer of the broker: it waits, shows the answer, or says why there is none and offers to ask again. */
import type { App } from "../app";
import { explained, isOffline } from "../mqtt/requests";
import { failed, h, loading, replace, type Child } from "./dom";

interface Question<A> {
  /** What is said until the first answer. */
  waiting: string;
  /** `undefined` for an answer that cannot be read. */
  ask: () => Promise<A | undefined>;
  show: (answer: A) => Child;
  /** There is no answer, and that is shown. */
  fail?: () => void;
  /** What is shown stays when the connection comes back: its rows do not jump under the operator's hand. */
  stays?: boolean;
}

interface Asked {
  element: HTMLElement;
  /** Asks anew. What was asked before is not waited for any more. */
  load: () => Promise<void>;
  isBusy: () => boolean;
  close: () => void;
}

export function asked<A>(app: App, question: Question<A>): Asked {
  const element = h("div", { class: "slot live", tabindex: -1 }, loading(question.waiting));
  /** Counts the questions: only the answer to the last one is shown. */
  let turn = 0;
  let isShown = false;

  /** Who was in it with the keyboard stays there. */
  function put(shown: Child): void {
    const isHeld = element.contains(document.activeElement);
    replace(element, shown);
    if (isHeld) element.focus({ preventScroll: true });
  }

  async function load(): Promise<void> {
    turn += 1;
    const mine = turn;
    element.setAttribute("aria-busy", "true");
    try {
      const answer = await question.ask();
      if (mine !== turn) return;
      if (answer === undefined) throw new Error("the answer of the broker cannot be read");
      put(question.show(answer));
      isShown = true;
    } catch (error) {
      if (mine !== turn) return;
      isShown = false;
      // The banner says that the connection is gone; what is there stays, and is asked for again when it is back.
      if (isOffline(error)) return;
      put(failed(explained(error), () => void load()));
      question.fail?.();
    } finally {
      if (mine === turn) element.removeAttribute("aria-busy");
    }
  }

  const unwatch = app.whenOnline(() => {
    if (!isShown || !question.stays) void load();
  });
  return {
    element,
    load,
    isBusy: () => element.ariaBusy === "true",
    close() {
      unwatch();
      turn += 1;
    },
  };
}
