// The operator's requests, answered from the made-up world. What the real broker does is in its own tests; this has the same shapes.
import { nowUs } from "./world.mjs";

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

function page(all, after, limit, key) {
  const start = after === undefined || after === null ? 0 : all.findIndex((each) => key(each) > after);
  const rows = start < 0 ? [] : all.slice(start, start + limit);
  const hasMore = start >= 0 && start + limit < all.length;
  return { rows, ...(hasMore ? { next: key(rows.at(-1)) } : {}) };
}

function cut(message, max) {
  if (message.payload !== undefined && Buffer.byteLength(message.payload) > max)
    return { ...message, payload: Buffer.from(message.payload).subarray(0, max).toString("utf8"), truncated: true };
  if (message.payload_hex !== undefined && message.payload_hex.length > 2 * max)
    return { ...message, payload_hex: message.payload_hex.slice(0, 2 * max), truncated: true };
  return message;
}

const bounded = (asked, usual, max) => Math.min(Math.max(1, asked ?? usual), max);
const sorted = new WeakMap();

/** Names in order; sorting 100,000 is done once a size. */
function inOrder(map) {
  const known = sorted.get(map);
  if (known?.length === map.size) return known;
  const names = [...map.keys()].sort();
  sorted.set(map, names);
  return names;
}

const COMMANDS = {
  "inbox/list": (world, { after, limit, prefix = "" }) => {
    const all = inOrder(world.inboxes).filter((name) => name.startsWith(prefix));
    const { rows, next } = page(all, after, bounded(limit, 100, 1000), (name) => name);
    return { inboxes: rows.map((name) => ({ ...world.row(name), oldest_at: undefined })), next };
  },
  "inbox/show": (world, { client }) => {
    const inbox = world.inboxes.get(client);
    const connected = world.clients.get(client)?.connected ?? false;
    return {
      client,
      messages: inbox?.count ?? 0,
      bytes: inbox?.bytes ?? 0,
      messages_max: 100_000,
      bytes_max: 268_435_456,
      oldest_at: inbox?.oldestAt ?? null,
      in_flight: 0,
      reader: connected && (inbox?.count ?? 0) < 50,
      connected,
    };
  },
  "inbox/peek": (world, { client, after, limit, payload_bytes_max = 1024 }) => {
    const { rows, next } = page(world.messages(client), after, bounded(limit, 20, 100), (message) => message.seq);
    return { messages: rows.map((message) => cut(message, payload_bytes_max)), next };
  },
  "inbox/export": (world, { client, after, limit }) => {
    const { rows, next } = page(world.messages(client), after, bounded(limit, 20, 100), (message) => message.seq);
    return { messages: rows, next };
  },
  "inbox/purge": (world, { client }, { event }) => {
    const purged = world.purge(client);
    event("purged", { inbox: client, messages: purged });
    return { purged };
  },
  "client/erase": (world, { client }) => ({
    purged: world.purge(client),
    kept: { lists: 1, acquaintances: 0 },
    session: world.clients.delete(client),
  }),
  "client/list": (world, { after, limit }) => {
    const { rows, next } = page(
      inOrder(world.clients).filter((name) => world.clients.get(name).connected),
      after,
      bounded(limit, 100, 1000),
      (name) => name,
    );
    return { clients: rows.map((name) => world.clients.get(name)), next };
  },
  "client/show": (world, { client }) => {
    const known = world.clients.get(client);
    if (!known) throw new Refused("not-found", "no client with that ID is connected, and no session is kept for it");
    return known.connected ? known : { client, connected: false };
  },
  "client/disconnect": (world, { client }, { event, disconnect }) => {
    const known = world.clients.get(client);
    if (!known?.connected) return { disconnected: false };
    known.connected = false;
    disconnect(client);
    const { user, peer } = known;
    event("disconnected", {
      client,
      user,
      peer,
      reason: 0x98,
      cause: "disconnected_by_operator",
      why: "an operator ended this connection",
    });
    return { disconnected: true };
  },
  "trace/start": (world, asked, { trace }) => {
    if (!asked.from && !asked.to && !asked.id) throw new Refused("bad-request", "say whom the messages are from or to, or their id");
    return { trace: trace.start(asked) };
  },
  "trace/stop": (world, { trace: number }, { trace }) => ({ stopped: trace.stop(number) }),
};

/** The answer to a request, as the contract has it. */
export function answer(world, command, text, doors) {
  try {
    const asked = text === "" ? {} : JSON.parse(text);
    const run = COMMANDS[command];
    if (!run) throw new Refused("bad-request", `there is no command ${command}`);
    return { ok: true, result: run(world, asked, doors) };
  } catch (error) {
    const code = error instanceof Refused ? error.code : "bad-request";
    return { ok: false, error: { code, message: error.message } };
  }
}

/** The milestones of one message, with the times between them in microseconds. */
export function milestones({ from = "alice", to = "bob", id }, serial, world, prefix) {
  const at = nowUs();
  const seq = (world.seq += 1);
  const told = (what, after, more = {}) => ({ what, at: at + after, inbox: to, seq, ...more });
  const accepted = told("accepted", 140, { from, id: id ?? `m-${at.toString(16)}` });
  switch (serial % 4) {
    case 0:
      return [accepted, told("delivered", 410, { dup: false }), told("cancelled", 2_300)];
    case 1:
      return [accepted, told("committed", 3_900)];
    case 2:
      return [
        accepted,
        told("committed", 3_200),
        told("delivered", 5_100, { dup: false }),
        told("delivered", 905_100, { dup: true }),
        told("acknowledged", 951_000),
      ];
    default:
      return [
        {
          what: "refused",
          at: at + 90,
          inbox: prefix + to,
          from,
          cause: "publish_full",
          why: "the inbox holds 100,000 messages, as many as it may",
        },
      ];
  }
}
