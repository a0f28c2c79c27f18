/** "Where is my message?": follows messages through their milestones, live. */
import type { App } from "../app";
import * as format from "../model/format";
import { fate, MESSAGES_MAX, outcome, type Milestone, type Traced, type TraceState } from "../model/trace";
import { explained } from "../mqtt/requests";
import { toInbox, type Route } from "../router";
import { button, empty, h, link, loading, name, replace, write } from "../ui/dom";
import { frames, rows } from "../ui/live";
import { card, head, nameField, problem } from "../ui/parts";
import type { View } from "../ui/shell";

const SECONDS = [60, 300, 600] as const;
const BADGES = { good: "good", bad: "bad", kept: "", open: "warn" } as const;
/** Why a trace is over, as the broker says it; `connection` is this page's word. */
const ENDINGS: Readonly<Record<string, string>> = {
  time: "its time is up",
  stopped: "it was stopped",
  connection: "it ended with the connection to the broker, so what came after is not shown",
};

export function trace(app: App, at: Route): View {
  const { state } = app.tracer;
  const field = (id: string, hint: string): HTMLInputElement =>
    nameField({
      id,
      name: id,
      value: isOn(state.value) ? state.value.asked[id] : (at.query.get(id) ?? ""),
      placeholder: hint,
    });
  const from = field("from", "any sender");
  const to = field("to", "any inbox");
  const id = field("id", "any message");
  const seconds = h("select", { id: "seconds" }, ...SECONDS.map((each) => h("option", { value: each }, format.seconds(each))));
  if (isOn(state.value)) seconds.value = String(state.value.asked["seconds"]);
  const wrong = problem();
  const begin = h("button", { type: "submit", class: "button primary" }, "Start");
  const end = button("Stop", "plain", () => app.tracer.stop());
  const phase = h("span", { class: "faint", role: "status" });
  const remarks = h("div", { class: "remarks" });
  const place = h("div", { class: "live" });
  const list = h("ol", { class: "traced" });
  const drawRows = rows<Traced>(list, (message) => tracedItem(message, app.now()));

  const form = h(
    "form",
    {
      class: "trace-form",
      onsubmit: (event: Event) => {
        event.preventDefault();
        wrong.hide();
        const wanted = [from, to, id].filter(({ value }) => value !== "").map(({ name, value }) => [name, value]);
        app.tracer.start({ ...Object.fromEntries(wanted), seconds: Number(seconds.value) }).catch((error: unknown) => {
          wrong.say(explained(error));
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

  let remarked = "";
  const drawing = frames(() => {
    const now = state.value;
    begin.disabled = isOn(now);
    end.hidden = now.phase !== "running";
    for (const input of [from, to, id, seconds]) input.disabled = isOn(now);
    write(phase, phaseOf(now));
    const said = remarksOn(now);
    if (said.join() !== remarked) replace(remarks, ...said.map((each) => h("p", { class: "notice warn" }, each)));
    remarked = said.join();
    drawRows(now.messages);
    if (now.messages.length === 0) replace(place, nothing(now));
    else if (!list.isConnected) replace(place, list);
  });
  const unwatch = state.watch(drawing.ask);
  const element = h(
    "div",
    { class: "stack" },
    head("Trace", "Follows messages to inboxes from PUBLISH to the reader's acknowledgement."),
    h("section", { class: "card" }, form, wrong.element),
    card("Messages", phase, remarks, place),
  );
  return {
    title: "Trace",
    element,
    close() {
      unwatch();
      drawing.close();
    },
  };
}

function isOn({ phase }: TraceState): boolean {
  return phase === "running" || phase === "starting";
}

function phaseOf({ phase, trace, ended }: TraceState): string {
  if (phase === "idle") return "";
  if (phase === "starting") return "Starting …";
  if (phase === "running") return `Trace ${String(trace ?? "")} runs`;
  return `The trace is over: ${ENDINGS[ended ?? ""] ?? format.words(ended ?? "")}.`;
}

/** What of the trace is not shown, and why. */
function remarksOn({ missed, followedMax, dropped }: TraceState): string[] {
  const said: string[] = [];
  if (missed > 0)
    said.push(
      `${format.counted(missed, "milestone was", "milestones were")} missed, because too much happened at once. A message may have come further than is shown.`,
    );
  if (followedMax !== undefined)
    said.push(`Too many messages: the broker follows ${format.count(followedMax)} at a time, and did not follow some that came then.`);
  if (dropped > 0)
    said.push(
      `Only the newest ${format.count(MESSAGES_MAX)} messages are shown; ${format.counted(dropped, "older one was", "older ones were")} left out. Name a sender, an inbox or an id to follow fewer.`,
    );
  return said;
}

function nothing({ phase }: TraceState): HTMLElement {
  if (phase === "running") return loading("Nothing yet. Publish a message that fits, and its way is shown here …");
  if (phase === "ended")
    return empty(
      "No message came by",
      "Nobody published or read a message that fits while the trace ran. Leave a field empty to follow more.",
    );
  return empty(
    "Where is my message?",
    "Say whose messages to follow, in one field at least, and start. Each is shown with what happens to it: accepted, committed, delivered, acknowledged, or why not. The broker follows nothing while no trace runs.",
  );
}

function tracedItem(message: Traced, now: number): HTMLElement {
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
    h(
      "ol",
      { class: "milestones" },
      ...message.milestones.map((milestone, index) => step(milestone, index === 0 ? format.time(first, now) : since(first, milestone.at))),
    ),
  );
}

/** Clocks may be put back, so that a milestone seems to come before the one that it follows. */
function since(first: number | undefined, at: number | undefined): string {
  return first === undefined || at === undefined ? "" : `+${format.micros(Math.max(0, at - first))}`;
}

function step({ what, at, why, isDuplicate }: Milestone, when: string): HTMLElement {
  return h(
    "li",
    { class: fate(what) },
    h(
      "span",
      { class: "step-what" },
      what === "cancelled" ? "acknowledged before commit" : format.words(what),
      isDuplicate && h("span", { class: "faint" }, " again"),
    ),
    h("span", { class: "step-at number", title: format.iso(at) }, when),
    why !== undefined && h("span", { class: "step-why" }, name(why)),
  );
}
