/** The event stream: what came under `$SYS/inboxd/event/`, newest first, at most 500. */
import { visible } from "./visible";
import { num, object, str, type Json } from "./json";
import { counted, ownerOf, words } from "./format";

export const EVENTS_MAX = 500;

export interface Event {
  kind: string;
  at?: number | undefined;
  /** Whose inbox or connection it is about. */
  client?: string | undefined;
  /** Who was refused: a client ID, or only an address. */
  who?: string | undefined;
  fields: Json;
}

export interface EventStream {
  events: readonly Event[];
  /** While paused, new events wait here, at most as many. */
  held: readonly Event[];
  isPaused: boolean;
}

export const noEvents: EventStream = { events: [], held: [], isPaused: false };

const bounded = (events: readonly Event[]): readonly Event[] => (events.length > EVENTS_MAX ? events.slice(0, EVENTS_MAX) : events);

/** `prefix` is that of inbox topics. */
export function received(stream: EventStream, kind: string, value: unknown, prefix: string): EventStream {
  const fields = object(value);
  if (!fields) return stream;
  const inbox = str(fields, "inbox");
  // The topic is all that the broker knows of a publish that found no room.
  const owner = kind === "inbox-full" && inbox !== undefined ? ownerOf(inbox, prefix) : inbox;
  const client = str(fields, "client") ?? owner;
  const event: Event = { kind, at: num(fields, "at"), client, who: str(fields, "who"), fields };
  if (stream.isPaused) return { ...stream, held: bounded([event, ...stream.held]) };
  return { ...stream, events: bounded([event, ...stream.events]) };
}

export function paused(stream: EventStream, isPaused: boolean): EventStream {
  if (isPaused) return { ...stream, isPaused };
  return { ...stream, isPaused, events: bounded([...stream.held, ...stream.events]), held: [] };
}

export function cleared(stream: EventStream): EventStream {
  return { ...stream, events: [], held: [] };
}

export interface EventFilter {
  readonly kinds: ReadonlySet<string>;
  readonly text: string;
}

export const noFilter: EventFilter = { kinds: new Set(), text: "" };

export function matches(event: Event, filter: EventFilter): boolean {
  if (filter.kinds.size > 0 && !filter.kinds.has(event.kind)) return false;
  if (filter.text === "") return true;
  const wanted = filter.text.toLowerCase();
  return Object.values(event.fields).some(
    (value) => typeof value === "string" && (value.toLowerCase().includes(wanted) || visible(value).toLowerCase().includes(wanted)),
  );
}

/** What happened, beside the name that it happened to, in words. */
export function sentence(event: Event): string {
  const text = (key: string): string => visible(str(event.fields, key) ?? "");
  switch (event.kind) {
    case "connected":
      return joined([
        text("user") && `user ${text("user")}`,
        text("peer") && `from ${text("peer")}`,
        text("listener") && `over ${text("listener")}`,
      ]);
    case "disconnected":
      return text("why") || words(text("cause"));
    case "takeover":
      return joined([text("why") || "another connection uses this client ID now", text("peer") && `from ${text("peer")}`]);
    case "refused":
      return joined([text("what"), text("why") || words(text("cause"))], ": ");
    case "inbox-full":
      return joined(["the inbox is full", text("from") && `a message from ${text("from")} had no room`]);
    case "expired":
    case "dropped":
    case "idle":
      return joined([`message ${text("id")}`, text("from") && `from ${text("from")}`]);
    case "purged":
      return `${counted(num(event.fields, "messages"), "message", "messages")} removed`;
    default:
      return Object.entries(event.fields)
        .filter(([key]) => key !== "at" && key !== "client" && key !== "inbox")
        .map(([key, value]) => `${words(key)}: ${visible(typeof value === "string" ? value : JSON.stringify(value))}`)
        .join(", ");
  }
}

function joined(parts: readonly string[], by = ", "): string {
  return parts.filter((part) => part !== "").join(by);
}
