/** What the link brings and what it says, in our own types: the machines know nothing of the MQTT library. */

import type { Property } from "./message.js";

/** A PUBLISH that came from the broker. */
export interface Packet {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** What PUBACK names; 0 with QoS 0. */
  readonly packetId: number;
  readonly qos: number;
  readonly retain: boolean;
  readonly properties: readonly Property[];
  readonly contentType: string | undefined;
}

/** A PUBACK that came from the broker. */
export interface Answered {
  readonly packetId: number;
  readonly code: number;
  readonly reason: string | undefined;
  readonly properties: readonly Property[];
}

/** What the broker said when it let the client in. */
export interface Opened {
  /** Absent where the broker is no inboxd. */
  readonly epoch: string | undefined;
  readonly receiveMaximum: number;
  /** Where the broker wants another one than it was told; 0 for none. */
  readonly keepAliveS?: number | undefined;
}

/** The end of a connection: a code where the broker gave one. */
export interface Lost {
  readonly why: string;
  readonly code?: number;
  /** Whether connecting again would end the same. */
  readonly isFinal?: boolean;
}

/** The first user property of that name. */
export function first(from: { readonly properties: readonly Property[] }, name: string): string | undefined {
  return from.properties.find(([key]) => key === name)?.[1];
}

/** The first user property of that name, if it is a number. */
export function number(from: { readonly properties: readonly Property[] }, name: string): number | undefined {
  const text = first(from, name);
  return text !== undefined && /^[0-9]+$/.test(text) ? Number(text) : undefined;
}
