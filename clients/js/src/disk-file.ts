/**
 * Records in one file, for Node: a commit is one line, appended and synced. The file is written anew when most of it is of the past.
 *
 * A line is the beginning of its SHA-256, a space, and JSON. Only the last line can be torn by a crash, because the next one is written after the
 * sync of the one before: then it is cut off. A bad line before others is damage, and the file is not used.
 */

import { createHash } from "node:crypto";
import { open, readFile, rename, rm, writeFile, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

import { StoreError } from "./errors.js";
import type { Change, Disk, StoredRecord } from "./store.js";

const FORMAT = 1;
/** Below this size, nothing is written anew. */
const COMPACT_BYTES_MIN = 1024 * 1024;
const COMPACT_FACTOR = 3;
const RECORDS_PER_LINE = 1000;

/** Opens the file, which is made when it is not there. */
export async function openDisk(path: string): Promise<Disk> {
  const unlock = await lock(`${path}.lock`);
  try {
    return await FileDisk.open(path, unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

class FileDisk implements Disk {
  private readonly records = new Map<string, Change>();
  private readonly sizes = new Map<string, number>();
  private live = 0;
  private size = 0;
  private compactAt = COMPACT_BYTES_MIN;
  private poison: unknown;

  private constructor(
    private readonly path: string,
    private file: FileHandle,
    private readonly unlock: () => Promise<void>,
  ) {}

  static async open(path: string, unlock: () => Promise<void>): Promise<FileDisk> {
    const disk = new FileDisk(path, await open(path, "a+"), unlock);
    try {
      await disk.read();
      return disk;
    } catch (error) {
      await disk.file.close();
      throw error;
    }
  }

  load(): Promise<Change[]> {
    return Promise.resolve([...this.records.values()]);
  }

  async write(changes: readonly Change[]): Promise<void> {
    if (this.poison) throw this.poison;
    const line = encode(changes);
    try {
      await this.file.appendFile(line);
      await this.file.datasync();
    } catch (error) {
      await this.takeBack(error);
      throw error;
    }
    this.size += line.length;
    this.apply(changes);
    if (this.size > this.compactAt && this.size > this.live * COMPACT_FACTOR) await this.compact();
  }

  async close(): Promise<void> {
    await this.file.close();
    await this.unlock();
  }

  private async read(): Promise<void> {
    const bytes = await readFile(this.path);
    for (let from = 0; from < bytes.length;) {
      const end = bytes.indexOf(0x0a, from);
      const changes = end < 0 ? undefined : decode(bytes.subarray(from, end).toString());
      if (!changes) {
        if (end >= 0 && end + 1 < bytes.length) throw new StoreError(`${this.path} is damaged at byte ${from}`);
        if (from === 0 && !FIRST_LINE.subarray(0, bytes.length).equals(bytes)) throw new StoreError(`${this.path} is no store`);
        await this.file.truncate(from);
        break;
      }
      this.apply(changes);
      this.size = from = end + 1;
    }
    if (this.size === 0) await this.begin();
    else if (this.records.get(name("meta", "format"))?.[2]?.["version"] !== FORMAT) {
      throw new StoreError(`${this.path} has a format that this package does not know`);
    }
  }

  private async begin(): Promise<void> {
    await this.write(FIRST);
    await syncDirectory(this.path);
  }

  /** What was half written must not stand before the next line. Where it cannot be taken back, nothing more is written. */
  private async takeBack(why: unknown): Promise<void> {
    await this.file.truncate(this.size).catch(() => {
      this.poison = why;
    });
  }

  /** What cannot be written anew goes on as it is, and is tried again when it has grown. The changes are durable already. */
  private async compact(): Promise<void> {
    this.compactAt = Math.max(COMPACT_BYTES_MIN, this.size * 2);
    const all = [...this.records.values()];
    const lines: Buffer[] = [];
    for (let from = 0; from < all.length; from += RECORDS_PER_LINE) lines.push(encode(all.slice(from, from + RECORDS_PER_LINE)));
    const fresh = await this.writeAnew(Buffer.concat(lines)).catch(() => undefined);
    if (!fresh) return;
    await this.file.close();
    this.file = fresh;
    this.size = lines.reduce((sum, line) => sum + line.length, 0);
    this.compactAt = COMPACT_BYTES_MIN;
    // Which of both files the name leads to after a crash is not known otherwise.
    await syncDirectory(this.path).catch((error: unknown) => {
      this.poison = error;
    });
  }

  private async writeAnew(bytes: Buffer): Promise<FileHandle> {
    const path = `${this.path}.new`;
    await rm(path, { force: true });
    const fresh = await open(path, "a");
    try {
      await fresh.appendFile(bytes);
      await fresh.datasync();
      await rename(path, this.path);
      return fresh;
    } catch (error) {
      await fresh.close();
      throw error;
    }
  }

  private apply(changes: readonly Change[]): void {
    for (const change of changes) {
      const [kind, key, record] = change;
      const at = name(kind, key);
      this.live -= this.sizes.get(at) ?? 0;
      this.sizes.delete(at);
      this.records.delete(at);
      if (!record) continue;
      const size = JSON.stringify(change, withBytes).length;
      this.records.set(at, change);
      this.sizes.set(at, size);
      this.live += size;
    }
  }
}

const FIRST: readonly Change[] = [["meta", "format", { version: FORMAT }]];
const FIRST_LINE = encode(FIRST);

function name(kind: string, key: string): string {
  return `${kind} ${key}`;
}

function encode(changes: readonly Change[]): Buffer {
  const text = JSON.stringify(changes, withBytes);
  return Buffer.from(`${digest(text)} ${text}\n`);
}

function decode(line: string): Change[] | undefined {
  const [sum, text] = [line.slice(0, 16), line.slice(17)];
  if (digest(text) !== sum) return undefined;
  const changes = JSON.parse(text) as [string, string, StoredRecord | null][];
  return changes.map(([kind, key, record]) => [kind, key, record ? fromBytes(record) : undefined]);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Bytes as JSON can say them. A Buffer is asked for its own form first, so payloads are never kept as one. */
function withBytes(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { $bytes: Buffer.from(value).toString("base64") } : value;
}

function fromBytes(record: StoredRecord): StoredRecord {
  const entries = Object.entries(record).map(([key, value]) => {
    const bytes = (value as { $bytes?: unknown } | null)?.$bytes;
    return [key, typeof bytes === "string" ? new Uint8Array(Buffer.from(bytes, "base64")) : value];
  });
  return Object.fromEntries(entries) as StoredRecord;
}

/** One process has the file: the lock names it, and is taken over when that process is gone. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: "wx" });
      held.add(path);
      return async () => {
        held.delete(path);
        await rm(path, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const owner = Number(await readFile(path, "utf8").catch(() => "0"));
    if (owner === process.pid ? held.has(path) : isAlive(owner)) throw new StoreError(`${path} is held by process ${owner}`);
    await rm(path, { force: true });
  }
}

/** The locks of this process: a process ID in a lock may be that of an earlier process. */
const held = new Set<string>();

function isAlive(pid: number): boolean {
  if (!pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A name in a directory is durable when the directory is. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
