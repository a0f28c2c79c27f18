// What the mock broker pretends to hold: inboxes, clients, figures. All of it is made up from a seed.
// Times are microseconds since 1970, as in the contract.

export const nowUs = () => Date.now() * 1000;

/** A small generator of random numbers, so that two runs look alike (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const PEOPLE = "alice bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil trent victor walter".split(
  " ",
);
const DEVICES = ["phone", "laptop", "sensor-7", "gateway", "tablet", "backup"];

/** Client IDs as an attacker, a script or a child makes them. */
export const HOSTILE = [
  "<script>alert('inbox')</script>",
  "<img src=x onerror=alert(1)>",
  "two\nlines\r\nand a\ttab",
  "😀".repeat(128),
  "\u202Egnp.exe\u202C",
  "عميل-العربية",
  "a".repeat(600),
  "zero\u200Bwidth",
  "nul\u0001\u001b[31mred",
  "👨‍👩‍👧‍👦 family",
  "  spaces around  ",
  "quote\"'`&amp;%2F%00",
  "javascript:alert(1)",
  '=HYPERLINK("http://example")',
];

export class World {
  constructor(scenario) {
    this.scenario = scenario;
    this.next = random(7);
    this.startedAt = nowUs() - (scenario === "idle" ? 754 : 273_912) * 1e6;
    this.seq = 1_795_249_845_847_785;
    /** client -> { messages: [...] | undefined, count, bytes, oldestAt } */
    this.inboxes = new Map();
    this.clients = new Map();
    this.refusals =
      scenario === "idle"
        ? []
        : [
            ["publish_full", 18_402, 2.4],
            ["connect_credentials", 213, 0.2],
            ["subscribe_inbox_of_other", 57, 0],
            ["publish_too_large", 9, 0],
            ["connect_websocket", 3, 0],
          ];
    this.waiting = undefined;
    this.isTroubled = false;
    this.phase = this.next() * 10;
    this.tick = 0;
    this.fill();
  }

  names() {
    if (this.scenario === "idle") return [];
    if (this.scenario === "hostile") return HOSTILE;
    const people = PEOPLE.flatMap((person, index) => [person, ...DEVICES.slice(0, index % 4).map((device) => `${person}~${device}`)]);
    if (this.scenario !== "many") return people;
    return Array.from({ length: 100_000 }, (_, index) => `device-${String(index).padStart(6, "0")}`);
  }

  fill() {
    const names = this.names();
    /** Who is made up. Others connect. */
    this.cast = names;
    names.forEach((client) => {
      const count = Math.max(1, Math.floor(this.next() ** 6 * (this.scenario === "many" ? 900 : 60_000)));
      this.inboxes.set(client, {
        count,
        bytes: Math.floor(count * (180 + this.next() * 900)),
        oldestAt: nowUs() - Math.floor(this.next() ** 3 * 26 * 86_400e6) - 40e6,
      });
    });
    const connected =
      this.scenario === "idle"
        ? ["sensor-1"]
        : this.scenario === "many"
          ? names.slice(0, 2_000)
          : names.filter((_, index) => index % 3 !== 1);
    for (const client of connected) this.connect(client);
    for (const client of names.slice(0, 400)) if (!this.clients.has(client)) this.connect(client, false);
  }

  connect(client, isConnected = true) {
    const [user] = client.split("~");
    const octet = () => Math.floor(this.next() * 254) + 1;
    this.clients.set(client, {
      client,
      ...(this.scenario === "idle" ? {} : { user }),
      peer: `10.4.${octet()}.${octet()}:${40_000 + Math.floor(this.next() * 20_000)}`,
      listener: ["tcp", "tls", "websocket"][Math.floor(this.next() * 2.6)],
      protocol: ["5", "5", "3.1.1", "3.1"][Math.floor(this.next() * 3.2)],
      connected_at: nowUs() - Math.floor(this.next() ** 2 * 90_000e6),
      connected: isConnected,
    });
  }

