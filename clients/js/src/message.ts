/** A message on its way to a recipient, as the outbox keeps it. */

import type { StoredRecord } from "./store.js";

/**
 * How far a message has come; it only ever goes up. `queued`: in the outbox of this client. `stored`: on the broker's disk, or with the recipient
 * already. `delivered`: the recipient has acknowledged it. `read`: the recipient's application said that it was read.
 */
export type State = "queued" | "stored" | "delivered" | "read";

const ORDER: readonly State[] = ["queued", "stored", "delivered", "read"];

/** Whether `state` is `other` or comes after it. */
export function hasReached(state: State, other: State): boolean {
  return ORDER.indexOf(state) >= ORDER.indexOf(other);
}

/** A user property. */
export type Property = readonly [name: string, value: string];

/** 128 random bits. */
export function newId(): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What goes out in a PUBLISH, and what is known of it. */
export interface Message {
  readonly id: string;
  readonly to: string;
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Its place among all messages of this outbox. */
  order: number;
  readonly contentType: string | undefined;
  readonly properties: readonly Property[];
  /** Which receipts are asked for: `delivered,read`, or none. */
  readonly receipts: string;
  /** When nobody wants it any more, in milliseconds since 1970. */
  readonly expiresAt: number | undefined;
  /** Of a request about another message: the queue that it waits in, where that message is in the outbox still. */
  readonly behind?: string | undefined;
  /** Of a request about another message: the id of that. */
  readonly about?: string | undefined;
  state: State;
  seq: number | undefined;
  /** Whether the store has it, so that it may go out. */
  durable: boolean;
  /** Whether it was published, perhaps: by an earlier process, too. */
  mayBeOut?: boolean;
}

/** What is in one queue goes out one after the other. */
export function queueOf(message: Message): string {
  return message.behind ?? message.topic;
}

/** The state after which nothing more is to come. */
export function lastState(message: Message): State {
  return message.receipts.includes("read") ? "read" : message.receipts ? "delivered" : "stored";
}

/** Whether it is a request to the broker rather than a message to somebody. */
export function isRequest(message: Message): boolean {
  return message.topic.startsWith("$");
}

/** For the store. A message that the broker has needs no payload any more. */
export function toRecord(message: Message): StoredRecord {
  const { id: _, durable: __, mayBeOut: ___, ...kept } = message;
  return { ...kept, payload: message.state === "queued" ? message.payload : new Uint8Array() };
}

/** Out of the store. */
export function fromRecord(id: string, record: StoredRecord): Message {
  return { contentType: undefined, expiresAt: undefined, seq: undefined, ...record, id, durable: true, mayBeOut: true } as Message;
}
