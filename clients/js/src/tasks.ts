/** Work that nobody waits for, until the end: what fails of it is told as an event. */

import type { Events } from "./events.js";

export class Tasks {
  private readonly under = new Set<Promise<void>>();

  constructor(private readonly events: Events) {}

  /** Lets `work` go on by itself. */
  run(work: Promise<void>): void {
    const told = work.catch((error: unknown) => {
      this.events.tell({ type: "trouble", why: error instanceof Error ? error.message : String(error) });
    });
    const tracked: Promise<void> = told.finally(() => this.under.delete(tracked));
    this.under.add(tracked);
  }

  /** Waits until nothing is under way. */
  async settle(): Promise<void> {
    while (this.under.size) await Promise.all(this.under);
  }
}
