/** Parts that several views are made of. */
import * as format from "../model/format";
import { h, name, type Attributes, type Child } from "./dom";

/** The head of a view: what it is called, what it is about, and what can be done. */
export function head(title: string, about: Child, ...actions: Child[]): HTMLElement {
  return h("div", { class: "title" }, h("div", {}, h("h1", {}, title), h("p", { class: "about" }, about)), ...actions);
}

/** A card with a title and something beside it. */
export function card(title: string, beside: Child, ...body: Child[]): HTMLElement {
  return h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, title), beside), ...body);
}

/** Names and values; those without a value are left out. */
export function facts(pairs: readonly (readonly [Child, Child])[]): HTMLElement {
  return h(
    "dl",
    { class: "facts" },
    ...pairs.flatMap(([key, value]) => (value === undefined || value === null ? [] : [h("dt", {}, key), h("dd", {}, value)])),
  );
}

/** A name among facts, if there is one. */
export function named(text: string | undefined): Child {
  return text === undefined ? undefined : name(text);
}

/** How long ago; the time itself is in the title. */
export function age(at: number | undefined, now: number): HTMLElement {
  return h("span", { title: format.iso(at) }, format.ago(at, now));
}

/** A field for a name: nothing helps with it, or puts it right. */
export function nameField(attributes: Attributes): HTMLInputElement {
  return h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "off", ...attributes });
}

/** Buttons of which one is pressed. */
export function segments(what: string, names: readonly string[], pressed: number, press: (index: number) => void): HTMLElement {
  const made = names.map((label, index) =>
    h(
      "button",
      {
        type: "button",
        class: "segment",
        "aria-pressed": String(index === pressed),
        onclick: () => {
          made.forEach((each, at) => {
            each.ariaPressed = String(at === index);
          });
          press(index);
        },
      },
      label,
    ),
  );
  return h("div", { class: "segments", role: "group", "aria-label": what }, ...made);
}

interface Problem {
  element: HTMLElement;
  say: (text: string) => void;
  hide: () => void;
}

/** A place for an error, which is seen when there is one. */
export function problem(): Problem {
  const element = h("p", { class: "notice bad", role: "alert", hidden: true });
  return {
    element,
    say(text) {
      element.textContent = text;
      element.hidden = false;
    },
    hide() {
      element.hidden = true;
    },
  };
}
