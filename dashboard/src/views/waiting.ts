/** What a PUBACK waits for now. This is the first question when publishers say that the broker is slow. */
import type { Overview } from "../model/contract";
import * as format from "../model/format";
import { h, write } from "../ui/dom";

const CAUSES = {
  disk: [
    "The disk",
    "They are being committed. This is how it should be while it takes milliseconds; look at the commit time below if it takes longer.",
  ],
  reader: ["A reader", "Their recipients are connected and have the messages. An acknowledgement that comes now spares the disk a write."],
  memory: ["Memory", "The memory budget is used up, so publishers are held back. Look for inboxes that grow and readers that do not read."],
  space: [
    "Disk space",
    "The store cannot write at the moment, most often because the disk is full; its log says why. Free some space, or purge inboxes that nobody reads: publishing goes on by itself then.",
  ],
} as const;
type Cause = keyof typeof CAUSES;

interface Waiting {
  element: HTMLElement;
  draw: (from: Overview) => void;
}

export function waiting(): Waiting {
  const head = h("p", { class: "waiting-head" });
  const why = h("p", { class: "waiting-why" });
  const steps = Object.entries(CAUSES).map(([cause, [label]]) => h("li", { "data-cause": cause }, label));
  const element = h(
    "section",
    { class: "card waiting live", "aria-label": "What a PUBACK waits for" },
    h("div", { class: "waiting-text" }, h("h2", {}, "What a PUBACK waits for"), head, why),
    h("ul", { class: "steps", "aria-hidden": "true" }, ...steps),
  );
  return {
    element,
    draw({ waiting: now }) {
      const cause = now.for;
      const known = cause !== undefined && cause in CAUSES ? CAUSES[cause as Cause] : undefined;
      element.dataset["level"] = cause === "memory" || cause === "space" ? "bad" : now.publishes > 0 ? "busy" : "";
      const waits = now.publishes === 1 ? "publish waits" : "publishes wait";
      const how =
        now.publishes === 0
          ? "no publish waits yet"
          : `${format.count(now.publishes)} ${waits}, the oldest for ${format.micros(now.oldestMs * 1000)}`;
      if (now.publishes === 0 && cause === undefined) write(head, "Nothing: every publish has its answer.");
      else write(head, `${known?.[0] ?? format.words(cause ?? "It is not known what")}: ${how}.`);
      write(why, known?.[1] ?? (cause === undefined ? "PUBACK is sent when a message is on disk, or its reader has acknowledged it." : ""));
      for (const step of steps) step.toggleAttribute("data-on", step.dataset["cause"] === cause);
    },
  };
}