  /** The messages of an inbox; they are made when somebody looks, at most 250. */
  messages(client) {
    const inbox = this.inboxes.get(client);
    if (!inbox) return [];
    inbox.messages ??= Array.from({ length: Math.min(inbox.count, 250) }, (_, index) => this.message(inbox, index));
    return inbox.messages;
  }

  message(inbox, index) {
    const texts = [
      `{"type":"chat","text":"Are you there? This is message ${index}.","attachments":[],"sent_by":{"name":"Bob","device":"laptop"}}`,
      "hello",
      "Temperature in hall 3 is above the limit: 41.7 °C\nPlease look at the cooling.",
      "<b>not bold</b><script>alert('payload')</script>",
      "",
      "ping ".repeat(500),
    ];
    const at = inbox.oldestAt + index * 1_370_000;
    const common = {
      seq: (this.seq += 1 + Math.floor(this.next() * 5)),
      at,
      from: this.scenario === "hostile" ? HOSTILE[index % HOSTILE.length] : PEOPLE[(index * 7) % PEOPLE.length],
      id: `${at.toString(16)}`,
      qos: 1,
      expires_at: at + 30 * 86_400e6,
    };
    if (index % 7 === 6) {
      const hex = Array.from({ length: 80 }, () =>
        Math.floor(this.next() * 256)
          .toString(16)
          .padStart(2, "0"),
      ).join("");
      return { ...common, bytes: 232, payload_bytes: 80, payload_hex: hex, truncated: false, content_type: "application/octet-stream" };
    }
    const payload = texts[index % texts.length];
    return {
      ...common,
      bytes: Buffer.byteLength(payload) + 152,
      payload_bytes: Buffer.byteLength(payload),
      payload,
      truncated: false,
      ...(index % 6 === 0
        ? {
            content_type: "application/json",
            response_topic: "bob~laptop",
            correlation_data_hex: "00ff17",
            user_properties: [
              ["trace", "4711"],
              ["app", "chat 2.1"],
            ],
          }
        : {}),
    };
  }

  /** What somebody published to an inbox. */
  deliver(client, from, payload) {
    const inbox = this.inboxes.get(client) ?? { count: 0, bytes: 0, oldestAt: nowUs(), messages: [] };
    this.inboxes.set(client, inbox);
    const text = payload.toString("utf8");
    const isText = Buffer.from(text, "utf8").equals(payload);
    const message = {
      seq: (this.seq += 1),
      at: nowUs(),
      from,
      id: this.seq.toString(16),
      qos: 1,
      bytes: payload.length + 152,
      payload_bytes: payload.length,
      truncated: false,
      ...(isText ? { payload: text } : { payload_hex: payload.toString("hex") }),
    };
    this.messages(client).push(message);
    inbox.count += 1;
    inbox.bytes += payload.length;
    return message;
  }

  purge(client) {
    const purged = this.inboxes.get(client)?.count ?? 0;
    this.inboxes.delete(client);
    return purged;
  }

  row(client) {
    const { count, bytes, oldestAt } = this.inboxes.get(client);
    return { client, messages: count, bytes, oldest_at: oldestAt };
  }

  top() {
    const all = [...this.inboxes.keys()];
    const largest = all.toSorted((left, right) => this.inboxes.get(right).count - this.inboxes.get(left).count).slice(0, 20);
    const oldest = all.toSorted((left, right) => this.inboxes.get(left).oldestAt - this.inboxes.get(right).oldestAt).slice(0, 20);
    return { counted_at: nowUs() - 2e6, largest: largest.map((name) => this.row(name)), oldest: oldest.map((name) => this.row(name)) };
  }

