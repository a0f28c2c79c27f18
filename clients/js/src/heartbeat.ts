/**
 * How long a link may be silent before it is asked whether it lives. It does no I/O: times, in milliseconds, come in as arguments.
 *
 * Routers forget connections that are silent for too long, and say nothing. How long that is differs, so it is found out: each silence that the link
 * survived counts, and after two of the same length the interval grows by half. A link that was found dead after a silence halves it, and the length
 * that killed is not tried again until shorter ones went well often. Traffic is a heartbeat, too.
 *
 *              silent for the interval                  nothing came for the patience
 *     quiet ────────────────────────────▶ asked ──────────────────────────────────────▶ dead
 *       ▲                                   │
 *       └───────────────────────────────────┘ anything came
 */

/** Nobody waits longer for an answer. */
const PATIENCE_MAX_MS = 20_000;
/** So many silences of one length must go well before a longer one is tried. */
const SURVIVALS = 2;
/** And so many before the length that killed may be tried again. */
const SURVIVALS_BELOW_CEILING = 20;

/** Between which bounds the interval is, and where it begins. */
export interface HeartbeatBounds {
  readonly firstMs: number;
  readonly shortestMs: number;
  readonly longestMs: number;
}

/** What is to be done now, or when to look again. */
export type Beat = { readonly is: "ask" } | { readonly is: "dead" } | { readonly is: "wait"; readonly until: number };

/** The heartbeat of a client, over its connections. */
export class Heartbeat {
  /** The present interval. */
  intervalMs: number;
  private readonly shortestMs: number;
  private readonly longestMs: number;
  private ceilingMs = Infinity;
  private survived = 0;
  private sentAt = 0;
  private heardAt = 0;
  private asked: { readonly at: number; readonly silenceMs: number } | undefined;

  constructor({ firstMs, shortestMs, longestMs }: HeartbeatBounds) {
    this.shortestMs = shortestMs;
    this.longestMs = Math.max(longestMs, shortestMs);
    this.intervalMs = Math.min(Math.max(firstMs, shortestMs), this.longestMs);
  }

  /** The longest that the interval may become while a connection holds, and what is told to the broker as Keep Alive. */
  get keepAliveMs(): number {
    return Math.min(this.longestMs, this.intervalMs * 2);
  }

  /** A connection was made. */
  connected(now: number): void {
    this.sentAt = this.heardAt = now;
    this.asked = undefined;
  }

  /** Something was written. */
  sent(now: number): void {
    this.sentAt = now;
  }

  /** The question goes out. */
  asking(now: number): void {
    this.asked = { at: now, silenceMs: now - Math.max(this.sentAt, this.heardAt) };
    this.sentAt = now;
  }

  /** Something came. */
  heard(now: number): void {
    this.heardAt = now;
    const silenceMs = this.asked?.silenceMs ?? 0;
    this.asked = undefined;
    if (silenceMs >= this.intervalMs * 0.9) this.survive();
  }

  /** What is to be done now. `mostMs` is the longest interval of this connection. */
  due(now: number, mostMs: number): Beat {
    if (this.asked) {
      const until = this.asked.at + Math.min(this.intervalMs / 2, PATIENCE_MAX_MS);
      return now >= until ? { is: "dead" } : { is: "wait", until };
    }
    const until = Math.min(this.sentAt, this.heardAt) + Math.min(this.intervalMs, mostMs);
    return now >= until ? { is: "ask" } : { is: "wait", until };
  }

  /** The connection ended. Where the question had no answer, the silence before it killed the link. */
  lost(): void {
    if (this.asked && this.asked.silenceMs * 2 >= this.intervalMs) {
      this.ceilingMs = this.intervalMs;
      this.intervalMs = Math.max(this.intervalMs / 2, this.shortestMs);
      this.survived = 0;
    }
    this.asked = undefined;
  }

  private survive(): void {
    this.survived += 1;
    const isBelow = this.intervalMs * 1.5 < this.ceilingMs;
    if (this.survived < (isBelow ? SURVIVALS : SURVIVALS_BELOW_CEILING)) return;
    if (!isBelow) this.ceilingMs = Infinity;
    this.survived = 0;
    this.intervalMs = Math.min(this.intervalMs * 1.5, this.longestMs);
  }
}
