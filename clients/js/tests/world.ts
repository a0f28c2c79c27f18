/** A broker as a process, a relay before it, and clients with stores of their own. */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { type Delivery, Inbox, type InboxEvent, type Options } from "../dist/index.js";
import { Relay } from "./relay.js";

const CONFIG = '[http]\nlisten = "off"\n';

/** The broker to be tried. */
export function brokerProgram(): string {
  const program = process.env["INBOX_TEST_BROKER"];
  if (!program) throw new Error("set INBOX_TEST_BROKER to an inboxd, for example target/release/inboxd");
  return program;
}

/** One broker, and everybody around it. */
export class World {
  readonly directory = mkdtempSync(join(tmpdir(), "inboxd-client-"));
  readonly relay = new Relay();
  readonly events = new Map<string, InboxEvent[]>();
  private broker: ChildProcess | undefined;
  private readonly clients: Inbox[] = [];
  private config = CONFIG;
  private ready = "";

  /** Starts the broker, again after `kill`. `listener`: whose port the relay leads to. */
  async start(config = "", listener = "mqtt"): Promise<void> {
    if (!this.relay.port) {
      await this.relay.start(listener !== "mqtt");
      this.config = config.includes("[http]") ? config : this.config + config;
      writeFileSync(join(this.directory, "inboxd.toml"), this.config);
    }
    const log = openSync(join(this.directory, "broker.log"), "a");
    const broker = spawn(brokerProgram(), ["--config", "inboxd.toml", "--data", "data", "--port", "0"], {
      cwd: this.directory,
      stdio: ["ignore", "pipe", log],
    });
    closeSync(log);
    this.broker = broker;
    this.ready = await firstLine(broker);
    this.relay.target = this.portOf(listener);
  }

  /** Where a listener of the broker's is. */
  portOf(listener: string): number {
    const found = new RegExp(` ${listener}=127\\.0\\.0\\.1:(\\d+)`).exec(this.ready);
    if (!found) throw new Error(`the broker has no ${listener}: see ${this.directory}/broker.log`);
    return Number(found[1]);
  }

  /** kill -9, or an orderly end. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const broker = this.broker;
    this.broker = undefined;
    // Another program may have its port from now on.
    this.relay.target = 0;
    if (broker) await ended(broker, signal);
  }

  /** Runs a command of the broker's program. */
  command(args: string[], stdin = ""): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(brokerProgram(), args, { cwd: this.directory }, (error, output) => (error ? reject(error) : resolve(output)));
      child.stdin?.end(stdin);
    });
  }

  /** As clients have them, but with short pauses. */
  options(clientId: string, changes: Partial<Options> = {}): Options {
    return {
      clientId,
      outbox: join(this.directory, `${clientId}.inbox`),
      url: `mqtt://127.0.0.1:${this.relay.port}`,
      reconnectLeastMs: 50,
      reconnectMostMs: 500,
      answerTimeoutMs: 1000,
      ...changes,
    };
  }

  /** A client, whose events are in `events`. */
  async client(clientId: string, changes: Partial<Options> = {}): Promise<Inbox> {
    const seen = this.events.get(clientId) ?? [];
    this.events.set(clientId, seen);
    const inbox = await Inbox.connect(this.options(clientId, changes), (event) => void seen.push(event));
    this.clients.push(inbox);
    return inbox;
  }

  /** The events of a kind that a client told. */
  seen<T extends InboxEvent["type"]>(clientId: string, type: T): Extract<InboxEvent, { type: T }>[] {
    return (this.events.get(clientId) ?? []).filter((event): event is Extract<InboxEvent, { type: T }> => event.type === type);
  }

  /** Nothing stays behind. */
  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close(0)));
    await this.kill();
    this.relay.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Ends a process, which may have ended already, and waits for that. */
export async function ended(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}

/** The first line that a process prints. */
export function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error("its output is not read");
  const lines = createInterface(child.stdout);
  return new Promise((resolve) => {
    lines.once("line", resolve);
    lines.once("close", () => resolve(""));
  });
}

/** So many texts. */
export function numbered(count: number): string[] {
  return [...Array(count).keys()].map((number) => `message ${number}`);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something is so. */
export async function until(condition: () => unknown): Promise<void> {
  while (!condition()) await sleep(20);
}

/** Receives and acknowledges so many messages. */
export async function take(inbox: Inbox, count: number): Promise<string[]> {
  const texts = [];
  for (let taken = 0; taken < count; taken += 1) {
    const delivery = await inbox.recv();
    texts.push(delivery.text());
    await delivery.ack();
  }
  return texts;
}

/** Fails when another message comes. It must be the last thing that is asked of this client. */
export async function nothingMore(inbox: Inbox, forMs = 1000): Promise<void> {
  const more = inbox.recv().then(
    (delivery: Delivery) => delivery.text(),
    () => undefined,
  );
  assert.equal(await Promise.race([more, sleep(forMs)]), undefined);
}

/** What a promise rejects with. */
export async function failure<T extends Error>(kind: new (...args: never[]) => T, promise: Promise<unknown>): Promise<T> {
  const error = await promise.then(
    () => undefined,
    (why: unknown) => why,
  );
  assert(error instanceof kind, `it rejected with ${String(error)}`);
  return error;
}
