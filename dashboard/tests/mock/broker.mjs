// A broker for development and tests of the dashboard: MQTT 5 over WebSocket, as far as the dashboard speaks it, and the pages with
// the Content-Security-Policy of the real one. It keeps no promise about messages.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import mqttPacket from "mqtt-packet";
import { createWebSocketStream, WebSocketServer } from "ws";
import { answer, milestones } from "./api.mjs";
import { nowUs, World } from "./world.mjs";

const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PREFIX = "$SYS/inboxd/";

/**
 * Options: `scenario` (idle, loaded, many, hostile), `port` (0: any), `anonymous`, `inboxPrefix`, `history` (reports sent at once to fill the
 * charts), `isMute` (nothing on the board), `isDeaf` (no answers).
 * Users: `ops` / `secret` has the role; `alice` / `secret` has not. Tokens: any whose `sub` is `ops`.
 */
export class MockBroker {
  constructor(options = {}) {
    this.options = {
      scenario: "loaded",
      port: 0,
      anonymous: true,
      inboxPrefix: "",
      history: 0,
      isMute: false,
      isDeaf: false,
      ...options,
    };
    this.world = new World(this.options.scenario);
    this.sessions = new Set();
    this.traces = new Map();
    /** Every command that came, for tests to wait for. */
    this.asked = [];
    this.serial = 0;
    this.url = "";
  }

  async start() {
    this.http = createServer((request, response) => void this.serve(request, response));
    this.websockets = new WebSocketServer({
      server: this.http,
      path: "/mqtt",
      handleProtocols: (offered) => (offered.has("mqtt") ? "mqtt" : false),
    });
    this.websockets.on("connection", (socket) => this.attach(socket));
    await new Promise((resolve) => this.http.listen(this.options.port, "127.0.0.1", resolve));
    this.options.port = this.http.address().port;
    this.url = `http://127.0.0.1:${this.options.port}/`;
    this.timers = [setInterval(() => this.report(), 1000), setInterval(() => this.happen(), 1300)];
    return this;
  }

  async stop() {
    for (const timer of this.timers) clearInterval(timer);
    for (const session of this.sessions) session.socket.terminate();
    this.websockets.close();
    // A page that was just opened anew may come between any two steps, and be no session yet: nothing is taken any more, then all that is left ends.
    const closed = new Promise((resolve) => this.http.close(resolve));
    for (const socket of this.websockets.clients) socket.terminate();
    this.http.closeAllConnections();
    await closed;
  }

  /** DISCONNECT for everybody: 0x8E, as when another connection takes over; 0xA0, as when a token expires. */
  disconnectAll(reasonCode, reasonString) {
    for (const session of this.sessions) {
      session.send({ cmd: "disconnect", reasonCode, properties: reasonString ? { reasonString } : {} });
      session.socket.close();
    }
  }

  async serve(request, response) {
    const path = new URL(request.url, "http://mock").pathname;
    const head = { "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" };
    if (path === "/dashboard.json") {
      response.writeHead(200, { ...head, "Content-Type": "application/json" });
      response.end(
        JSON.stringify({ inbox_prefix: this.options.inboxPrefix, mqtt_path: "/mqtt", anonymous: this.options.anonymous, version: "0.1.0" }),
      );
      return;
    }
    try {
      const file = join(DIST, normalize(path === "/" ? "/index.html" : path));
      const content = await readFile(file);
      response.writeHead(200, { ...head, "Content-Type": TYPES[extname(file)] ?? "application/octet-stream" });
      response.end(content);
    } catch {
      response.writeHead(404, head);
      response.end("Not found. Build the pages with `npm run build`.\n");
    }
  }

