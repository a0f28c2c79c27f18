/**
 * What a client asks of the broker, under `$inbox/`: about messages that it sent, and about its own inbox.
 *
 * The promise: a request about a message that is in the outbox still waits behind it, so that it never gets there first; and all of them go through the
 * outbox, so they are made whatever happens to this process.
 */

import { UnsupportedError } from "./errors.js";
import { newId, type Property } from "./message.js";
import { checkName, inboxOf, type Settings } from "./options.js";
import { Payload } from "./payload.js";
import type { Fresh, Sending } from "./sending.js";
import type { Sent } from "./sent.js";

/**
 * What became of a recall or an edit. `beforeSending`: the message had not left the outbox. `undelivered`: it was in the inbox, and the recipient never
 * sees it, or sees the new one only. `recipientTold`: the recipient had it, or may have, and is told.
 */
export type Recalled = "beforeSending" | "undelivered" | "recipientTold";

const ANSWERS = new Map<string | undefined, Recalled>([
  ["recalled", "undelivered"],
  ["edited", "undelivered"],
  ["told", "recipientTold"],
]);

/** The requests of one client. */
export class Requests {
  constructor(
    private readonly settings: Settings,
    private readonly sending: Sending,
  ) {}

  /** Takes a message back that was sent to `to` with this id. */
  async recall(to: string, id: string): Promise<Recalled> {
    const taken = this.sending.takeBack(inboxOf(this.settings, checkName(to)), id);
    // Where there is none, nothing is waited for: what is asked next comes next.
    if (!taken) return this.ask({ ...requestTo("$inbox/recall", { to, id }), ...this.about(to, id) });
    await taken;
    return "beforeSending";
  }

  /** Replaces the payload of a message that was sent to `to` with this id. */
  edit(to: string, id: string, payload: Payload, properties: readonly Property[], expiresAfterMs: number | undefined): Promise<Recalled> {
    return this.ask({
      id: newId(),
      topic: "$inbox/edit",
      // A copy: the application may go on using its own.
      payload: new Uint8Array(payload.data),
      contentType: payload.contentType,
      properties: [["to", checkName(to)], ["id", id], ...properties],
      receipts: "",
      expiresAt: expiresAfterMs === undefined ? undefined : Date.now() + expiresAfterMs,
      ...this.about(to, id),
    });
  }

  /** Says something about the own inbox; it is in the outbox when this resolves. */
  tell(what: string, body: unknown): Promise<Sent> {
    return this.sending.send(requestTo(`$inbox/${what}`, body));
  }

  private about(to: string, id: string): Pick<Fresh, "to" | "behind" | "about"> {
    return { to, behind: this.sending.queueBehind(inboxOf(this.settings, to), id), about: id };
  }

  private async ask(request: Fresh): Promise<Recalled> {
    const sent = await this.sending.send(request);
    await sent.stored();
    const recalled = ANSWERS.get(sent.answer);
    if (!recalled) throw new UnsupportedError("this broker takes no message back, and changes none");
    return recalled;
  }
}

/** A request with a body of JSON. */
export function requestTo(topic: string, body: unknown): Fresh {
  const { data, contentType } = Payload.json(body);
  return { id: newId(), to: topic, topic, payload: data, contentType, properties: [], receipts: "", expiresAt: undefined };
}
