/** The trace that runs, so that it goes on while other views are looked at. One at a time. */
import { num, object } from "../model/json";
import { signal } from "../model/signal";
import { followed, noTrace, over, type TraceState } from "../model/trace";
import type { Requests } from "./requests";

export class Tracer {
  readonly state = signal<TraceState>(noTrace);
  private follow: ((message: unknown) => void) | undefined;

  constructor(
    private readonly requests: Requests,
    /** What topics of inboxes begin with. */
    private readonly prefix: string,
  ) {}

  /** Begins a trace. Where the broker refuses, none is shown, and the error says why. */
  async start(asked: TraceState["asked"]): Promise<void> {
    this.forget();
    const follow = (message: unknown): void => {
      this.state.set(followed(this.state.value, message, this.prefix));
      if (this.state.value.phase === "ended") this.unfollow();
    };
    this.follow = follow;
    this.state.set({ ...noTrace, phase: "starting", asked });
    try {
      const trace = num(object(await this.requests.ask("trace/start", asked, follow)), "trace");
      const now = this.state.value;
      // It may have ended before the answer came.
      if (this.follow === follow && now.phase === "starting") this.state.set({ ...now, trace, phase: "running" });
    } catch (error) {
      if (this.follow === follow || this.follow === undefined) this.forget();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const { follow } = this;
    try {
      await this.requests.ask("trace/stop", { trace: this.state.value.trace });
    } catch {
      // It ends by itself then; the page stops listening.
    }
    // Another one may have begun meanwhile.
    if (this.follow === follow) this.end("stopped");
  }

  /** It is over, if one was under way; what it told stays. */
  end(why: string): void {
    this.unfollow();
    this.state.set(over(this.state.value, why));
  }

  forget(): void {
    this.unfollow();
    this.state.set(noTrace);
  }

  private unfollow(): void {
    if (this.follow) this.requests.unfollow(this.follow);
    this.follow = undefined;
  }
}