  attach(socket) {
    const stream = createWebSocketStream(socket);
    const parser = mqttPacket.parser({ protocolVersion: 5 });
    const session = {
      socket,
      id: "",
      filters: new Set(),
      send: (packet) => {
        if (socket.readyState === socket.OPEN) stream.write(mqttPacket.generate(packet, { protocolVersion: 5 }));
      },
    };
    parser.on("packet", (packet) => this.take(session, packet));
    parser.on("error", () => socket.close());
    stream.on("data", (bytes) => parser.parse(bytes));
    stream.on("error", () => {});
    socket.on("close", () => this.leave(session));
  }

  take(session, packet) {
    switch (packet.cmd) {
      case "connect":
        return this.connect(session, packet);
      case "subscribe":
        return this.subscribe(session, packet);
      case "publish":
        return this.publish(session, packet);
      case "pingreq":
        return session.send({ cmd: "pingresp" });
      case "disconnect":
        return session.socket.close();
      default:
        return undefined;
    }
  }

  connect(session, packet) {
    const password = packet.password?.toString() ?? "";
    const isToken = password.split(".").length === 3;
    const user = isToken ? JSON.parse(Buffer.from(password.split(".")[1], "base64url")).sub : packet.username;
    const refuse = (reasonCode, reasonString) => {
      session.send({ cmd: "connack", reasonCode, sessionPresent: false, properties: { reasonString } });
      session.socket.close();
    };
    if (user === undefined && !this.options.anonymous) return refuse(0x87, "log in with a user name and a password");
    if (user !== undefined && !isToken && password !== "secret") return refuse(0x86, "the user name or the password is wrong");
    if (user !== undefined && packet.clientId !== user && !packet.clientId.startsWith(`${user}~`))
      return refuse(0x87, "this client ID is not the user's");
    session.id = packet.clientId;
    session.isOps = user === undefined ? this.options.anonymous : user !== "alice";
    this.sessions.add(session);
    this.world.connect(session.id);
    this.event("connected", { client: session.id, user, peer: "127.0.0.1:50000", listener: "http" });
    return session.send({ cmd: "connack", reasonCode: 0, sessionPresent: false, properties: {} });
  }

  leave(session) {
    if (!this.sessions.delete(session)) return;
    for (const [number, trace] of this.traces) if (trace.session === session) this.endTrace(number, "stopped");
    this.world.clients.delete(session.id);
    this.event("disconnected", { client: session.id, reason: null, cause: null, why: "the connection was closed" });
  }

  subscribe(session, { messageId, subscriptions }) {
    const granted = subscriptions.map(({ topic }) =>
      topic === this.options.inboxPrefix + session.id || (topic.startsWith(PREFIX) && session.isOps) ? 0 : 0x87,
    );
    session.send({
      cmd: "suback",
      messageId,
      granted,
      properties: granted.includes(0x87) ? { reasonString: "the role ops may read this, and no one else" } : {},
    });
    subscriptions.forEach(({ topic }, index) => {
      if (granted[index] === 0) session.filters.add(topic);
    });
    if (!session.filters.has(`${PREFIX}overview`) || this.options.isMute) return;
    const now = nowUs();
    for (let back = this.options.history; back > 0; back -= 1) this.board(session, "overview", this.world.overview(now - back * 1e6));
    this.board(session, "overview", this.world.overview());
    this.board(session, "top", this.world.top());
    this.board(session, "clients", this.world.clientCounts());
  }

  publish(session, { topic, payload, qos, messageId, properties }) {
    if (qos > 0) session.send({ cmd: "puback", messageId, reasonCode: 0 });
    if (!topic.startsWith(`${PREFIX}api/`)) {
      const isInbox = topic.startsWith(this.options.inboxPrefix) && !topic.slice(this.options.inboxPrefix.length).includes("/");
      if (isInbox && qos > 0) this.world.deliver(topic.slice(this.options.inboxPrefix.length), session.id, payload);
      return;
    }
    const command = topic.slice(`${PREFIX}api/`.length);
    this.asked.push(command);
    if (this.options.isDeaf) return;
    const reply = (message) =>
      session.send({
        cmd: "publish",
        topic: properties.responseTopic,
        payload: JSON.stringify(message),
        qos: 0,
        properties: { correlationData: properties.correlationData, contentType: "application/json" },
      });
    const trace = { start: (asked) => this.startTrace(asked, session, reply), stop: (number) => this.endTrace(number, "stopped") };
    const disconnect = (client) => {
      for (const each of this.sessions) if (each.id === client) each.socket.close();
    };
    const doors = { event: (kind, fields) => this.event(kind, fields), trace, disconnect };
    reply(
      session.isOps
        ? answer(this.world, command, payload.toString(), doors)
        : { ok: false, error: { code: "not-allowed", message: "only the role ops may ask this" } },
    );
  }

