/** Stays connected: one link after the other, with pauses that grow, until it is told to stop or the broker says a final no. */

import { Backoff } from "./backoff.js";
import { type InboxError, StoppedError } from "./errors.js";
import type { Events, LinkState } from "./events.js";
import { Heartbeat } from "./heartbeat.js";
import { Link } from "./link.js";
import { heartbeatBounds, type Settings } from "./options.js";
import type { Lost, Opened } from "./packet.js";
import { connectIsFinal, PACKET_TOO_LARGE, TAKEN_OVER } from "./reasons.js";
import type { Receiving } from "./receiving.js";
import type { Sending } from "./sending.js";

const TAKEN_BACK_MAX = 2;

/** What drives sending and receiving. */
export class Connection {
  state: LinkState = "connecting";
  /** Why there will be no connection any more. */
  stopped: InboxError | undefined;
  private readonly backoff: Backoff;
  private readonly heartbeat: Heartbeat;
  private readonly running: Promise<void>;
  private readonly attempt: Promise<void>;
  private tried!: () => void;
  private isClosing = false;
  private takenOver = 0;
  private link: Link | undefined;
  private wake: () => void = () => undefined;

  constructor(
    private readonly settings: Settings,
    private readonly events: Events,
    private readonly sending: Sending,
    private readonly receiving: Receiving,
  ) {
    this.backoff = new Backoff(settings.reconnectLeastMs, settings.reconnectMostMs);
    this.heartbeat = new Heartbeat(heartbeatBounds(settings));
    this.attempt = new Promise((resolve) => (this.tried = resolve));
    // A pause between connections is not cut short by what is sent meanwhile.
    sending.changed = () => this.state === "connected" && this.wake();
    this.running = this.stayConnected().catch((error: unknown) => {
      this.stop(`a mistake in this package: ${String(error)}`);
    });
  }

  /** Waits for the outcome of the first attempt; rejects only with what trying again does not mend. */
  async firstAttempt(): Promise<void> {
    await this.attempt;
    if (this.stopped) throw this.stopped;
  }

  /** Ends the connection with a goodbye. */
  async close(why: InboxError): Promise<void> {
    this.isClosing = true;
    this.wake();
    this.sending.detached();
    this.receiving.detached();
    await this.link?.close();
    await this.running;
    this.stopped ??= why;
    this.sending.interrupt(why);
    this.receiving.end(why);
    this.tell("closed");
  }

  private async stayConnected(): Promise<void> {
    while (!this.isClosing) {
      const lost = await this.oneLink();
      if (lost.code === PACKET_TOO_LARGE) this.sending.tooLarge();
      this.sending.detached();
      this.receiving.detached();
      if (this.isClosing) return;
      const isFinal = lost.isFinal || (lost.code !== undefined && connectIsFinal(lost.code));
      if (isFinal && !this.isTakenBack(lost)) return this.stop(lost.why);
      const pauseMs = this.backoff.nextMs(Math.random);
      this.tell("waiting", lost.why, pauseMs);
      this.tried();
      await this.sleep(pauseMs);
    }
  }

  private async oneLink(): Promise<Lost> {
    this.tell("connecting");
    const { keepAliveMs } = this.heartbeat;
    const link: Link = new Link(this.settings, keepAliveMs, {
      opened: (opened) => this.receiving.attached(link, opened),
      arrived: (packet) => this.receiving.arrived(link, packet),
      answered: (answered) => this.sending.answered(answered),
      heard: () => this.heartbeat.heard(performance.now()),
      sent: () => this.heartbeat.sent(performance.now()),
    });
    this.link = link;
    const opened = await link.open();
    return "why" in opened || link.isOver ? link.lost : this.serve(link, opened, keepAliveMs);
  }

  private async serve(link: Link, opened: Opened, keepAliveMs: number): Promise<Lost> {
    const since = performance.now();
    const mostMs = opened.keepAliveS === undefined ? keepAliveMs : opened.keepAliveS * 1000 || Infinity;
    this.heartbeat.connected(since);
    this.tell("connected");
    this.sending.attached(link, opened);
    this.tried();
    void link.lost.then(() => this.wake());
    while (!link.isOver) {
      const now = performance.now();
      if (this.sending.isOverdue(now)) link.drop("the broker did not answer a publish in time");
      else {
        // Listens before it pumps: what changes by that is looked at, too.
        const wakeAt = Math.min(this.beat(link, now, mostMs), this.sending.wakeAt(now) ?? Infinity);
        await this.sleep(wakeAt - now);
        this.sending.pump();
      }
    }
    this.heartbeat.lost();
    if (performance.now() - since >= this.settings.stableMs) {
      this.backoff.reset();
      this.takenOver = 0;
    }
    return link.lost;
  }

  /** Asks the link whether it lives, where it was silent for too long; tells when to look again. */
  private beat(link: Link, now: number, mostMs: number): number {
    let beat = this.heartbeat.due(now, mostMs);
    if (beat.is === "ask") {
      this.heartbeat.asking(now);
      link.ask();
      beat = this.heartbeat.due(now, mostMs);
    }
    if (beat.is === "wait") return beat.until;
    link.drop("the link was silent for too long");
    return now;
  }

  /** Whether to take the client ID back. An earlier attempt of this very client may have come late; another program comes again and again. */
  private isTakenBack(lost: Lost): boolean {
    if (lost.code !== TAKEN_OVER) return false;
    this.takenOver += 1;
    return this.takenOver <= TAKEN_BACK_MAX;
  }

  /** Until `wake`, or for so long. */
  private sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private stop(why: string): void {
    this.stopped = new StoppedError(why);
    this.sending.interrupt(this.stopped);
    this.receiving.end(this.stopped);
    this.tell("stopped", why);
    this.tried();
  }

  private tell(state: LinkState, why = "", pauseMs = 0): void {
    this.state = state;
    this.events.tell({ type: "link", state, why, pauseMs });
  }
}
