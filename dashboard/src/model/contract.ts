/** What the broker says, as types: the JSON under `$SYS/inboxd/`, and the answers to requests. */
import { at, bool, list, num, numbers, object, str, type Json } from "./json";

interface Latency {
  count: number;
  p50?: number | undefined;
  p99?: number | undefined;
}

export interface Refusal {
  cause: string;
  total: number;
  perSecond: number;
}

const RATES = ["received", "delivered", "acknowledged", "committed", "refused", "bytes_received", "bytes_sent"] as const;
type Rate = (typeof RATES)[number];

export interface Overview {
  version: string;
  /** Microseconds since 1970, by the broker's clock. */
  at: number;
  uptimeS: number;
  intervalMs: number;
  rates: Record<Rate, number>;
  latency: { puback: Latency; delivery: Latency; commit: Latency; fsync: Latency };
  commit: { perSecond: number; messagesP50?: number | undefined; messagesMax?: number | undefined; cancelledShare?: number | undefined };
  clients: { connected: number; keptSessions: number };
  inboxes?:
    { withMail: number; messages: number; bytes: number; oldestAt?: number | undefined; countedAt?: number | undefined } | undefined;
  store: { engine: string; diskFree?: number | undefined; uncommitted: number; isTroubled: boolean };
  memory: { used?: number | undefined; limit?: number | undefined; pressure?: string | undefined };
  refusals: Refusal[];
  waiting: { publishes: number; oldestMs: number; for?: string | undefined };
}

function latency(from: Json | undefined): Latency {
  return { count: num(from, "count") ?? 0, p50: num(from, "p50"), p99: num(from, "p99") };
}

/** What the broker does because memory is short, by the step it is at. */
const PRESSURE = [undefined, "publishers are slowed down", "mail leaves memory", "messages are refused"] as const;

function pressure(from: Json | undefined): string | undefined {
  const step = num(from, "pressure") ?? 0;
  return PRESSURE[Math.min(Math.max(0, Math.floor(step)), PRESSURE.length - 1)];
}

export function overview(value: unknown): Overview | undefined {
  const from = object(value);
  const sent = num(from, "at");
  if (!from || sent === undefined) return undefined;
  const rates = at(from, "rates");
  const commit = at(from, "commit");
  const inboxes = at(from, "inboxes");
  const messages = num(inboxes, "messages");
  const store = at(from, "store");
  const waiting = at(from, "waiting");
  return {
    version: str(from, "version") ?? "",
    at: sent,
    uptimeS: num(from, "uptime_s") ?? 0,
    intervalMs: num(from, "interval_ms") ?? 1000,
    rates: Object.fromEntries(RATES.map((name) => [name, num(rates, name) ?? 0])) as Record<Rate, number>,
    latency: {
      puback: latency(at(at(from, "latency_us"), "puback")),
      delivery: latency(at(at(from, "latency_us"), "delivery")),
      commit: latency(at(at(from, "latency_us"), "commit")),
      fsync: latency(at(at(from, "latency_us"), "fsync")),
    },
    commit: {
      perSecond: num(commit, "per_second") ?? 0,
      messagesP50: num(commit, "messages_p50"),
      messagesMax: num(commit, "messages_max"),
      cancelledShare: num(commit, "cancelled_share"),
    },
    clients: { connected: num(at(from, "clients"), "connected") ?? 0, keptSessions: num(at(from, "clients"), "kept_sessions") ?? 0 },
    inboxes:
      messages === undefined
        ? undefined
        : {
            withMail: num(inboxes, "with_mail") ?? 0,
            messages,
            bytes: num(inboxes, "bytes") ?? 0,
            oldestAt: num(inboxes, "oldest_at"),
            countedAt: num(inboxes, "counted_at"),
          },
    store: {
      engine: str(store, "engine") ?? "",
      diskFree: num(store, "disk_free_bytes"),
      uncommitted: num(store, "uncommitted_bytes") ?? 0,
      isTroubled: bool(store, "is_troubled"),
    },
    memory: { used: num(at(from, "memory"), "used"), limit: num(at(from, "memory"), "limit"), pressure: pressure(at(from, "memory")) },
    refusals: list(from, "refusals", (one) => {
      const cause = str(one, "cause");
      return cause === undefined ? undefined : { cause, total: num(one, "total") ?? 0, perSecond: num(one, "per_second") ?? 0 };
    }),
    waiting: { publishes: num(waiting, "publishes") ?? 0, oldestMs: num(waiting, "oldest_ms") ?? 0, for: str(waiting, "for") },
  };
}

export interface InboxRow {
  client: string;
  messages: number;
  bytes: number;
  oldestAt?: number | undefined;
}

