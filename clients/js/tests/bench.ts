/** The sender's half on its own, as the tests of what answers mean want it. */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Events } from "../dist/events.js";
import type { InboxEvent, Options, Sent, State } from "../dist/index.js";
import type { Link } from "../dist/link.js";
import { type Message, newId } from "../dist/message.js";
import { settle, type Settings } from "../dist/options.js";
import { Sending } from "../dist/sending.js";
import { Store } from "../dist/store.js";

/** Where a store can be. */
export function newPath(): string {
  return join(mkdtempSync(join(tmpdir(), "inboxd-sending-")), "s");
}

/** The sender's half over a store, and a link that notes what is published. */
export class Bench {
  readonly published: string[] = [];
  readonly events: InboxEvent[] = [];

  private constructor(
    readonly settings: Settings,
    readonly sending: Sending,
    private readonly store: Store,
  ) {}

  static async open(path: string, options: Partial<Options> = {}): Promise<Bench> {
    const store = await Store.open(path, "alice");
    const [events, settings] = [new Events(), settle({ clientId: "alice", outbox: path, ...options })];
    const bench = new Bench(settings, new Sending(settings, store, events), store);
    events.listen((event) => void bench.events.push(event));
    bench.sending.attached(bench as unknown as Link, { epoch: "e1", receiveMaximum: 100 });
    return bench;
  }

  publish(message: Message): number {
    return this.published.push(message.id);
  }

  send(receipts = "delivered,read"): Promise<Sent> {
    const payload = new Uint8Array(1);
    return this.sending.send({
      id: newId(),
      to: "bob",
      topic: "bob",
      payload,
      contentType: undefined,
      properties: [],
      receipts,
      expiresAt: undefined,
    });
  }

  answer(state: string | undefined = "stored", packetId = this.published.length, code = 0): void {
    this.sending.answered({
      packetId,
      code,
      reason: undefined,
      properties: state
        ? [
            ["seq", "7"],
            ["state", state],
          ]
        : [],
    });
  }

  tell(sent: Sent, state: State | undefined, topic = "bob"): Promise<void> {
    return this.sending.told([{ id: sent.id, topic, seq: 7, ...(state ? { state } : { why: "why", code: 0x99 }) }]);
  }

  async end(): Promise<void> {
    await this.sending.settle();
    await this.store.close();
  }
}
