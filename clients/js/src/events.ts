/** What a client tells beside messages: its state, and what an application may want to know of its mail. */

import type { State } from "./message.js";

/** Where the connection is. `waiting`: until it is tried again. `stopped`: for good; the reason says why. */
export type LinkState = "connecting" | "connected" | "waiting" | "stopped" | "closed";

/** The connection has another state. */
export interface LinkChanged {
  readonly type: "link";
  readonly state: LinkState;
  readonly why: string;
  readonly pauseMs: number;
}

/** The broker cannot take a message now; this recipient's messages wait. */
export interface Held {
  readonly type: "held";
  readonly to: string;
  readonly code: number;
  readonly why: string;
  readonly pauseMs: number;
}

/** A message has reached another state, or will come no further; also for messages that an earlier process sent. */
export interface Progress {
  readonly type: "progress";
  readonly id: string;
  readonly to: string;
  readonly state: State;
  readonly failure?: string;
}

/** Messages that this client will never see, because they left the inbox unread: expired, dropped or purged. */
export interface Dropped {
  readonly type: "dropped";
  readonly messages: number;
}

/** A delivery did not follow the one that it is said to follow; what is missing comes again over another connection. */
export interface Gap {
  readonly type: "gap";
  /** The seq of the last delivery. */
  readonly after: number | undefined;
  /** The seq of the one before this. */
  readonly prev: number | undefined;
}

/** The broker's store is another one, or was restored: what it had acknowledged may be gone, and old mail may come again. */
export interface EpochChanged {
  readonly type: "epochChanged";
  readonly before: string;
  readonly now: string;
}

/** The broker is no inboxd, or an old one: what does not work with it. */
export interface Missing {
  readonly type: "missing";
  readonly what: string;
}

/** Something could not be done that nobody waited for. */
export interface Trouble {
  readonly type: "trouble";
  readonly why: string;
}

export type InboxEvent = LinkChanged | Held | Progress | Dropped | Gap | EpochChanged | Missing | Trouble;
export type Listener = (event: InboxEvent) => void;

/** Who listens. */
export class Events {
  private readonly listeners = new Set<Listener>();

  /** Calls `listener` with every event until the returned function is called. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A listener that fails is reported, and keeps nobody from anything. */
  tell(event: InboxEvent): void {
    for (const listener of [...this.listeners]) {
      try {
        listener(event);
      } catch (error) {
        console.error("inboxd-client: a listener failed", error);
      }
    }
  }
}
