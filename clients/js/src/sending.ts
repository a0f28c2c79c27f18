/** The sender's half: the outbox, the handles, and what PUBACKs and receipts say about both. */

import { ForgottenError, type InboxError, RefusedError, UnsupportedError } from "./errors.js";
import type { Events } from "./events.js";
import type { Link } from "./link.js";
import { fromRecord, hasReached, isRequest, lastState, type Message, type Property, type State, toRecord } from "./message.js";
import { inboxOf, outboxLimits, type Settings } from "./options.js";
import { Outbox } from "./outbox.js";
import { type Answered, first, number, type Opened } from "./packet.js";
import { explainPublish, PACKET_TOO_LARGE } from "./reasons.js";
import type { Receipt } from "./receipts.js";
import { Sent } from "./sent.js";
import type { Change, Store } from "./store.js";
import { Tasks } from "./tasks.js";

const KIND = "out";
const NOT_INBOXD = "this broker is not inboxd: it gives no receipts, so nobody knows whether a message was delivered or read";
const OLD = "this inboxd gives no receipts; it must be updated before anybody knows whether a message was delivered or read";

/** What is known of a message before it is in the outbox. */
export type Fresh = Pick<
  Message,
  "id" | "to" | "topic" | "payload" | "contentType" | "properties" | "receipts" | "expiresAt" | "behind" | "about"
>;

/** All messages of this client that are not done with. */
export class Sending {
  private readonly outbox: Outbox;
  private readonly open: Map<string, { message: Message; sent: Sent }>;
  private readonly inFlight = new Map<number, Message>();
  private readonly tasks: Tasks;
  private order: number;
  private link: Link | undefined;
  private isInboxd = false;
  private emptied: (() => void)[] = [];
  private isOver = false;
  /** Called when it is to be looked again at `wakeAt`. */
  changed: () => unknown = () => undefined;

  constructor(
    private readonly settings: Settings,
    private readonly store: Store,
    private readonly events: Events,
  ) {
    const kept = store.load(KIND).map(([id, record]) => fromRecord(id, record));
    kept.sort((a, b) => a.order - b.order);
    this.tasks = new Tasks(events);
    this.order = kept.at(-1)?.order ?? 0;
    this.outbox = new Outbox(
      outboxLimits(settings),
      kept.filter(({ state }) => state === "queued"),
    );
    this.open = new Map(kept.map((message) => [message.id, { message, sent: new Sent(message) }]));
  }

  /** How many messages the broker does not have yet. */
  get size(): number {
    return this.outbox.size;
  }

  /** Of everything that is still to come further, oldest first. */
  handles(): Sent[] {
    return [...this.open.values()].filter(({ message }) => !isRequest(message)).map(({ sent }) => sent);
  }

  /** Takes a message; it is durable in the outbox when this resolves. `whenDurable` is called before it goes out. */
  async send(fresh: Fresh, whenDurable?: () => void): Promise<Sent> {
    const message: Message = { ...fresh, order: ++this.order, state: "queued", seq: undefined, durable: false };
    this.outbox.add(message);
    const sent = new Sent(message);
    this.open.set(message.id, { message, sent });
    try {
      await this.store.commit([[KIND, message.id, toRecord(message)]]);
    } catch (error) {
      this.outbox.remove(message);
      this.open.delete(message.id);
      this.tellEmptied();
      this.pump();
      throw error;
    }
    whenDurable?.();
    message.durable = true;
    this.pump();
    return sent;
  }

  /** Takes a message out of the outbox that was never published; durable when it resolves. Absent where there is none. */
  takeBack(topic: string, id: string): Promise<void> | undefined {
    const message = this.outbox.find(topic, id);
    if (!message || message.mayBeOut) return undefined;
    this.outbox.remove(message);
    const change = this.giveUp(message, new RefusedError("it was taken back before it was sent"));
    this.pump();
    return this.store.commit([change]);
  }

  /** Where a request about a message must wait: behind it, while it is in the outbox. */
  queueBehind(topic: string, id: string): string | undefined {
    return this.outbox.isAbout(topic, id) ? topic : undefined;
  }

  /** A connection is there. */
  attached(link: Link, opened: Opened): void {
    this.link = link;
    this.isInboxd = opened.epoch !== undefined;
    this.outbox.connected(Math.min(opened.receiveMaximum, this.settings.window));
    if (!this.isInboxd) this.events.tell({ type: "missing", what: NOT_INBOXD });
    this.pump();
  }

  /** The connection has ended. */
  detached(): void {
    this.link = undefined;
    this.inFlight.clear();
    this.outbox.disconnected();
  }

  /** Sends what may go out. */
  pump(): void {
    if (this.link) {
      for (const message of this.outbox.due(performance.now())) this.publish(this.link, message);
    }
    this.changed();
  }

  /** When `pump` or `isOverdue` has something to do next. */
  wakeAt(now: number): number | undefined {
    return this.outbox.wakeAt(now);
  }

  /** Whether an answer is missing for too long. */
  isOverdue(now: number): boolean {
    return this.outbox.isOverdue(now);
  }

