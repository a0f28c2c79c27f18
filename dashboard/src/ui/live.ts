/** For what changes many times a second. */

interface Frames {
  /** Draws with the next frame. */
  ask: () => void;
  close: () => void;
}

/** Draws once a frame, however often it is asked to. */
export function frames(draw: () => void): Frames {
  let frame: number | undefined;
  return {
    ask() {
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        draw();
      });
    },
    close() {
      if (frame !== undefined) cancelAnimationFrame(frame);
    },
  };
}

/** Fills a list, whose rows stay as long as what they show: so do a selection and the focus in them. */
export function rows<T extends object>(list: HTMLElement, make: (item: T) => HTMLElement): (items: readonly T[]) => void {
  let made = new Map<T, HTMLElement>();
  return (items) => {
    const before = made;
    made = new Map(items.map((item) => [item, before.get(item) ?? make(item)]));
    for (const [item, row] of before) if (!made.has(item)) row.remove();
    [...made.values()].forEach((row, index) => {
      const there = list.children[index];
      if (there !== row) list.insertBefore(row, there ?? null);
    });
  };
}

/** Shows `wanted` in a place, and leaves what is the same in it: a selection, the focus, and how far it was scrolled. Listeners do not come along. */
export function settle(place: Element, wanted: Element): void {
  const there = place.firstChild;
  if (there) match(there, wanted);
  else place.append(wanted);
}

function match(there: ChildNode, wanted: ChildNode): void {
  if (there.isEqualNode(wanted)) return;
  if (!there.cloneNode(false).isEqualNode(wanted.cloneNode(false)) || !(there instanceof Element)) {
    there.replaceWith(wanted);
    return;
  }
  const children = [...wanted.childNodes];
  children.forEach((child, index) => {
    const old = there.childNodes[index];
    if (old) match(old, child);
    else there.append(child);
  });
  while (there.childNodes.length > children.length) there.lastChild?.remove();
}
