/** A message out of the own inbox, in the hands of the application. */

import { decode } from "@msgpack/msgpack";

import type { Key } from "./arrivals.js";
import type { Property } from "./message.js";
import { first, number, type Packet } from "./packet.js";

/** The reason code of a rejection that says no more. */
const REJECTED = 0x83;
const REJECTIONS: readonly number[] = [0x80, REJECTED, 0x87, 0x90, 0x91, 0x97, 0x99];

/**
 * What a delivery is. `recall`: the sender takes a message back that was delivered before. `edit`: the sender replaces one by this one. `about` is the
 * id of that message. `notice`: the broker says something.
 */
export type DeliveryKind = "message" | "recall" | "edit" | "notice";

/** Who carries an answer out. @internal */
export interface Answering {
  answer(delivery: Delivery, code: number): Promise<void>;
  markRead(delivery: Delivery): Promise<void>;
}

/** A message that came. It comes again, perhaps to a later process, until `ack` or `reject` has resolved. */
export class Delivery {
  /** Whether `ack` or `reject` has resolved. */
  isAnswered = false;
  /** What it is: mostly a message. */
  readonly kind: DeliveryKind;
  /** Of a recall or an edit: the id of the message that it is about. */
  readonly about: string | undefined;

  /** @internal */
  constructor(
    /** The latest copy. @internal */
    public packet: Packet,
    /** The link that brought it. @internal */
    public copy: object,
    /** @internal */
    readonly key: Key,
    /** Who sent it: the broker vouches for it. Empty where the broker is no inboxd. */
    readonly from: string,
    notice: string | undefined,
    private readonly answering: Answering,
  ) {
    this.kind = kindOf(notice);
    this.about = aboutOf(this.kind, packet);
  }

  /** The sender's id of it. */
  get id(): string {
    return first(this.packet, "id") ?? "";
  }

  /** Its place in this inbox. */
  get seq(): number | undefined {
    return number(this.packet, "seq");
  }

  /** When the broker accepted it, in microseconds since 1970. */
  get at(): number | undefined {
    return number(this.packet, "at");
  }

  /** The user of the sender, where it is known and is not `from`. */
  get user(): string | undefined {
    return this.from ? first(this.packet, "user") : undefined;
  }

  /** Its bytes. */
  get payload(): Uint8Array {
    return this.packet.payload;
  }

  /** What the sender says that they are. */
  get contentType(): string | undefined {
    return this.packet.contentType;
  }

  /** All user properties: the broker's first, then the sender's. */
  get properties(): readonly Property[] {
    return this.packet.properties;
  }

  /** The payload as text; throws where it is none. */
  text(): string {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.payload);
  }

  /** The payload as JSON; throws where it is none. */
  json(): unknown {
    return JSON.parse(this.text());
  }

  /** The payload as MessagePack; throws where it is none. */
  messagePack(): unknown {
    return decode(this.payload);
  }

  /**
   * Takes it over: it will not come again. When this resolves, that is durable here; the broker learns it now, or when it is there again.
   */
  ack(): Promise<void> {
    return this.answering.answer(this, 0);
  }

  /** Does not want it: it leaves the inbox, and a sender who asked is told the code. */
  async reject(code: number = REJECTED): Promise<void> {
    if (!REJECTIONS.includes(code)) throw new RangeError(`${code} is no reason code that says no in PUBACK`);
    await this.answering.answer(this, code);
  }

  /** Tells the sender that it was read, and acknowledges it first where that was not done. */
  markRead(): Promise<void> {
    return this.answering.markRead(this);
  }
}

/** What later versions of the broker may say is a notice. */
function kindOf(notice: string | undefined): DeliveryKind {
  if (notice === undefined) return "message";
  return notice === "recall" || notice === "edit" ? notice : "notice";
}

function aboutOf(kind: DeliveryKind, packet: Packet): string | undefined {
  const id = first(packet, "id");
  if (kind === "edit") return first(packet, "edit-of") ?? id;
  if (kind !== "recall") return undefined;
  try {
    const told: unknown = JSON.parse(new TextDecoder().decode(packet.payload));
    const recalled = (told as { id?: unknown } | null)?.id;
    return typeof recalled === "string" ? recalled : id;
  } catch {
    return id;
  }
}
