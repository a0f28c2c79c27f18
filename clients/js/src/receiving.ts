/** The receiver's half: what arrives is handed over, answered, and remembered. */

import { Arrivals, type Key, type Known, type Remembered } from "./arrivals.js";
import { type Answering, Delivery } from "./delivery.js";
import type { InboxError } from "./errors.js";
import type { Events } from "./events.js";
import type { Link } from "./link.js";
import type { Settings } from "./options.js";
import { first, number, type Opened, type Packet } from "./packet.js";
import { parse, type Receipt } from "./receipts.js";
import type { Store } from "./store.js";
import { Tasks } from "./tasks.js";

const KIND = "in";

/** What the receiver's half needs of the sender's. */
export interface Sender {
  /** Receipts came; durable when it resolves. */
  told(receipts: readonly Receipt[]): Promise<void>;
  /** Asks the broker something about the own inbox. `whenDurable` is called before it goes out. */
  request(topic: string, body: unknown, whenDurable?: () => void): Promise<void>;
}

interface Receiver {
  readonly take: (delivery: Delivery) => void;
  readonly end: (why: InboxError) => void;
}

/** The own inbox, as far as it has come here. */
export class Receiving implements Answering {
  private readonly arrivals: Arrivals;
  private readonly tasks: Tasks;
  private readonly inHands = new Map<Key, Delivery>();
  private readonly queue: Delivery[] = [];
  private receivers: Receiver[] = [];
  private ended: InboxError | undefined;
  private link: Link | undefined;

  constructor(
    settings: Settings,
    private readonly store: Store,
    private readonly events: Events,
    private readonly sender: Sender,
  ) {
    const known = new Map(store.load("meta")).get("broker") as Known | undefined;
    const remembered = store.load(KIND).map(([key, record]) => [key, record as unknown as Remembered] as const);
    this.arrivals = new Arrivals(settings.rememberedMax, remembered, known);
    this.tasks = new Tasks(events);
  }

  /** A connection is there, and the inbox is read from its start. */
  attached(link: Link, opened: Opened): void {
    this.link = link;
    const before = this.arrivals.attached(opened.epoch);
    if (before !== undefined) this.events.tell({ type: "epochChanged", before, now: opened.epoch ?? "" });
    this.keepKnown();
  }

  /** The connection has ended. */
  detached(): void {
    this.link = undefined;
  }

  /** The next message; rejects with why there will be none. */
  next(): Promise<Delivery> {
    const delivery = this.queue.shift();
    if (delivery) return Promise.resolve(delivery);
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((take, end) => this.receivers.push({ take, end }));
  }

  /** Nothing more will come. */
  end(why: InboxError): void {
    this.ended ??= why;
    for (const { end } of this.receivers.splice(0)) end(this.ended);
  }

  /** A packet came over `link`. */
  arrived(link: Link, packet: Packet): void {
    const { judgement, missed } = this.arrivals.take(packet);
    if (missed) {
      this.events.tell({ type: "dropped", messages: missed });
      this.keepKnown();
    }
    const key = this.arrivals.key(packet);
    switch (judgement) {
      case "hole":
        this.events.tell({ type: "gap", after: this.arrivals.lastSeq, prev: number(packet, "prev") });
        return link.drop("a message was lost on the way; it comes again over another connection");
      case "receipt":
        return this.tasks.run(this.receipts(link, packet));
      case "repeat":
        return this.repeat(link, packet, key);
      case "again":
        return this.again(link, packet, key);
      case "new":
        return this.handOver(new Delivery(packet, link, key, this.arrivals.sender(packet), this.arrivals.notice(packet), this));
    }
  }

  /** The answer of the application: durable here first, so that no repeat is taken for new, then to the broker. */
  async answer(delivery: Delivery, code: number): Promise<void> {
    if (delivery.isAnswered) return;
    const { key } = delivery;
    const remembered = this.arrivals.prepare(code);
    const forgotten = this.arrivals.toForget();
    if (delivery.id) {
      await this.store.commit([[KIND, key, { ...remembered }], ...forgotten.map((old) => [KIND, old, undefined] as const)]);
    }
    if (delivery.isAnswered) return;
    delivery.isAnswered = true;
    this.arrivals.remember(key, remembered);
    this.arrivals.forget(forgotten);
    this.inHands.delete(key);
    if (this.link && delivery.copy === this.link) puback(this.link, delivery.packet, code);
  }

  /** Tells the sender, through the broker, that it was read. */
  async markRead(delivery: Delivery): Promise<void> {
    await this.answer(delivery, 0);
    if (delivery.kind !== "message") return;
    const remembered = this.arrivals.answerTo(delivery.key);
    if (!remembered || remembered.isRead || remembered.code || !delivery.from) return;
    const read = { ...remembered, isRead: true };
    this.arrivals.remember(delivery.key, read);
    await this.store.commit([[KIND, delivery.key, read]]);
    await this.tellRead(delivery.from, delivery.id);
  }

  /** Waits until everything that is known is durable. */
  settle(): Promise<void> {
    return this.tasks.settle();
  }

  private handOver(delivery: Delivery): void {
    this.inHands.set(delivery.key, delivery);
    const receiver = this.receivers.shift();
    if (receiver) receiver.take(delivery);
    else this.queue.push(delivery);
  }

  private again(link: Link, packet: Packet, key: Key): void {
    const delivery = this.inHands.get(key);
    if (delivery) Object.assign(delivery, { packet, copy: link });
  }

  private repeat(link: Link, packet: Packet, key: Key): void {
    const remembered = this.arrivals.answerTo(key);
    if (!remembered) return;
    if (!remembered.isRead) return puback(link, packet, remembered.code);
    // The broker had not noted the acknowledgement, so it cannot have believed that it was read: it is told again, behind this one.
    const [from, id] = [this.arrivals.sender(packet), first(packet, "id") ?? ""];
    this.tasks.run(this.tellRead(from, id, () => puback(link, packet, 0)));
  }

  private tellRead(from: string, id: string, whenDurable?: () => void): Promise<void> {
    return this.sender.request("$inbox/read", { from, ids: [id] }, whenDurable);
  }

  private async receipts(link: Link, packet: Packet): Promise<void> {
    await this.sender.told(parse(packet.payload));
    if (link === this.link) puback(link, packet, 0);
  }

  private keepKnown(): void {
    this.tasks.run(this.store.commit([["meta", "broker", { ...this.arrivals.known }]]));
  }
}

function puback(link: Link, packet: Packet, code: number): void {
  if (packet.qos) link.answer(packet.packetId, code);
}
