/** `Inbox`: the client. What it promises is in the README. */

import { Connection } from "./connection.js";
import type { Delivery } from "./delivery.js";
import { ClosedError } from "./errors.js";
import { Events, type LinkState, type Listener } from "./events.js";
import { newId, type Property } from "./message.js";
import { checkName, inboxOf, type Options, settle, type Settings } from "./options.js";
import { Payload } from "./payload.js";
import { Receiving } from "./receiving.js";
import { type Recalled, Requests, requestTo } from "./requests.js";
import { Sending } from "./sending.js";
import type { Sent } from "./sent.js";
import { Store } from "./store.js";

/** What may be said with a message. */
export interface SendOptions {
  /** User properties for the recipient. */
  readonly properties?: readonly Property[];
  /** After this time nobody wants it any more. */
  readonly expiresAfterMs?: number;
  /** A key: the message replaces an earlier one with the same key that its recipient was not sent yet. */
  readonly collapse?: string;
}

/** An inbox of one's own, and messages to those of others. Made by `connect`; can be iterated. */
export class Inbox implements AsyncIterable<Delivery> {
  private readonly sending: Sending;
  private readonly receiving: Receiving;
  private readonly connection: Connection;
  private readonly requests: Requests;
  private closing: Promise<number> | undefined;

  private constructor(
    private readonly settings: Settings,
    private readonly store: Store,
    private readonly events: Events,
  ) {
    this.sending = new Sending(settings, store, events);
    this.receiving = new Receiving(settings, store, events, {
      told: (receipts) => this.sending.told(receipts),
      request: (topic, body, whenDurable) => this.request(topic, body, whenDurable),
    });
    this.requests = new Requests(settings, this.sending);
    this.connection = new Connection(settings, events, this.sending, this.receiving);
  }

  /**
   * Opens the outbox, and connects.
   *
   * Where the broker cannot be reached this resolves all the same: messages wait in the outbox, and it is tried again. Rejects with `StoppedError`
   * where the broker says a final no, as to a wrong password, and with `StoreError` where the store cannot be used.
   */
  static async connect(options: Options, listener?: Listener): Promise<Inbox> {
    const settings = settle(options);
    const events = new Events();
    if (listener) events.listen(listener);
    const inbox = new Inbox(settings, await Store.open(settings.outbox, settings.clientId), events);
    try {
      await inbox.connection.firstAttempt();
    } catch (error) {
      await inbox.close(0);
      throw error;
    }
    return inbox;
  }

  /** Where the connection is. */
  get state(): LinkState {
    return this.connection.state;
  }

  /**
   * Takes a message for `to`. When this resolves, it is durable in the outbox, and will be sent whatever happens to this process.
   *
   * Rejects with `OutboxFullError`, `StoreError`, and with `StoppedError` or `ClosedError` where nothing will be sent any more.
   */
  async send(to: string, payload: Uint8Array | string | Payload, options: SendOptions = {}): Promise<Sent> {
    this.checkOpen();
    const { data, contentType } = Payload.of(payload);
    const { properties = [], expiresAfterMs, collapse } = options;
    const collapsing: Property[] = collapse === undefined ? [] : [["collapse", collapse]];
    return this.sending.send({
      id: newId(),
      to: checkName(to),
      topic: inboxOf(this.settings, to),
      // A copy: the application may go on using its own.
      payload: new Uint8Array(data),
      contentType,
      properties: [...collapsing, ...properties],
      receipts: this.settings.receipts ? "delivered,read" : "",
      expiresAt: expiresAfterMs === undefined ? undefined : Date.now() + expiresAfterMs,
    });
  }

  /**
   * Takes a message back that was sent to `to` with this id, and resolves when that is done.
   *
   * It is gone where the recipient was not sent it; otherwise the recipient finds a delivery of kind `recall`. Rejects with `RefusedError`, and with
   * `UnsupportedError` where the broker cannot do it.
   */
  async recall(to: string, id: string): Promise<Recalled> {
    this.checkOpen();
    return this.requests.recall(to, id);
  }

  /**
   * Replaces a message that was sent to `to` with this id, and resolves when that is done.
   *
   * The recipient who was sent it finds a delivery of kind `edit` with the new one. Rejects as `recall`.
   */
  async edit(
    to: string,
    id: string,
    payload: Uint8Array | string | Payload,
    options: Omit<SendOptions, "collapse"> = {},
  ): Promise<Recalled> {
    this.checkOpen();
    return this.requests.edit(to, id, Payload.of(payload), options.properties ?? [], options.expiresAfterMs);
  }

  /** Says that everything from `from` with these ids was read. */
  async markRead(from: string, ids: readonly string[]): Promise<Sent> {
    this.checkOpen();
    return this.requests.tell("read", { from, ids });
  }

  /** Says that everything up to this seq was read. */
  async markReadUpTo(seq: number): Promise<Sent> {
    this.checkOpen();
    return this.requests.tell("read", { up_to: seq });
  }

  /** Switches read receipts of this inbox on or off: senders are not told any more what was read. */
  async tellWhenRead(isTold: boolean): Promise<Sent> {
    this.checkOpen();
    return this.requests.tell("receipts", { read: isTold });
  }

  /** The next message. Rejects with `StoppedError` or `ClosedError` where none will come. */
  recv(): Promise<Delivery> {
    return this.receiving.next();
  }

  /** Every message, until the client is closed. */
  async *[Symbol.asyncIterator](): AsyncIterator<Delivery> {
    try {
      for (;;) yield await this.recv();
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error;
    }
  }

  /** The handles of all messages that are still to come further, those of earlier processes among them; the oldest first. */
  outbox(): Sent[] {
    return this.sending.handles();
  }

  /** Waits until the broker has everything that was sent. `false`: the client stopped or was closed before. */
  flushed(): Promise<boolean> {
    return this.sending.whenEmpty();
  }

  /** Calls `listener` with every event from now on; the returned function ends that. */
  onEvent(listener: Listener): () => void {
    return this.events.listen(listener);
  }

  /** Waits until the outbox is empty, for `deadlineMs` at most, and disconnects. Tells how many messages are left. */
  close(deadlineMs = 10_000): Promise<number> {
    this.closing ??= this.end(deadlineMs);
    return this.closing;
  }

  private async end(deadlineMs: number): Promise<number> {
    if (!this.connection.stopped) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
      await Promise.race([this.sending.whenEmpty(), deadline]);
      clearTimeout(timer);
    }
    await this.connection.close(new ClosedError("the client was closed"));
    await this.receiving.settle();
    await this.sending.settle();
    await this.store.close();
    return this.sending.size;
  }

  /** Asks the broker something about the own inbox, through the outbox: it is asked whatever happens to this process. */
  private async request(topic: string, body: unknown, whenDurable?: () => void): Promise<void> {
    this.checkOpen();
    await this.sending.send(requestTo(topic, body), whenDurable);
  }

  private checkOpen(): void {
    if (this.closing) throw new ClosedError("the client was closed");
    if (this.connection.stopped) throw this.connection.stopped;
  }
}
