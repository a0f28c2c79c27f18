/** What is wrong with the connection, what happens next, and what the operator can do. */
import type { App } from "../app";
import { button, h, replace, write } from "./dom";

/** `instead` has the focus when a button that had it goes away. */
export function banner(app: App, instead: HTMLElement): HTMLElement {
  const element = h("div", { class: "banner", role: "status", hidden: true });
  const show = (kind: "warn" | "bad", text: string, ...more: HTMLElement[]): void => {
    element.className = `banner ${kind}`;
    element.hidden = false;
    replace(element, h("p", {}, text), ...more);
  };
  let ticking: ReturnType<typeof setInterval> | undefined;
  /** Text that changes each second, which nobody wants to be read each second. */
  const ticker = (text: () => string): HTMLElement => {
    const shown = h("span", { class: "ticker", "aria-hidden": "true" }, text());
    ticking = setInterval(() => {
      write(shown, text());
    }, 250);
    return shown;
  };

  const draw = (): void => {
    const phase = app.connection.phase.value;
    const old = app.overview.value ? " What you see is from before." : "";
    if (phase.name === "waiting") {
      show(
        "warn",
        phase.why + old,
        ticker(() => `Next attempt in ${String(Math.max(0, Math.ceil((phase.until - Date.now()) / 1000)))} s`),
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
        "The broker has said nothing for a while, although the connection is open. It may be busy or stopped; look at its log.",
        ticker(() => `Silent for ${String(Math.round(app.heardMsAgo() / 1000))} s`),
      );
    } else {
      element.hidden = true;
      replace(element);
    }
  };
  const look = (): void => {
    clearInterval(ticking);
    const isHeld = element.contains(document.activeElement);
    draw();
    if (isHeld) (element.querySelector("button") ?? instead).focus({ preventScroll: true });
  };
  app.connection.phase.watch(look);
  app.isStale.watch(look);
  return element;
}
