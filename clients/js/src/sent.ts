/** The handle of a message that was sent: what has become of it, and waiting for what will. */

import type { InboxError } from "./errors.js";
import { hasReached, type Message, type State } from "./message.js";

interface Waiting {
  readonly state: State;
  readonly done: () => void;
  readonly failed: (why: InboxError) => void;
}

/** A message that is in the outbox, or was. Made by `Inbox.send`. */
export class Sent {
  private waiting: Waiting[] = [];
  private failed: InboxError | undefined;
  private interrupted: InboxError | undefined;
  /** What a request was answered. @internal */
  answer: string | undefined;

  /** @internal */
  constructor(private readonly message: Message) {}

  /** 128 random bits, by which the broker and the recipient know a repeat. */
  get id(): string {
    return this.message.id;
  }

  /** The recipient. */
  get to(): string {
    return this.message.to;
  }

  /** How far it has come, as far as is known. */
  get state(): State {
    return this.message.state;
  }

  /** Its place in the recipient's inbox, when it is stored and the broker tells. */
  get seq(): number | undefined {
    return this.message.seq;
  }

  /** Why it will come no further. */
  get failure(): InboxError | undefined {
    return this.failed;
  }

  /**
   * Waits until it is safe with the broker. Rejects with `RefusedError` where it never will be, with `StoppedError` or `ClosedError` where this client
   * gave up waiting.
   */
  stored(): Promise<void> {
    return this.reached("stored");
  }

  /** Waits until the recipient has acknowledged it. Rejects with `UnsupportedError` where nobody would tell, too. */
  delivered(): Promise<void> {
    return this.reached("delivered");
  }

  /** Waits until the recipient's application says that it was read. A recipient need never say so. */
  read(): Promise<void> {
    return this.reached("read");
  }

  /** The state of the message went up. @internal */
  advanced(): void {
    const waiting = this.waiting;
    this.waiting = waiting.filter(({ state }) => !hasReached(this.state, state));
    for (const { state, done } of waiting) if (hasReached(this.state, state)) done();
  }

  /** It will come no further. @internal */
  fail(why: InboxError): void {
    this.failed ??= why;
    this.interrupt(why);
  }

  /** It may come further, but this client does not follow it now. @internal */
  interrupt(why: InboxError): void {
    this.interrupted = why;
    const waiting = this.waiting;
    this.waiting = [];
    for (const { failed } of waiting) failed(why);
  }

  private reached(state: State): Promise<void> {
    if (hasReached(this.state, state)) return Promise.resolve();
    const problem = this.failed ?? this.interrupted;
    if (problem) return Promise.reject(problem);
    return new Promise((done, failed) => this.waiting.push({ state, done, failed }));
  }
}
