/** What can be sent: bytes, text, JSON, or MessagePack, each with the content type that says so. */

import { encode } from "@msgpack/msgpack";

const TEXT = "text/plain; charset=utf-8";
export const JSON_TYPE = "application/json";
const MESSAGE_PACK = "application/vnd.msgpack";

/** Bytes, and what they are. */
export class Payload {
  constructor(
    readonly data: Uint8Array,
    readonly contentType?: string,
  ) {}

  /** Text, as UTF-8. */
  static text(text: string): Payload {
    return new Payload(new TextEncoder().encode(text), TEXT);
  }

  /** Anything that JSON can say. */
  static json(value: unknown): Payload {
    const text = JSON.stringify(value);
    if (text === undefined) throw new TypeError("JSON cannot say this");
    return new Payload(new TextEncoder().encode(text), JSON_TYPE);
  }

  /** Anything that MessagePack can say. */
  static messagePack(value: unknown): Payload {
    return new Payload(encode(value), MESSAGE_PACK);
  }

  /** What `Inbox.send` takes. */
  static of(payload: Uint8Array | string | Payload): Payload {
    if (typeof payload === "string") return Payload.text(payload);
    return payload instanceof Payload ? payload : new Payload(payload);
  }
}
