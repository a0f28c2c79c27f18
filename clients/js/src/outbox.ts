/**
 * The outbox as a state machine: what is to be published next, and what an answer means. It does no I/O.
 *
 * The promise: to one recipient, messages go out in the order in which they were sent, whatever is lost or refused. So **one message for each
 * recipient is unanswered at a time**: behind two, the broker could refuse the first for want of room and take the second.
 *
 * A recipient's queue:
 *
 *     idle ──due──▶ in flight ──stored, refused──▶ idle (the message leaves)
 *                      │  └──passing refusal──▶ held until a pause is over ──▶ idle (the message stays)
 *                      └──disconnected──▶ idle (the message stays, and goes out again with the same id)
 */

import { Backoff, type Chance } from "./backoff.js";
import { OutboxFullError } from "./errors.js";
import { type Message, queueOf } from "./message.js";
import { ERROR_LEAST, publishIsFinal } from "./reasons.js";

/** How much an outbox holds, and how it waits. */
export interface OutboxLimits {
  readonly messagesMax: number;
  readonly bytesMax: number;
  readonly answerTimeoutMs: number;
  readonly pauseLeastMs: number;
  readonly pauseMostMs: number;
}

/** What a PUBACK means. Where the recipient's queue is held, for how long. */
export type Verdict = { readonly is: "stored" } | { readonly is: "refused" } | { readonly is: "held"; readonly pauseMs: number };

interface Queue {
  readonly backoff: Backoff;
  readonly messages: Message[];
  inFlightSince: number | undefined;
  heldUntil: number;
}

/** Messages that the broker does not have yet, a queue for each recipient. Times are in milliseconds, of any clock that only goes forward. */
export class Outbox {
  private readonly queues = new Map<string, Queue>();
  private readonly queued = new Set<Message>();
  private bytes = 0;
  private window = 0;

  constructor(
    private readonly limits: OutboxLimits,
    messages: readonly Message[] = [],
  ) {
    for (const message of [...messages].sort((a, b) => a.order - b.order)) this.enqueue(message);
  }

  /** How many messages it holds. */
  get size(): number {
    return this.queued.size;
  }

  /** Takes a message, which goes out when it is marked durable. */
  add(message: Message): void {
    if (this.queued.size >= this.limits.messagesMax) {
      throw new OutboxFullError(`the outbox holds ${this.queued.size} messages, and no more may wait`);
    }
    if (this.bytes + message.payload.length > this.limits.bytesMax) {
      throw new OutboxFullError(`the outbox holds ${this.bytes} bytes, and ${this.limits.bytesMax} at most`);
    }
    this.enqueue(message);
  }

  /** The message of this id in that queue; requests about it are behind it. */
  find(queue: string, id: string): Message | undefined {
    return this.queues.get(queue)?.messages.find((message) => message.topic === queue && message.id === id);
  }

  /** Whether the message of this id is in that queue, or a request about it. */
  isAbout(queue: string, id: string): boolean {
    return this.queues.get(queue)?.messages.some((message) => message.id === id || message.about === id) ?? false;
  }

  /** It is not to go out any more: it was stored, refused, or never made durable. */
  remove(message: Message): void {
    const queue = this.queues.get(queueOf(message));
    if (!queue || !this.queued.delete(message)) return;
    this.bytes -= message.payload.length;
    if (queue.messages[0] === message) queue.inFlightSince = undefined;
    queue.messages.splice(queue.messages.indexOf(message), 1);
    if (queue.messages.length === 0) this.queues.delete(queueOf(message));
  }

  /** Publishing may begin; the broker takes `window` unanswered publishes. */
  connected(window: number): void {
    this.window = window;
  }

  /** No answers will come; what is unanswered goes out again after the next connection. */
  disconnected(): void {
    this.window = 0;
    for (const queue of this.queues.values()) queue.inFlightSince = undefined;
  }

  /** What is to be published now. It counts as in flight from here on. */
  due(now: number): Message[] {
    const due: Message[] = [];
    const room = this.window - this.inFlight().length;
    for (const queue of this.queues.values()) {
      if (due.length >= room) break;
      const [first] = queue.messages;
      if (queue.inFlightSince === undefined && queue.heldUntil <= now && first?.durable) {
        queue.inFlightSince = now;
        first.mayBeOut = true;
        due.push(first);
      }
    }
    return due;
  }

  /** The next time at which a pause ends or an answer is overdue. */
  wakeAt(now: number): number | undefined {
    if (this.window === 0) return undefined;
    const times = [...this.queues.values()].flatMap((queue) => {
      if (queue.inFlightSince !== undefined) return [queue.inFlightSince + this.limits.answerTimeoutMs];
      return queue.heldUntil > now ? [queue.heldUntil] : [];
    });
    return times.length ? times.reduce((a, b) => Math.min(a, b)) : undefined;
  }

  /** Whether an answer is missing for so long that the connection must be given up: on it, nothing may be sent again. */
  isOverdue(now: number): boolean {
    return this.inFlight().some((queue) => (queue.inFlightSince ?? now) + this.limits.answerTimeoutMs <= now);
  }

  /** A PUBACK came. */
  answered(message: Message, code: number, now: number, chance: Chance): Verdict {
    const queue = this.queues.get(queueOf(message));
    const isFinal = publishIsFinal(code);
    if (queue && code >= ERROR_LEAST && !isFinal) {
      const pauseMs = queue.backoff.nextMs(chance);
      queue.inFlightSince = undefined;
      queue.heldUntil = now + pauseMs;
      return { is: "held", pauseMs };
    }
    if (queue && !isFinal) {
      queue.backoff.reset();
      queue.heldUntil = 0;
    }
    this.remove(message);
    return { is: isFinal ? "refused" : "stored" };
  }

  /** Whom a broker means that ends a connection because a packet is too large. */
  largestInFlight(): Message | undefined {
    const flying = this.inFlight().flatMap((queue) => queue.messages.slice(0, 1));
    return flying.sort((a, b) => b.payload.length - a.payload.length)[0];
  }

  private inFlight(): Queue[] {
    return [...this.queues.values()].filter((queue) => queue.inFlightSince !== undefined);
  }

  private enqueue(message: Message): void {
    let queue = this.queues.get(queueOf(message));
    if (!queue) {
      const backoff = new Backoff(this.limits.pauseLeastMs, this.limits.pauseMostMs);
      queue = { backoff, messages: [], inFlightSince: undefined, heldUntil: 0 };
      this.queues.set(queueOf(message), queue);
    }
    queue.messages.push(message);
    this.queued.add(message);
    this.bytes += message.payload.length;
  }
}