  startTrace(asked, session, reply) {
    this.serial += 1;
    const trace = this.serial;
    const tell = (message) => reply({ trace, ...message });
    let serial = 0;
    const step = () => {
      for (const event of milestones(asked, serial, this.world, this.options.inboxPrefix)) tell({ event });
      serial += 1;
    };
    setTimeout(step, 50);
    const timers = [setInterval(step, 900), setTimeout(() => this.endTrace(trace, "time"), (asked.seconds ?? 60) * 1000)];
    this.traces.set(trace, { session, tell, timers });
    return trace;
  }

  /** Ends a trace, and says whether there was one. */
  endTrace(number, why) {
    const trace = this.traces.get(number);
    if (!trace) return false;
    trace.timers.forEach(clearTimeout);
    trace.tell({ ended: why });
    return this.traces.delete(number);
  }

  board(session, name, value) {
    session.send({ cmd: "publish", topic: PREFIX + name, payload: JSON.stringify(value), qos: 0, retain: true, properties: {} });
  }

  report() {
    if (this.options.isMute) return;
    const overview = this.world.overview();
    const isSlow = this.world.tick % 5 === 0;
    for (const session of this.sessions) {
      if (!session.filters.has(`${PREFIX}overview`)) continue;
      this.board(session, "overview", overview);
      if (!isSlow) continue;
      this.board(session, "top", this.world.top());
      this.board(session, "clients", this.world.clientCounts());
    }
  }

  event(kind, fields) {
    const payload = JSON.stringify({ at: nowUs(), ...fields });
    for (const session of this.sessions) {
      if (session.filters.has(`${PREFIX}event/#`))
        session.send({ cmd: "publish", topic: `${PREFIX}event/${kind}`, payload, qos: 0, properties: {} });
    }
  }

  /** Something happens now and then, so that the stream of events moves. */
  happen() {
    if (this.options.scenario === "idle") return;
    // What happens to other clients is what they do: tests count on it.
    const { cast } = this.world;
    const pick = () => cast[Math.floor(this.world.next() * cast.length)];
    const client = pick();
    const { user, peer, listener } = this.world.clients.get(client) ?? {};
    const topic = this.options.inboxPrefix + pick();
    const gone = { client, user, peer, reason: null, cause: null, why: "the client said goodbye" };
    const takenOver = { ...gone, reason: 0x8e, cause: "taken_over", why: "another connection uses this client ID now" };
    const left = { inbox: pick(), seq: this.world.seq, from: client, id: "000660c52d5846e9" };
    const kinds = [
      ["connected", { client, user, peer, listener }],
      ["disconnected", gone],
      ["disconnected", { ...gone, reason: 0x8d, cause: "keep_alive", why: "no packet came for one and a half times the keep alive" }],
      ["takeover", takenOver],
      ["refused", { who: client, what: topic, cause: "publish_full", why: "the inbox is full; send again when its owner has read some" }],
      ["inbox-full", { inbox: topic, from: client }],
      ...["expired", "dropped", "idle"].map((reason) => [reason, { ...left, reason }]),
    ];
    const [kind, fields] = kinds[Math.floor(this.world.next() * kinds.length)];
    this.event(kind, fields);
  }
}
