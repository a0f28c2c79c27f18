/** Records in IndexedDB, for browsers. One tab has a store at a time: the others are told so. */

import { StoreError } from "./errors.js";
import type { Change, Disk, StoredRecord } from "./store.js";

const FORMAT = 1;
const RECORDS = "records";

/** Opens the database, which is made when it is not there. */
export async function openDisk(name: string): Promise<Disk> {
  const unlock = await lock(`inboxd-client ${name}`);
  try {
    const opening = indexedDB.open(name, FORMAT);
    opening.onupgradeneeded = () => opening.result.createObjectStore(RECORDS);
    return new IndexedDbDisk(await result(opening), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

class IndexedDbDisk implements Disk {
  constructor(
    private readonly database: IDBDatabase,
    private readonly unlock: () => void,
  ) {}

  async load(): Promise<Change[]> {
    const records = this.database.transaction(RECORDS).objectStore(RECORDS);
    const [keys, values] = await Promise.all([result(records.getAllKeys()), result<StoredRecord[]>(records.getAll())]);
    return keys.map((at, index) => {
      const [kind, key] = at as [string, string];
      return [kind, key, values[index]];
    });
  }

  write(changes: readonly Change[]): Promise<void> {
    return new Promise((done, failed) => {
      const transaction = this.database.transaction(RECORDS, "readwrite", { durability: "strict" });
      transaction.oncomplete = () => done();
      transaction.onabort = () => failed(transaction.error ?? new StoreError("the browser took the change back"));
      const records = transaction.objectStore(RECORDS);
      for (const [kind, key, record] of changes) {
        if (record) records.put(record, [kind, key]);
        else records.delete([kind, key]);
      }
    });
  }

  close(): Promise<void> {
    this.database.close();
    this.unlock();
    return Promise.resolve();
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error ?? new StoreError("IndexedDB failed"));
  });
}

/** Held until the returned function is called, or the tab is gone. Pages that are no secure context have no locks. */
function lock(name: string): Promise<() => void> {
  if (!navigator.locks) return Promise.resolve(() => undefined);
  return new Promise((done, failed) => {
    const asked = navigator.locks.request(name, { ifAvailable: true }, (granted) => {
      if (!granted) throw new StoreError(`${name} is open in another tab`);
      return new Promise<void>((release) => done(release));
    });
    asked.catch(failed);
  });
}