  /** A PUBACK came. */
  answered(answered: Answered): void {
    const message = this.inFlight.get(answered.packetId);
    this.inFlight.delete(answered.packetId);
    if (!message || message.state !== "queued" || !this.open.has(message.id)) return;
    const { code, reason } = answered;
    const verdict = this.outbox.answered(message, code, performance.now(), Math.random);
    const why = explainPublish(code, reason);
    if (verdict.is === "stored") this.wasStored(message, answered);
    else if (verdict.is === "refused") this.fail(message, new RefusedError(why, code));
    else this.events.tell({ type: "held", to: message.to, code, why, pauseMs: verdict.pauseMs });
    this.pump();
  }

  /** The broker ended the connection because of the size of a packet. */
  tooLarge(): void {
    const message = this.outbox.largestInFlight();
    if (message) this.fail(message, new RefusedError(explainPublish(PACKET_TOO_LARGE), PACKET_TOO_LARGE));
  }

  /** Receipts came. What they say is durable when this resolves. */
  async told(receipts: readonly Receipt[]): Promise<void> {
    const changes = receipts.flatMap((receipt) => this.believe(receipt));
    this.pump();
    if (changes.length) await this.store.commit(changes);
  }

  /** Nobody follows messages any more; they stay in the store. */
  interrupt(why: InboxError): void {
    this.isOver = true;
    this.wakeEmptied();
    for (const { sent } of this.open.values()) sent.interrupt(why);
  }

  /** Waits until the outbox is empty; tells whether it is, or nothing will be sent any more. */
  async whenEmpty(): Promise<boolean> {
    while (this.outbox.size && !this.isOver) await new Promise<void>((resolve) => this.emptied.push(resolve));
    return !this.outbox.size;
  }

  /** Waits until everything that is known is durable. */
  settle(): Promise<void> {
    return this.tasks.settle();
  }

  private publish(link: Link, message: Message): void {
    const left = message.expiresAt === undefined ? undefined : Math.ceil((message.expiresAt - Date.now()) / 1000);
    if (left !== undefined && left <= 0) {
      this.fail(message, new RefusedError("it expired before it could be sent"));
      queueMicrotask(() => this.pump());
      return;
    }
    const asks = message.receipts !== "";
    const own: Property[] = isRequest(message) ? [] : [["id", message.id]];
    if (asks) own.push(["receipt", message.receipts]);
    const reply = asks ? inboxOf(this.settings, this.settings.clientId) : undefined;
    this.inFlight.set(link.publish(message, [...own, ...message.properties], left, reply), message);
  }

  private wasStored(message: Message, answered: Answered): void {
    const state = this.isInboxd ? first(answered, "state") : undefined;
    message.seq = number(answered, "seq") ?? message.seq;
    const sent = this.open.get(message.id)?.sent;
    if (sent) sent.answer = state;
    let change = this.advance(message, state === "delivered" ? "delivered" : "stored");
    if (message.receipts && state === undefined) change = this.giveUp(message, new UnsupportedError(this.isInboxd ? OLD : NOT_INBOXD));
    this.keep([change, ...this.forgetOldest()]);
  }

  private believe(receipt: Receipt): Change[] {
    const message = this.open.get(receipt.id)?.message;
    if (!message || message.topic !== receipt.topic || !message.receipts) return [];
    this.outbox.remove(message);
    message.seq ??= receipt.seq;
    if (receipt.state) return [this.advance(message, receipt.state)];
    this.advance(message, "stored");
    return [this.giveUp(message, new RefusedError(receipt.why ?? "", receipt.code))];
  }

  private advance(message: Message, state: State): Change {
    if (!hasReached(message.state, state)) {
      message.state = state;
      this.open.get(message.id)?.sent.advanced();
      this.events.tell({ type: "progress", id: message.id, to: message.to, state });
    }
    if (hasReached(message.state, lastState(message))) return this.done(message);
    this.tellEmptied();
    return [KIND, message.id, toRecord(message)];
  }

  private giveUp(message: Message, why: InboxError): Change {
    this.open.get(message.id)?.sent.fail(why);
    this.events.tell({ type: "progress", id: message.id, to: message.to, state: message.state, failure: why.message });
    return this.done(message);
  }

  private fail(message: Message, why: InboxError): void {
    this.outbox.remove(message);
    this.keep([this.giveUp(message, why)]);
  }

  private done(message: Message): Change {
    this.open.get(message.id)?.sent.interrupt(new UnsupportedError("nobody was asked to tell more about it"));
    this.open.delete(message.id);
    this.tellEmptied();
    return [KIND, message.id, undefined];
  }

  private forgetOldest(): Change[] {
    if (this.open.size - this.outbox.size <= this.settings.followedMax) return [];
    const oldest = [...this.open.values()].find(({ message }) => message.state !== "queued");
    const why = "too many newer messages wait for receipts; this one is not followed any more";
    return oldest ? [this.giveUp(oldest.message, new ForgottenError(why))] : [];
  }

  private tellEmptied(): void {
    if (!this.outbox.size) this.wakeEmptied();
  }

  private wakeEmptied(): void {
    for (const emptied of this.emptied.splice(0)) emptied();
  }

  /** Makes durable what need not be so at once: whoever forgets it learns it again. */
  private keep(changes: readonly Change[]): void {
    this.tasks.run(this.store.commit(changes));
  }
}
