/** What a trace saw, grouped by message: a message is an inbox with an `id`, or with a seq where the `id` is not known. */
import { at, num, object, str } from "./json";

export const MESSAGES_MAX = 200;
const MILESTONES_MAX = 50;

export interface Milestone {
  what: string;
  at?: number | undefined;
  why?: string | undefined;
  isDuplicate: boolean;
}

export interface Traced {
  key: string;
  inbox: string;
  from?: string | undefined;
  id?: string | undefined;
  seq?: number | undefined;
  milestones: readonly Milestone[];
}

export interface TraceState {
  phase: "idle" | "starting" | "running" | "ended";
  trace?: number | undefined;
  /** Newest first. */
  messages: readonly Traced[];
  events: number;
}

export const noTrace: TraceState = { phase: "idle", messages: [], events: 0 };

/** Takes one message of the trace: a milestone, or the end. Others are passed over. */
export function followed(state: TraceState, value: unknown): TraceState {
  const from = object(value);
  const trace = num(from, "trace");
  if (!from || trace === undefined || (state.trace !== undefined && state.trace !== trace)) return state;
  if (from["ended"] !== undefined) return { ...state, phase: "ended" };
  const event = at(from, "event");
  const what = str(event, "what");
  const inbox = str(event, "inbox");
  if (!event || what === undefined || inbox === undefined) return state;
  const milestone: Milestone = {
    what,
    at: num(event, "at"),
    why: str(event, "why") ?? str(event, "cause"),
    isDuplicate: event["dup"] === true,
  };
  const seen = { inbox, id: str(event, "id"), seq: num(event, "seq"), from: str(event, "from") };
  const known = state.messages.findIndex((message) => isSame(message, seen));
  const old = state.messages[known];
  const message: Traced = {
    key: old?.key ?? `${inbox}\n${seen.id ?? ""}\n${String(seen.seq ?? "")}\n${String(state.events)}`,
    inbox,
    from: old?.from ?? seen.from,
    id: old?.id ?? seen.id,
    seq: old?.seq ?? seen.seq,
    milestones: [...(old?.milestones ?? []), milestone].slice(-MILESTONES_MAX),
  };
  const messages = old ? state.messages.with(known, message) : [message, ...state.messages].slice(0, MESSAGES_MAX);
  return { ...state, messages, events: state.events + 1 };
}

function isSame(
  message: Traced,
  seen: { inbox: string; id?: string | undefined; seq?: number | undefined; from?: string | undefined },
): boolean {
  if (message.inbox !== seen.inbox) return false;
  if (message.seq !== undefined && seen.seq !== undefined) return message.seq === seen.seq;
  // The scope of an id is its sender and inbox.
  if (message.from !== undefined && seen.from !== undefined && message.from !== seen.from) return false;
  return message.id !== undefined && message.id === seen.id;
}

/** What its reader's acknowledgement is called: the second, where it came before the commit, which was then cancelled. */
const TAKEN: ReadonlySet<string> = new Set(["acknowledged", "cancelled"]);

/** What ends a message without its reader's acknowledgement. */
const LOSSES: ReadonlySet<string> = new Set(["refused", "expired", "dropped", "purged"]);

export type Fate = "good" | "bad" | "kept" | "open";

/** How a message fared, in a word or two, and whether that is good. */
export function outcome(message: Traced): { label: string; fate: Fate } {
  const what = message.milestones.map((milestone) => milestone.what);
  const loss = what.find((each) => LOSSES.has(each));
  if (what.some((each) => TAKEN.has(each))) return { label: "acknowledged", fate: "good" };
  if (loss !== undefined) return { label: loss, fate: "bad" };
  return what.includes("committed") ? { label: "on disk", fate: "kept" } : { label: "under way", fate: "open" };
}

export function fate(what: string): Fate {
  return LOSSES.has(what) ? "bad" : TAKEN.has(what) ? "good" : "open";
}