function inboxRow(from: Json): InboxRow | undefined {
  const client = str(from, "client");
  if (client === undefined) return undefined;
  return { client, messages: num(from, "messages") ?? 0, bytes: num(from, "bytes") ?? 0, oldestAt: num(from, "oldest_at") };
}

export interface Top {
  largest: InboxRow[];
  oldest: InboxRow[];
}

/** Nothing before the first count, whose lists are empty. */
export function top(value: unknown): Top | undefined {
  const from = object(value);
  if (num(from, "counted_at") === undefined) return undefined;
  return { largest: list(from, "largest", inboxRow), oldest: list(from, "oldest", inboxRow) };
}

export interface ClientCounts {
  connected: number;
  kept: number;
  byProtocol: [string, number][];
  byListener: [string, number][];
}

export function clientCounts(value: unknown): ClientCounts | undefined {
  const from = object(value);
  if (!from) return undefined;
  return {
    connected: num(from, "connected") ?? 0,
    kept: num(from, "kept") ?? 0,
    byProtocol: numbers(at(from, "by_protocol")),
    byListener: numbers(at(from, "by_listener")),
  };
}

export interface Page<T> {
  rows: T[];
  next?: string | number | undefined;
}

export function next(from: Json | undefined): string | number | undefined {
  return str(from, "next") ?? num(from, "next");
}

export function inboxPage(value: unknown): Page<InboxRow> {
  const from = object(value);
  return { rows: list(from, "inboxes", inboxRow), next: next(from) };
}

export interface Inbox extends InboxRow {
  messagesMax?: number | undefined;
  bytesMax?: number | undefined;
  reader: boolean;
  /** Messages that the reader has and did not acknowledge yet. */
  inFlight?: number | undefined;
  connected: boolean;
}

export function inbox(value: unknown): Inbox | undefined {
  const from = object(value);
  const row = from && inboxRow(from);
  if (!row) return undefined;
  return {
    ...row,
    messagesMax: num(from, "messages_max"),
    bytesMax: num(from, "bytes_max"),
    reader: bool(from, "reader"),
    inFlight: num(from, "in_flight"),
    connected: bool(from, "connected"),
  };
}

export interface Message {
  seq: number;
  at?: number | undefined;
  from?: string | undefined;
  id?: string | undefined;
  qos?: number | undefined;
  /** Of the whole message. */
  bytes: number;
  payloadBytes: number;
  expiresAt?: number | undefined;
  payload: { text: string } | { hex: string };
  truncated: boolean;
  contentType?: string | undefined;
  responseTopic?: string | undefined;
  correlationDataHex?: string | undefined;
  userProperties: [string, string][];
}

function message(from: Json): Message | undefined {
  const seq = num(from, "seq");
  if (seq === undefined) return undefined;
  const text = str(from, "payload");
  const pairs = from["user_properties"];
  return {
    seq,
    at: num(from, "at"),
    from: str(from, "from"),
    id: str(from, "id"),
    qos: num(from, "qos"),
    bytes: num(from, "bytes") ?? 0,
    payloadBytes: num(from, "payload_bytes") ?? num(from, "bytes") ?? 0,
    expiresAt: num(from, "expires_at"),
    payload: text === undefined ? { hex: str(from, "payload_hex") ?? "" } : { text },
    truncated: bool(from, "truncated"),
    contentType: str(from, "content_type"),
    responseTopic: str(from, "response_topic"),
    correlationDataHex: str(from, "correlation_data_hex"),
    userProperties: Array.isArray(pairs)
      ? pairs.flatMap((pair: unknown) =>
          Array.isArray(pair) && pair.length === 2 ? [[String(pair[0]), String(pair[1])] as [string, string]] : [],
        )
      : [],
  };
}

export function messagePage(value: unknown): Page<Message> {
  const from = object(value);
  return { rows: list(from, "messages", message), next: next(from) };
}

export interface Client {
  client: string;
  user?: string | undefined;
  peer?: string | undefined;
  listener?: string | undefined;
  protocol?: string | undefined;
  connectedAt?: number | undefined;
  connected: boolean;
}

export function client(value: unknown): Client | undefined {
  const from = object(value);
  const name = str(from, "client");
  if (!from || name === undefined) return undefined;
  return {
    client: name,
    user: str(from, "user"),
    peer: str(from, "peer"),
    listener: str(from, "listener"),
    protocol: str(from, "protocol"),
    connectedAt: num(from, "connected_at"),
    connected: bool(from, "connected"),
  };
}

export function clientPage(value: unknown): Page<Client> {
  const from = object(value);
  return { rows: list(from, "clients", client), next: next(from) };
}
