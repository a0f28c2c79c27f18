/** What all views share: the connection, what the broker said last, and the history of the charts. */
import * as contract from "./model/contract";
import { noEvents, noFilter, received, type EventFilter, type EventStream } from "./model/events";
import { History, row } from "./model/history";
import { signal } from "./model/signal";
import { Connection } from "./mqtt/connection";
import { forgetLogin, isSignedOut, remember, remembered, setSignedOut, type Login } from "./mqtt/login";
import type { Site } from "./mqtt/site";
import { Tracer } from "./mqtt/tracer";

/** How long the broker may be silent before its figures are called old, in milliseconds. It reports every 10 s where nobody watches. */
const SILENCE_MS = 15_000;

export class App {
  readonly overview = signal<contract.Overview | undefined>(undefined);
  readonly top = signal<contract.Top | undefined>(undefined);
  readonly counts = signal<contract.ClientCounts | undefined>(undefined);
  readonly events = signal<EventStream>(noEvents);
  /** What events are filtered for: it stays while other views are looked at. */
  filter: EventFilter = noFilter;
  readonly history = new History();
  /** Whether what is shown is from before: no connection, or a broker that says nothing. */
  readonly isStale = signal(true);
  readonly connection: Connection;
  readonly tracer: Tracer;
  private heardAt = 0;
  private offset: number | undefined;

  constructor(readonly site: Site) {
    this.connection = new Connection(site, (name, value) => {
      this.board(name, value);
    });
    this.tracer = new Tracer(this.connection.requests, site.inboxPrefix);
    this.connection.phase.watch((phase) => {
      if (phase.name === "online") {
        this.offset = undefined;
        this.heardAt = Date.now();
      }
      // The broker forgets a trace with the connection that asked for it.
      else this.tracer.end("connection");
      if (phase.name === "signed-out") {
        if (phase.error !== undefined) forgetLogin();
        this.forget();
      }
      this.look();
    });
    setInterval(() => {
      this.look();
    }, 1000);
  }

  /** The broker's clock, in microseconds since 1970: ages are right although this computer's clock is not. */
  now(): number {
    return Date.now() * 1000 + (this.offset ?? 0);
  }

  heardMsAgo(): number {
    return Date.now() - this.heardAt;
  }

  /** Calls now, if there is a connection, and each time that it comes back; the answer ends that. */
  whenOnline(each: () => void): () => void {
    return this.connection.phase.watch((phase) => {
      if (phase.name === "online") each();
    });
  }

  ask(command: string, parameters: object): Promise<unknown> {
    return this.connection.requests.ask(command, parameters);
  }

  /** Connects as this tab did before, or without a login where the broker asks for none. A broker that is away is waited for. */
  begin(): void {
    const login = remembered();
    if (login) this.connection.signIn(login, true);
    else if (this.site.anonymous && !isSignedOut()) this.connection.signIn({ kind: "anonymous" }, true);
  }

  /** Connects; the first failure comes back to the login. With `isKept`, this tab does so again. */
  signIn(login: Login, isKept: boolean): void {
    setSignedOut(false);
    if (isKept) remember(login);
    else forgetLogin();
    this.connection.signIn(login, false);
  }

  /** Ends the connection, and forgets the login and all that was shown. */
  signOut(): void {
    forgetLogin();
    setSignedOut(true);
    this.connection.signOut();
  }

  private board(name: string, value: unknown): void {
    if (name.startsWith("event/")) {
      this.events.set(received(this.events.value, name.slice("event/".length), value, this.site.inboxPrefix));
    } else if (name === "overview") {
      this.report(contract.overview(value));
    } else if (name === "top") {
      this.top.set(contract.top(value));
    } else if (name === "clients") {
      this.counts.set(contract.clientCounts(value));
    }
  }

  private report(overview: contract.Overview | undefined): void {
    if (!overview) return;
    this.heardAt = Date.now();
    // The report that travelled least tells the time best.
    this.offset = Math.max(this.offset ?? -Infinity, overview.at - Date.now() * 1000);
    this.history.push(overview.at / 1e6, row(overview), Math.max(5, (3 * overview.intervalMs) / 1000));
    this.overview.set(overview);
    this.look();
  }

  private look(): void {
    const isSilent = this.heardMsAgo() > Math.max(SILENCE_MS, 3 * (this.overview.value?.intervalMs ?? 0));
    const phase = this.connection.phase.value;
    // Who may not watch is told that instead.
    this.isStale.set(phase.name !== "online" || (isSilent && phase.denied.length === 0));
  }

  /** The next operator sees nothing of this one's. */
  private forget(): void {
    this.history.clear();
    this.filter = noFilter;
    this.overview.set(undefined);
    this.top.set(undefined);
    this.counts.set(undefined);
    this.events.set(noEvents);
    this.tracer.forget();
  }
}
