/** Numbers, sizes, times and names as a person reads them. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

function digits(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.01) return value.toExponential(0);
  return (size < 1 ? hundredths : size < 100 ? tenths : whole).format(value);
}

/** A whole number with separators: `12,345`. */
export function count(value: number | undefined): string {
  return value === undefined ? "–" : whole.format(value);
}

/** A number that may be large, in three digits or so: `1.2 M`. */
export function short(value: number | undefined): string {
  if (value === undefined) return "–";
  if (Math.abs(value) < 100_000) return Number.isInteger(value) ? whole.format(value) : digits(value);
  if (Math.abs(value) < 1e6) return `${digits(value / 1e3)} k`;
  if (Math.abs(value) < 1e9) return `${digits(value / 1e6)} M`;
  return `${digits(value / 1e9)} G`;
}

/** A number with what is counted: `1 session`, `2 sessions`. */
export function counted(value: number | undefined, one: string, many: string): string {
  return `${value !== undefined && value < 100_000 ? count(value) : short(value)} ${value === 1 ? one : many}`;
}

export function rate(value: number | undefined): string {
  return value === undefined ? "–" : `${short(Math.abs(value) >= 10 ? Math.round(value) : value)} /s`;
}

export function bytes(value: number | undefined): string {
  if (value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? whole.format(size) : digits(size)} ${units[unit] ?? ""}`;
}

/** A duration in microseconds: `840 µs`, `1.2 ms`, `3.4 s`. */
export function micros(value: number | undefined): string {
  if (value === undefined) return "–";
  if (value < 1000) return `${digits(value)} µs`;
  if (value < 1e6) return `${digits(value / 1e3)} ms`;
  if (value < 120e6) return `${digits(value / 1e6)} s`;
  return seconds(value / 1e6);
}

/** A duration in seconds, in its two largest units: `3 d 4 h`. */
export function seconds(value: number | undefined): string {
  if (value === undefined) return "–";
  const total = Math.max(0, Math.floor(value));
  const parts: [number, string][] = [
    [Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first < 0) return "0 s";
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${String(amount)} ${unit}`)
    .join(" ");
}

export function percent(value: number | undefined): string {
  return value === undefined ? "–" : `${digits(value * 100)} %`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

/** A time of day; with the day where that is another one than `now`'s. Both in microseconds since 1970. */
export function time(at: number | undefined, now: number): string {
  const date = dated(at);
  if (!date) return "–";
  const isToday = date.toDateString() === new Date(now / 1000).toDateString();
  return (isToday ? clock : dayAndClock).format(date);
}

/** A time as programs write it, for titles: `2026-01-31T12:00:00.123Z`. */
export function iso(at: number | undefined): string {
  return dated(at)?.toISOString() ?? "";
}

function dated(at: number | undefined): Date | undefined {
  if (at === undefined) return undefined;
  const date = new Date(at / 1000);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** How long ago: `3 min ago`. */
export function ago(at: number | undefined, now: number): string {
  if (at === undefined) return "–";
  const passed = (now - at) / 1e6;
  if (passed < 1) return "just now";
  const [first = ""] = seconds(passed).split(/(?<=[a-z]) /);
  return `${first} ago`;
}

/** A name of the broker in words: `publish_inbox_full` is "publish inbox full". */
export function words(name: string): string {
  return name.replaceAll(/[_-]+/g, " ");
}

/** The client ID whose inbox a topic is, where topics of inboxes begin with `prefix`. */
export function ownerOf(topic: string, prefix: string): string {
  return topic.startsWith(prefix) ? topic.slice(prefix.length) : topic;
}

/** Bytes as rows of a hex dump: offset, sixteen bytes, and what of them is printable. */
export function hexDump(hex: string): string {
  const rows: string[] = [];
  for (let offset = 0; offset < hex.length; offset += 32) {
    const row = hex.slice(offset, offset + 32).match(/../g) ?? [];
    const printable = row.map((byte) => {
      const code = Number.parseInt(byte, 16);
      return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : "·";
    });
    const left = row.slice(0, 8).join(" ").padEnd(23);
    const right = row.slice(8).join(" ").padEnd(23);
    rows.push(`${(offset / 2).toString(16).padStart(6, "0")}  ${left}  ${right}  ${printable.join("")}`);
  }
  return rows.join("\n");
}

export function hexOf(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
