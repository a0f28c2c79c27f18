/** What can be sent: bytes, text, or JSON, each with the content type that says so. */

const TEXT = "text/plain; charset=utf-8";
export const JSON_TYPE = "application/json";

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

  /** What `Inbox.send` takes. */
  static of(payload: Uint8Array | string | Payload): Payload {
    if (typeof payload === "string") return Payload.text(payload);
    return payload instanceof Payload ? payload : new Payload(payload);
  }
}
