/** Requests to `$SYS/inboxd/api/`: each answer is found by its Correlation Data, or its time runs out. */
import { at, num, object, str } from "../model/json";

export class RequestError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Why there was no answer, where the broker did not say. */
const NO_ANSWER =
  "The broker did not answer in time. It may be busy, or this login may not make requests: that needs the role ops. Try again.";
export const NOT_CONNECTED = "Not connected to the broker. Try again when the connection is back.";
const LOST = "The connection was lost before the answer came. Look whether it happened before you try again.";

interface Open {
  resolve: (result: unknown) => void;
  reject: (error: RequestError) => void;
  timer: ReturnType<typeof setTimeout>;
}

type Follow = (message: unknown) => void;

export class Requests {
  private readonly open = new Map<string, Open>();
  private readonly followed = new Map<string, Follow>();
  private serial = 0;

  constructor(
    /** Publishes; answers whether there is a connection. */
    private readonly send: (command: string, payload: string, correlation: string) => boolean,
    /** Longer than the ten seconds after which the broker says that a purge is not durable. */
    private readonly timeoutMs = 15_000,
  ) {}

  /** Asks. With `follow`, what comes after the answer with the same Correlation Data is handed on, until `unfollow`. */
  ask(command: string, parameters: object = {}, follow?: Follow): Promise<unknown> {
    this.serial += 1;
    const correlation = String(this.serial);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.open.delete(correlation);
        this.followed.delete(correlation);
        reject(new RequestError("timeout", NO_ANSWER));
      }, this.timeoutMs);
      this.open.set(correlation, { resolve, reject, timer });
      if (follow) this.followed.set(correlation, follow);
      if (!this.send(command, JSON.stringify(parameters), correlation)) {
        this.settle(correlation)?.reject(new RequestError("offline", NOT_CONNECTED));
        this.followed.delete(correlation);
      }
    });
  }

  unfollow(follow: Follow): void {
    for (const [correlation, each] of this.followed) if (each === follow) this.followed.delete(correlation);
  }

  /** Takes what came to the Response Topic. What nobody asked for is passed over: the inbox may hold mail of its own. */
  answered(correlation: string, message: unknown): void {
    const from = object(message);
    const open = this.open.get(correlation);
    if (open && from && typeof from["ok"] === "boolean") {
      this.settle(correlation);
      if (from["ok"]) {
        open.resolve(from["result"]);
      } else {
        this.followed.delete(correlation);
        const error = at(from, "error");
        open.reject(new RequestError(str(error, "code") ?? "failed", str(error, "message") ?? "The broker refused, and did not say why."));
      }
      return;
    }
    // A milestone may overtake the answer: it has the number of the trace as well.
    if (num(from, "trace") !== undefined) this.followed.get(correlation)?.(message);
  }

  /** Ends all that is open: the connection is gone. */
  lost(): void {
    for (const correlation of [...this.open.keys()]) this.settle(correlation)?.reject(new RequestError("lost", LOST));
    this.followed.clear();
  }

  private settle(correlation: string): Open | undefined {
    const open = this.open.get(correlation);
    if (open) clearTimeout(open.timer);
    this.open.delete(correlation);
    return open;
  }
}

/** Whether there was no connection, so that the same question can be put again when it is back. */
export function isOffline(error: unknown): boolean {
  return error instanceof RequestError && (error.code === "lost" || error.code === "offline");
}

/** A sentence about what went wrong, for the page. */
export function explained(error: unknown): string {
  const said = sentence(error instanceof Error ? error.message : String(error));
  if (error instanceof RequestError && error.code === "not-allowed")
    return `${said} Requests need the role ops: inboxd passwd FILE USER --role ops.`;
  return said;
}

/** The broker's messages begin in lower case and have no end, as in a log. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
