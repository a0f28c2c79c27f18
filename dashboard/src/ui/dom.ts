/** Elements of the page. Text is always text: nothing here reads HTML. */
import { pieces, visible } from "../model/visible";

export type Child = Node | string | number | false | null | undefined;
export type Attributes = Record<string, string | number | boolean | undefined | ((event: never) => void)>;

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...shown(children));
  return element;
}

function shown(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) =>
    child === false || child === null || child === undefined ? [] : [typeof child === "number" ? String(child) : child],
  );
}

/** An element: attributes, `onclick` and the like as functions, then its children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren(...shown(children));
}

/** Writes text where it changed: a selection elsewhere in the page stays. */
export function write(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** A client ID or the like: apart from the direction of what is around it, with escapes, cut by the style sheet, whole in the title. */
export function name(text: string | undefined): HTMLElement {
  if (text === undefined) return h("span", { class: "faint" }, "–");
  if (text === "") return h("span", { class: "faint" }, "(empty)");
  const parts = pieces(text).map((piece) => (piece.isEscape ? h("span", { class: "escape" }, piece.text) : piece.text));
  return h("bdi", { class: "name", title: visible(text) }, ...parts);
}

export function link(to: string, ...children: Child[]): HTMLAnchorElement {
  return h("a", { href: to }, ...children);
}

const ICONS = {
  overview: "M3 13h4l3-8 4 14 3-6h4",
  inboxes: "M3 13l3-8h12l3 8v6H3z M3 13h5c.6 2 2 3 4 3s3.400-1 4-3h5",
  clients: "M4 5h16v10H4z M9 19h6 M12 15v4",
  events: "M5 6h14 M5 12h14 M5 18h9",
  trace:
    "M6 6m-2.500 0a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0 M18 18m-2.500 0a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0 M8.500 6H15a3 3 0 0 1 0 6H9a3 3 0 0 0 0 6h6.500",
  light:
    "M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0 M12 3v2 M12 19v2 M3 12h2 M19 12h2 M5.600 5.600l1.400 1.400 M17 17l1.400 1.400 M18.400 5.600 17 7 M7 17l-1.400 1.400",
  dark: "M20 14.500A8 8 0 0 1 9.500 4a8 8 0 1 0 10.500 10.500z",
  system: "M4 5h16v11H4z M8 20h8",
  out: "M10 5H5v14h5 M15 8l4 4-4 4 M19 12H9",
} as const;
export type Icon = keyof typeof ICONS;

export function icon(which: Icon): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const path = fill(document.createElementNS(space, "path"), { d: ICONS[which] }, []);
  return fill(document.createElementNS(space, "svg"), { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, [path]);
}

/** A button that may do something slow: it does nothing more until that ended. It is not disabled, or it would lose the focus. */
export function button(label: string, kind: "plain" | "primary" | "danger", act: () => unknown): HTMLButtonElement {
  const made = h("button", { type: "button", class: `button ${kind}` }, label);
  made.addEventListener("click", () => {
    if (made.ariaDisabled) return;
    const doing = act();
    if (!(doing instanceof Promise)) return;
    made.ariaDisabled = "true";
    void doing.finally(() => {
      made.ariaDisabled = null;
    });
  });
  return made;
}

/** What stands where there is nothing to show: what is the matter, and what to do. */
export function empty(title: string, ...advice: Child[]): HTMLElement {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", {}, ...advice));
}

export function loading(what: string): HTMLElement {
  return h("div", { class: "empty loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), what);
}

/** Something went wrong: what, and again. */
export function failed(what: string, again: () => void): HTMLElement {
  return h("div", { class: "notice bad", role: "alert" }, h("p", {}, what), button("Try again", "plain", again));
}
