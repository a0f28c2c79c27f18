/** Pauses that grow: exponential with full jitter. Pure: chance comes in as an argument. */

/** A number from 0 up to 1, as `Math.random` gives it. */
export type Chance = () => number;

/** Doubles the longest next pause with every failure, from `leastMs` up to `mostMs` milliseconds. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly leastMs: number,
    private readonly mostMs: number,
  ) {}

  /** The milliseconds to wait after one more failure: anything up to the bound, so that clients do not come back together. */
  nextMs(chance: Chance): number {
    const bound = Math.min(this.mostMs, this.leastMs * 2 ** Math.min(this.failures, 32));
    this.failures += 1;
    return bound * chance();
  }

  /** What was tried worked. */
  reset(): void {
    this.failures = 0;
  }
}
