/** "Where is my message?": follows messages through their milestones, live. */
import type { App } from "../app";
import { num, object } from "../model/json";
import * as format from "../model/format";
import { fate, followed, noTrace, outcome, type Milestone, type Traced, type TraceState } from "../model/trace";
import { explained } from "../mqtt/requests";
import { toInbox, type Route } from "../router";
import { button, empty, h, link, loading, name, replace, write } from "../ui/dom";
import type { View } from "../ui/shell";

const SECONDS = [60, 300, 600] as const;
const BADGES = { good: "good", bad: "bad", kept: "", open: "warn" } as const;

/** The messages of the trace that runs, so that it goes on while other views are looked at. */
let follow: ((message: unknown) => void) | undefined;

export function trace(app: App, at: Route): View {
  const field = (id: string, label: string, hint: string): HTMLInputElement =>
    h("input", {
      id,
      name: id,
      type: "text",
      value: at.query.get(id) ?? "",
      placeholder: hint,
      "aria-label": label,
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "off",
    });
  const from = field("from", "From", "any sender");
  const to = field("to", "To", "any inbox");
  const id = field("id", "Message id", "any message");
  const seconds = h("select", { id: "seconds" }, ...SECONDS.map((each) => h("option", { value: each }, format.seconds(each))));
  const problem = h("p", { class: "notice bad", role: "alert", hidden: true });
  const begin = h("button", { type: "submit", class: "button primary" }, "Start");
  const end = button("Stop", "plain", () => stop(app));
  const state = h("span", { class: "faint", role: "status" });
  const place = h("div", { class: "live" });

  const form = h(
    "form",
    {
      class: "trace-form",
      onsubmit: (event: Event) => {
        event.preventDefault();
        problem.hidden = true;
        const asked = Object.fromEntries(
          [
            ["from", from.value],
            ["to", to.value],
            ["id", id.value],
          ].filter(([, value]) => value !== ""),
        );
        start(app, { ...asked, seconds: Number(seconds.value) }).catch((error: unknown) => {
          app.trace.set(noTrace);
          problem.textContent = explained(error);
          problem.hidden = false;
        });
      },
    },
    ...(
      [
        ["From", from],
        ["To", to],
        ["Message id", id],
        ["For", seconds],
      ] as const
    ).map(([label, input]) => h("div", { class: "field" }, h("label", { for: input.id }, label), input)),
    h("div", { class: "actions" }, begin, end),
  );

  const draw = (now: TraceState): void => {
    const isOn = now.phase === "running" || now.phase === "starting";
    begin.disabled = isOn;
    end.hidden = now.phase !== "running";
    for (const input of [from, to, id, seconds]) input.disabled = isOn;
    write(
      state,
      { idle: "", starting: "Starting …", running: `Trace ${String(now.trace ?? "")} runs`, ended: "The trace is over" }[now.phase],
    );
    if (now.messages.length > 0) replace(place, h("ol", { class: "traced" }, ...now.messages.map(tracedItem)));
    else if (now.phase === "running") replace(place, loading("Nothing yet. Publish a message that fits, and its way is shown here …"));
    else if (now.phase === "ended")
      replace(
        place,
        empty(
          "No message came by",
          "Nobody published or read a message that fits while the trace ran. Leave a field empty to follow more.",
        ),
      );
    else
      replace(
        place,
        empty(
          "Where is my message?",
          "Say whose messages to follow and start. Each is shown with what happens to it: accepted, committed, delivered, acknowledged, or why not. The broker follows nothing while no trace runs.",
        ),
      );
  };
  let frame: number | undefined;
  const unwatch = app.trace.watch((now) => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      draw(now);
    });
  });
  const element = h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "title" },
      h(
        "div",
        {},
        h("h1", {}, "Trace"),
        h("p", { class: "about" }, "Follows messages to inboxes from PUBLISH to the reader's acknowledgement."),
      ),
    ),
    h("section", { class: "card" }, form, problem),
    h("section", { class: "card" }, h("div", { class: "card-head" }, h("h2", {}, "Messages"), state), place),
  );
  return {
    title: "Trace",
    element,
    close() {
      unwatch();
      if (frame !== undefined) cancelAnimationFrame(frame);
    },
  };
}

async function start(app: App, asked: object): Promise<void> {
  if (follow) app.connection.requests.unfollow(follow);
  app.trace.set({ ...noTrace, phase: "starting" });
  follow = (message) => {
    app.trace.set(followed(app.trace.value, message));
  };
  const trace = num(object(await app.ask("trace/start", asked, follow)), "trace");
  // Milestones may have come before the answer.
  const now = app.trace.value;
  app.trace.set({ ...now, trace, phase: now.phase === "ended" ? "ended" : "running" });
}

async function stop(app: App): Promise<void> {
  const { trace } = app.trace.value;
  try {
    await app.ask("trace/stop", { trace });
  } catch {
    // It ends by itself then; the page stops listening.
  }
  if (follow) app.connection.requests.unfollow(follow);
  app.trace.set({ ...app.trace.value, phase: "ended" });
}

function tracedItem(message: Traced): HTMLElement {
  const { label, fate: how } = outcome(message);
  const first = message.milestones[0]?.at;
  return h(
    "li",
    {},
    h(
      "div",
      { class: "traced-head" },
      h(
        "span",
        { class: "traced-way" },
        name(message.from),
        h("span", { class: "faint" }, " → "),
        link(toInbox(message.inbox), name(message.inbox)),
      ),
      h("span", { class: "mono faint traced-id" }, message.id === undefined ? (message.seq ?? "") : name(message.id)),
      h("span", { class: `badge ${BADGES[how]}` }, label),
    ),
    h("ol", { class: "milestones" }, ...message.milestones.map((milestone) => step(milestone, first))),
  );
}

function step({ what, at, why, isDuplicate }: Milestone, first: number | undefined): HTMLElement {
  const passed = at === undefined || first === undefined ? "" : at === first ? format.time(at, at) : `+${format.micros(at - first)}`;
  return h(
    "li",
    { class: fate(what) },
    h(
      "span",
      { class: "step-what" },
      what === "cancelled" ? "acknowledged before commit" : format.words(what),
      isDuplicate && h("span", { class: "faint" }, " again"),
    ),
    h("span", { class: "step-at number", title: format.iso(at) }, passed),
    why !== undefined && h("span", { class: "step-why" }, name(why)),
  );
}