  clientCounts() {
    const all = [...this.clients.values()];
    const connected = all.filter((client) => client.connected);
    const tally = (key) => connected.reduce((counts, client) => ({ ...counts, [client[key]]: (counts[client[key]] ?? 0) + 1 }), {});
    const by_protocol = { 3.1: 0, "3.1.1": 0, 5: 0, ...(connected.length < 500 ? tally("protocol") : { 5: 1388, "3.1.1": 590, 3.1: 22 }) };
    return {
      connected: connected.length,
      kept: all.length - connected.length,
      by_protocol,
      by_listener: connected.length < 500 ? tally("listener") : { tcp: 700, tls: 800, websocket: 500 },
    };
  }

  /** The next report. `at` can be set, to fill charts at once. */
  overview(at = nowUs()) {
    this.tick += 1;
    const wave = (period, share) => 1 + share * Math.sin((at / 1e6 + this.phase) / period) + share * 0.5 * (this.next() - 0.5);
    const load = this.scenario === "idle" ? 0 : wave(23, 0.3) * (this.tick % 47 < 5 ? 1.6 : 1);
    const received = 8_400 * load;
    const share = (of) => Math.round(received * of * 10) / 10;
    const spike = this.tick % 61 === 60 ? 6 : 1;
    const latency = (base) =>
      load === 0
        ? { count: 0 }
        : {
            count: Math.round(received),
            p50: Math.round(base * wave(17, 0.1)),
            p90: Math.round(base * 1.9 * wave(17, 0.1)),
            p99: Math.round(base * 3.2 * spike * wave(11, 0.25)),
            max: Math.round(base * 9 * spike),
          };
    const held = [...this.inboxes.values()];
    const messages = held.reduce((sum, inbox) => sum + inbox.count, 0);
    return {
      version: "0.1.0",
      at,
      uptime_s: Math.floor((at - this.startedAt) / 1e6),
      interval_ms: 1000,
      rates: {
        received: share(1),
        sent: share(1.1),
        accepted: share(0.96),
        delivered: share(0.78),
        acknowledged: share(0.76),
        committed: share(0.41),
        refused: load === 0 ? 0 : 2.6,
        connects: load === 0 ? 0 : 3.2,
        bytes_received: received * 340,
        bytes_sent: received * 390,
      },
      latency_us: { puback: latency(2_300), delivery: latency(640), commit: latency(1_900), fsync: latency(1_500) },
      commit: {
        per_second: load === 0 ? 0 : 410 * wave(9, 0.1),
        messages_p50: load === 0 ? 0 : Math.round(9 * load),
        messages_max: load === 0 ? 0 : Math.round(44 * load * spike),
        cancelled_share: load === 0 ? 0 : 0.57 + 0.05 * (this.next() - 0.5),
      },
      clients: { connected: this.clientCounts().connected + 1, kept_sessions: this.clientCounts().kept },
      inboxes: {
        with_mail: held.length,
        messages: Math.round(messages * (load === 0 ? 1 : wave(61, 0.04))),
        bytes: held.reduce((sum, inbox) => sum + inbox.bytes, 0),
        oldest_at: held.length ? Math.min(...held.slice(0, 1000).map((inbox) => inbox.oldestAt)) : null,
        counted_at: at - 2e6,
      },
      store: {
        engine: "sled",
        disk_free_bytes: 212_340_711_424,
        uncommitted_bytes: Math.round(load * 91_000),
        memory_bytes: 41_231_002,
        is_troubled: this.isTroubled,
      },
      memory: { used: Math.round(38e6 + load * 64e6), limit: 1 << 30, pressure: 0 },
      refusals: this.refusals.map(([cause, total, per_second]) => ({
        cause,
        total: Math.round(total + this.tick * per_second),
        per_second: per_second === 0 ? 0 : Math.max(0, per_second * wave(7, 0.8)),
      })),
      waiting:
        this.waiting ??
        (load === 0
          ? { publishes: 0, oldest_ms: 0, for: null }
          : { publishes: Math.round(19 * load), oldest_ms: Math.round(20 * load) / 10, for: this.tick % 5 === 4 ? "reader" : "disk" }),
    };
  }
}
