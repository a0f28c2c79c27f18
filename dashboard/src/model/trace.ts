/**
 * What a trace saw, grouped by message: an inbox and a seq. A refused publish has no seq, and is a message of its own.
 * The newest messages are kept; what was left out, and why, is told beside them.
 */
import { ownerOf, words } from "./format";
import { at, num, object, str, type Json } from "./json";

export const MESSAGES_MAX = 200;
export const MILESTONES_MAX = 50;

export interface Milestone {
  what: string;
  at?: number | undefined;
  why?: string | undefined;
  isDuplicate: boolean;
}

export interface Traced {
  inbox: string;
  seq?: number | undefined;
  from?: string | undefined;
  id?: string | undefined;
  milestones: readonly Milestone[];
}

export interface TraceState {
  phase: "idle" | "starting" | "running" | "ended";
  /** What was asked for: `from`, `to` and `id`, where they were given, and `seconds`. */
  asked: Readonly<Record<string, string | number>>;
  trace?: number | undefined;
  /** Newest first. */
  messages: readonly Traced[];
  /** Older messages that are not shown any more. */
  dropped: number;
  /** Milestones that the broker could not keep up with. */
  missed: number;
  /** How many messages the broker follows at a time, if there were more. */
  followedMax?: number | undefined;
  /** Why it is over. */
  ended?: string | undefined;
}

export const noTrace: TraceState = { phase: "idle", asked: {}, messages: [], dropped: 0, missed: 0 };

/** What a message begins with. */
const BEGINNINGS: ReadonlySet<string> = new Set(["accepted", "waiting", "refused"]);
/** What its reader's acknowledgement is called: the second, where it came before the commit, which was then cancelled. */
const TAKEN: ReadonlySet<string> = new Set(["acknowledged", "cancelled"]);
/** What ends a message without its reader's acknowledgement. */
const LOSSES: ReadonlySet<string> = new Set(["refused", "expired", "dropped", "idle", "purged", "collapsed", "recalled", "edited"]);
/** What says that it is on disk: what waited before was read from there. */
const KEPT: ReadonlySet<string> = new Set(["committed", "waiting"]);

/** Takes one message of the trace: a milestone, what it missed, or the end. Others are passed over. `prefix` is that of inbox topics. */
export function followed(state: TraceState, value: unknown, prefix: string): TraceState {
  const from = object(value);
  const trace = num(from, "trace");
  if (trace === undefined || (state.trace !== undefined && state.trace !== trace)) return state;
  const why = str(from, "ended");
  if (why !== undefined) return over(state, why);
  const event = at(from, "event");
  const what = str(event, "what");
  if (!event || what === undefined) return { ...state, missed: state.missed + (num(from, "missed") ?? 0) };
  if (what === "too-many") return { ...state, followedMax: num(event, "followed") ?? state.followedMax ?? 0 };
  const inbox = str(event, "inbox");
  if (inbox === undefined) return state;
  if (what === "purged" && num(event, "seq") === undefined) return { ...state, messages: purged(state.messages, inbox, event) };
  // The topic is all that the broker knows of a refused publish.
  return met(state, what === "refused" ? ownerOf(inbox, prefix) : inbox, event);
}

/** The trace has ended, if it was under way. */
export function over(state: TraceState, why: string): TraceState {
  return state.phase === "running" || state.phase === "starting" ? { ...state, phase: "ended", ended: why } : state;
}

function milestone(event: Json): Milestone {
  const cause = str(event, "cause");
  return {
    what: str(event, "what") ?? "",
    at: num(event, "at"),
    why: str(event, "why") ?? (cause === undefined ? undefined : words(cause)),
    isDuplicate: event["dup"] === true,
  };
}

function met(state: TraceState, inbox: string, event: Json): TraceState {
  const seq = num(event, "seq");
  const known = seq === undefined ? -1 : state.messages.findIndex((message) => message.inbox === inbox && message.seq === seq);
  const old = state.messages[known];
  const now = milestone(event);
  if (old) return { ...state, messages: state.messages.with(known, reached(old, now)) };
  // One that is not shown any more does not come back in pieces.
  if (state.dropped > 0 && !BEGINNINGS.has(now.what)) return state;
  const message: Traced = { inbox, seq, from: str(event, "from"), id: str(event, "id"), milestones: [now] };
  const isFull = state.messages.length === MESSAGES_MAX;
  return { ...state, messages: [message, ...state.messages.slice(0, MESSAGES_MAX - 1)], dropped: state.dropped + (isFull ? 1 : 0) };
}

/** An operator emptied the inbox, up to a seq or as many messages as are said, or all of it. */
function purged(messages: readonly Traced[], inbox: string, event: Json): readonly Traced[] {
  const upTo = num(event, "up_to") ?? Infinity;
  const there = messages.filter((message) => message.inbox === inbox && !isOver(message) && (message.seq ?? 0) <= upTo);
  const byAge = there.toSorted((left, right) => (left.seq ?? 0) - (right.seq ?? 0));
  const gone = new Set(byAge.slice(0, num(event, "messages")));
  return messages.map((message) => (gone.has(message) ? reached(message, milestone(event)) : message));
}

function reached(message: Traced, now: Milestone): Traced {
  const milestones = [...message.milestones, now];
  // Only deliveries are repeated without an end: the oldest of them goes.
  const oldest = milestones.findIndex(({ what }) => what === "delivered");
  return { ...message, milestones: milestones.length > MILESTONES_MAX ? milestones.toSpliced(Math.max(0, oldest), 1) : milestones };
}

function isOver(message: Traced): boolean {
  return message.milestones.some(({ what }) => TAKEN.has(what) || LOSSES.has(what));
}

type Fate = "good" | "bad" | "kept" | "open";

/** How a message fared, in a word or two, and whether that is good. */
export function outcome(message: Traced): { label: string; fate: Fate } {
  const what = message.milestones.map((milestone) => milestone.what);
  const loss = what.find((each) => LOSSES.has(each));
  if (what.some((each) => TAKEN.has(each))) return { label: "acknowledged", fate: "good" };
  if (loss !== undefined) return { label: loss, fate: "bad" };
  return what.some((each) => KEPT.has(each)) ? { label: "on disk", fate: "kept" } : { label: "under way", fate: "open" };
}

export function fate(what: string): Fate {
  return LOSSES.has(what) ? "bad" : TAKEN.has(what) ? "good" : "open";
}
