/** Receipts: what the broker tells a sender about its messages. A receipt is believed only where no client can have made it. */

import type { State } from "./message.js";
import { first, type Packet } from "./packet.js";
import { shown } from "./reasons.js";

/** The sender of what the broker says itself; nobody connects under that name. */
export const BROKER = "$inboxd";

/** What became of one message: a state that it reached, or why it never will. */
export interface Receipt {
  readonly id: string;
  readonly topic: string;
  readonly seq: number | undefined;
  readonly state?: State;
  readonly why?: string;
  readonly code?: number;
}

/** Whether the broker made this. With another broker, anybody could have. */
export function isReceipt(packet: Packet, isInboxd: boolean): boolean {
  return isInboxd && packet.retain && first(packet, "from") === BROKER && first(packet, BROKER) === "receipt";
}

/** The receipts in one message; what is not understood is left out. */
export function parse(payload: Uint8Array): Receipt[] {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch {
    return [];
  }
  const told = isObject(body) ? body["receipts"] : undefined;
  return Array.isArray(told) ? told.flatMap(receipt) : [];
}

function receipt(item: unknown): Receipt[] {
  if (!isObject(item)) return [];
  const { id, topic, state, why, reason } = item;
  if (typeof id !== "string" || typeof topic !== "string") return [];
  const known = { id, topic, seq: typeof item["seq"] === "number" ? item["seq"] : undefined };
  switch (state) {
    case "delivered":
    case "read":
      return [{ ...known, state }];
    case "expired":
      return [{ ...known, why: "it expired before the recipient took it" }];
    case "dropped":
      return [{ ...known, why: `it left the inbox unread: ${String(why)}` }];
    case "refused":
      if (typeof reason !== "number") return [{ ...known, why: "the recipient refused it" }];
      return [{ ...known, why: `the recipient refused it (${shown(reason)})`, code: reason }];
    default:
      return [];
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
