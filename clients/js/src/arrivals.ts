/**
 * What arrives, as a state machine: repeats are known, order is checked, losses are told. It does no I/O.
 *
 * The promise: every message is handed over once to an application that acknowledges it, in the order of `seq`. A repeat is known by `from` and
 * `id`. `prev` proves that nothing was lost on the way; where it does not fit, the connection is given up, and the broker sends again what it has no
 * acknowledgement for.
 */

import { first, number, type Packet } from "./packet.js";
import { BROKER, isReceipt } from "./receipts.js";

/** Sender and id of a message, as one text. */
export type Key = string;

/**
 * What is to be done with a packet. `new`: hand it over. `again`: it is with the application, which has not answered yet; the answer goes to this
 * copy. `repeat`: it was answered before, answer the same. `receipt`: the broker tells about a message of ours. `hole`: something before it was lost on
 * the way, connect again.
 */
export type Judgement = "new" | "again" | "repeat" | "receipt" | "hole";

/** An answer that was given, for repeats. */
export interface Remembered {
  readonly code: number;
  readonly order: number;
  readonly isRead: boolean;
}

/** What this client knows of the broker's store over restarts. */
export interface Known {
  readonly epoch: string | undefined;
  readonly dropped: number;
}

/** What this client has had, and what it has in its hands. */
export class Arrivals {
  private readonly remembered: Map<Key, Remembered>;
  private readonly pending = new Set<Key>();
  private order: number;
  private attachment = 0;
  private holeAt: number | undefined;
  private epoch: string | undefined;
  private dropped: number;
  /** The seq of the last delivery of this connection. */
  lastSeq: number | undefined;
  /** Whether the broker of this connection is one. */
  isInboxd = false;

  constructor(
    private readonly rememberedMax: number,
    remembered: Iterable<readonly [Key, Remembered]> = [],
    known: Known = { epoch: undefined, dropped: 0 },
  ) {
    this.remembered = new Map([...remembered].sort(([, a], [, b]) => a.order - b.order));
    this.order = [...this.remembered.values()].at(-1)?.order ?? 0;
    this.epoch = known.epoch;
    this.dropped = known.dropped;
  }

  /** What is to be kept over restarts. */
  get known(): Known {
    return { epoch: this.epoch, dropped: this.dropped };
  }

  /** A connection was made, and the inbox is read from its start. Tells the epoch of before, if it was another one. */
  attached(epoch: string | undefined): string | undefined {
    this.attachment += 1;
    this.lastSeq = undefined;
    this.isInboxd = epoch !== undefined;
    const before = this.epoch;
    this.epoch = epoch ?? before;
    if (before === undefined || epoch === undefined || before === epoch) return undefined;
    this.dropped = 0;
    return before;
  }

  /** By what a repeat of it is known. Without an id, nothing is a repeat. */
  key(packet: Packet): Key {
    const id = first(packet, "id");
    if (id === undefined) return `${this.attachment}.${packet.packetId}`;
    const notice = this.notice(packet);
    // What the broker says about a message may have the id of that message.
    return JSON.stringify([this.sender(packet), ...(notice === undefined ? [id] : [notice, first(packet, "seq")])]);
  }

  /** Who sent it. Only an inboxd knows; with another broker, anybody could say anything. */
  sender(packet: Packet): string {
    return (this.isInboxd && first(packet, "from")) || "";
  }

  /** What kind of word of the broker's this is (`notice`, `recall`, `edit`), if it is one. */
  notice(packet: Packet): string | undefined {
    return this.isInboxd ? first(packet, BROKER) : undefined;
  }

  /** A packet came. Also tells how many messages left the inbox unread since the last one. */
  take(packet: Packet): { judgement: Judgement; missed: number } {
    if (this.isInboxd && this.isBehindAHole(packet)) return { judgement: "hole", missed: 0 };
    const missed = this.isInboxd ? this.missed(packet) : 0;
    if (isReceipt(packet, this.isInboxd)) return { judgement: "receipt", missed };
    const key = this.key(packet);
    if (this.remembered.has(key)) return { judgement: "repeat", missed };
    if (this.pending.has(key)) return { judgement: "again", missed };
    this.pending.add(key);
    return { judgement: "new", missed };
  }

  /** What was answered to it before. */
  answerTo(key: Key): Remembered | undefined {
    return this.remembered.get(key);
  }

  /** What is to be remembered of an answer; it is made durable before anybody acts on it. */
  prepare(code: number): Remembered {
    this.order += 1;
    return { code, order: this.order, isRead: false };
  }

  /** The application's answer is durable: from now on the message is a repeat. */
  remember(key: Key, remembered: Remembered): void {
    this.pending.delete(key);
    this.remembered.set(key, remembered);
  }

  /** What is more than may be remembered, the oldest first. */
  toForget(): Key[] {
    const more = this.remembered.size - this.rememberedMax;
    return more > 0 ? [...this.remembered.keys()].slice(0, more) : [];
  }

  /** These would be taken for new. */
  forget(keys: Iterable<Key>): void {
    for (const key of keys) this.remembered.delete(key);
  }

  private isBehindAHole(packet: Packet): boolean {
    const [seq, prev] = [number(packet, "seq"), number(packet, "prev")];
    const fits = prev === undefined || prev === this.lastSeq;
    // The same hole twice is not the network's: going on is better than never getting any further.
    if (fits || seq === this.holeAt) {
      this.lastSeq = seq ?? this.lastSeq;
      return false;
    }
    this.holeAt = seq;
    return true;
  }

  private missed(packet: Packet): number {
    const dropped = number(packet, "dropped") ?? 0;
    const missed = Math.max(0, dropped - this.dropped);
    this.dropped += missed;
    return missed;
  }
}
