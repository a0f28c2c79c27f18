/**
 * What survives the process: records by kind and key.
 *
 * The promise: when `commit` resolves, its changes are on the disk, all of them or none. Commits that come while one is under way share the next one.
 */

import { openDisk } from "#disk";
import { StoreError } from "./errors.js";

/** A record: JSON, and bytes. */
export type StoredRecord = Readonly<Record<string, unknown>>;

/** Kind, key, and the record, or undefined to remove it. */
export type Change = readonly [kind: string, key: string, record: StoredRecord | undefined];

/** Where records are: a file, or IndexedDB. */
export interface Disk {
  /** All records. */
  load(): Promise<Change[]>;
  /** Makes changes durable, all of them or none; never called twice at once. */
  write(changes: readonly Change[]): Promise<void>;
  close(): Promise<void>;
}

interface Waiting {
  readonly changes: readonly Change[];
  readonly done: () => void;
  readonly failed: (why: StoreError) => void;
}

/** The records of one client. */
export class Store {
  private waiting: Waiting[] = [];
  private running: Promise<void> | undefined;

  private constructor(
    private readonly disk: Disk,
    private readonly loaded: readonly Change[],
  ) {}

  /** Opens the store of a client, which has it alone. */
  static async open(name: string, clientId: string): Promise<Store> {
    const disk = await openDisk(name).catch((error: unknown) => {
      throw error instanceof StoreError ? error : new StoreError(`${name} cannot be used: ${words(error)}`);
    });
    try {
      const store = new Store(disk, await disk.load());
      const owner = new Map(store.load("meta")).get("client")?.["id"] ?? clientId;
      if (owner !== clientId) throw new StoreError(`the store is that of client ${String(owner)}, not of ${clientId}`);
      await store.commit([["meta", "client", { id: clientId }]]);
      return store;
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  /** All records of a kind, as they were when it was opened. */
  load(kind: string): [string, StoredRecord][] {
    return this.loaded.flatMap(([of, key, record]) => (of === kind && record ? [[key, record] as [string, StoredRecord]] : []));
  }

  /** Makes changes durable. */
  commit(changes: readonly Change[]): Promise<void> {
    const committed = new Promise<void>((done, failed) => this.waiting.push({ changes, done, failed }));
    this.running ??= this.run();
    return committed;
  }

  /** Ends what is under way, and lets the disk go. */
  async close(): Promise<void> {
    await this.running;
    await this.disk.close();
  }

  private async run(): Promise<void> {
    while (this.waiting.length) {
      const waiting = this.waiting;
      this.waiting = [];
      try {
        await this.disk.write(waiting.flatMap(({ changes }) => changes));
        for (const { done } of waiting) done();
      } catch (error) {
        for (const { failed } of waiting) failed(new StoreError(`the store cannot be written: ${words(error)}`));
      }
    }
    this.running = undefined;
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
