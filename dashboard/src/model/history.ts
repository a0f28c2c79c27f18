/** The last hour of figures, one row a report: what the charts draw. */
import type { Overview } from "./contract";

type Value = number | null;

/** Columns of a chart: times in seconds since 1970, then one column a series. */
type Columns = [number[], ...Value[][]];

export class History {
  private times: number[] = [];
  private readonly columns = new Map<string, Value[]>();

  constructor(private readonly rowsMax = 3600) {}

  get end(): number | undefined {
    return this.times.at(-1);
  }

  /** Takes a row. A hole of `gapS` or more seconds before it stays a hole in the lines. Rows that are not newer are passed over. */
  push(time: number, row: Readonly<Record<string, number | undefined>>, gapS = 15): void {
    const last = this.end;
    if (last !== undefined && time <= last) return;
    if (last !== undefined && time - last >= gapS) this.append(last + 0.001, {});
    this.append(time, row);
  }

  clear(): void {
    this.times = [];
    this.columns.clear();
  }

  private append(time: number, row: Readonly<Record<string, number | undefined>>): void {
    const length = this.times.push(time);
    for (const name of Object.keys(row)) {
      if (!this.columns.has(name)) this.columns.set(name, new Array<Value>(length - 1).fill(null));
    }
    for (const [name, column] of this.columns) column.push(row[name] ?? null);
    if (length > this.rowsMax) {
      this.times.shift();
      for (const column of this.columns.values()) column.shift();
    }
  }

  /** What lies in the last `spanS` seconds, and the row before, so that lines begin at the edge. */
  window(names: readonly string[], spanS: number): Columns {
    const from = (this.end ?? 0) - spanS;
    const first = this.times.findIndex((time) => time >= from);
    const start = Math.max(0, first - 1);
    const rows = this.times.length - start;
    return [this.times.slice(start), ...names.map((name) => this.columns.get(name)?.slice(start) ?? new Array<Value>(rows).fill(null))];
  }

  latest(name: string): number | undefined {
    return this.columns.get(name)?.at(-1) ?? undefined;
  }
}

export const refusedColumn = (cause: string): string => `refused:${cause}`;

/** The row of an overview. Percentiles without a sample are missing. */
export function row(from: Overview): Record<string, number | undefined> {
  const { puback, delivery, commit, fsync } = from.latency;
  const named: Record<string, number | undefined> = {
    ...from.rates,
    puback_p50: puback.p50,
    puback_p99: puback.p99,
    delivery_p50: delivery.p50,
    delivery_p99: delivery.p99,
    commit_p50: commit.p50,
    commit_p99: commit.p99,
    fsync_p99: fsync.p99,
    ...(commit.count > 0 ? { commit_messages_p50: from.commit.messagesP50, commit_messages_max: from.commit.messagesMax } : {}),
    backlog: from.inboxes?.messages,
    connected: from.clients.connected,
  };
  for (const { cause, perSecond } of from.refusals) named[refusedColumn(cause)] = perSecond;
  return named;
}
