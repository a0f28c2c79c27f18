/** What a client is told when it connects. */

import type { HeartbeatBounds } from "./heartbeat.js";
import type { OutboxLimits } from "./outbox.js";

/** Who connects where, and where its outbox is kept. Times are in milliseconds, and end in `Ms`. */
export interface Options {
  /** The name of this client, and of its inbox. */
  clientId: string;
  /**
   * The file (Node) or database (browsers) with the outbox and the memory of what was received; it is made when it is not there. One client has it at
   * a time.
   */
  outbox: string;
  /** `mqtt://`, `mqtts://` (TLS), `ws://` or `wss://` (WebSocket, by default at `/mqtt`), host, port. Browsers know the last two. */
  url?: string;
  username?: string;
  password?: string;
  /** For TLS, in Node: the certificates to trust, in PEM; those of the system where there is none. */
  ca?: string;
  /** `inbox.prefix` of the broker. */
  inboxPrefix?: string;
  /** Whether to ask for receipts; without them, `delivered` and `read` of a message fail. */
  receipts?: boolean;
  outboxMessagesMax?: number;
  outboxBytesMax?: number;
  /** Stored messages whose receipts are waited for; beyond, the oldest is not followed any more. */
  followedMax?: number;
  /** Received messages that are remembered, to know repeats. */
  rememberedMax?: number;
  /** Received messages that may be unanswered. */
  window?: number;
  /**
   * How long the link may be silent before it is asked whether it lives: at first, for the interval is learnt. A dead one is found within one and a half
   * intervals.
   */
  heartbeatFirstMs?: number;
  heartbeatShortestMs?: number;
  heartbeatLongestMs?: number;
  connectTimeoutMs?: number;
  /** How long PUBACK may take before the connection is given up. */
  answerTimeoutMs?: number;
  /** Bounds of the pauses between connections, and of those after a refusal that passes. */
  reconnectLeastMs?: number;
  reconnectMostMs?: number;
  /** A connection that lasted so long makes the next pause a short one again. */
  stableMs?: number;
}

const DEFAULTS = {
  url: "mqtt://127.0.0.1:1883",
  inboxPrefix: "",
  receipts: true,
  outboxMessagesMax: 10_000,
  outboxBytesMax: 64 * 1024 * 1024,
  followedMax: 10_000,
  rememberedMax: 50_000,
  window: 100,
  heartbeatFirstMs: 30_000,
  heartbeatShortestMs: 10_000,
  heartbeatLongestMs: 240_000,
  connectTimeoutMs: 10_000,
  answerTimeoutMs: 30_000,
  reconnectLeastMs: 1_000,
  reconnectMostMs: 64_000,
  stableMs: 60_000,
};

/** Options of which every one that has a default is set. */
export type Settings = Options & typeof DEFAULTS;

/** Fills in the defaults; throws where something cannot be meant. */
export function settle(options: Options): Settings {
  const settings = { ...DEFAULTS, ...options };
  checkName(settings.clientId);
  const url = new URL(settings.url);
  if (!["mqtt:", "mqtts:", "ws:", "wss:"].includes(url.protocol) || !url.hostname) {
    throw new TypeError(`${settings.url} is no address: it begins with mqtt://, mqtts://, ws:// or wss://, and names a host`);
  }
  if (Math.min(settings.heartbeatFirstMs, settings.heartbeatShortestMs, settings.heartbeatLongestMs) <= 0) {
    throw new RangeError("a heartbeat takes longer than no time");
  }
  if (url.protocol.startsWith("ws") && url.pathname === "/") url.pathname = "/mqtt";
  return { ...settings, url: url.href };
}

/** The bounds of the heartbeat. */
export function heartbeatBounds(settings: Settings): HeartbeatBounds {
  return { firstMs: settings.heartbeatFirstMs, shortestMs: settings.heartbeatShortestMs, longestMs: settings.heartbeatLongestMs };
}

/** The bounds of the outbox. */
export function outboxLimits(settings: Settings): OutboxLimits {
  return {
    messagesMax: settings.outboxMessagesMax,
    bytesMax: settings.outboxBytesMax,
    answerTimeoutMs: settings.answerTimeoutMs,
    pauseLeastMs: settings.reconnectLeastMs,
    pauseMostMs: settings.reconnectMostMs,
  };
}

/** The topic of somebody's inbox. */
export function inboxOf(settings: Settings, name: string): string {
  return settings.inboxPrefix + name;
}

/** A name that has an inbox: other topics would be ordinary publish/subscribe, which stores nothing. */
export function checkName(name: string): string {
  if (!name || /[/+#\0]/.test(name)) {
    throw new TypeError(`${JSON.stringify(name)} cannot have an inbox: a name is not empty, and has no /, + or #`);
  }
  return name;
}
