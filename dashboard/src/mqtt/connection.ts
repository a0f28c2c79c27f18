/**
 * The connection to the broker, as a state machine:
 *
 *   signed-out ──signIn──▶ connecting ──CONNACK──▶ online ──lost──▶ waiting ──▶ connecting
 *       ▲                      │ 0x86, 0x87            │ 0x8E ──▶ stopped
 *       └──────────────────────┴───── 0xA0, 0x87 ──────┘
 *
 * MQTT.js speaks the protocol; when to connect again is decided here, because it depends on why the connection ended.
 */
import mqtt, { type IClientOptions, type MqttClient, type Packet } from "mqtt";
import { parse } from "../model/json";
import { signal } from "../model/signal";
import { clientId, randomName, type Login } from "./login";
import { backoffMs, ended, refusedLogin, type Ending } from "./reasons";
import { Requests } from "./requests";
import type { Site } from "./site";

export const BOARD = "$SYS/inboxd/";
const TOPICS = ["overview", "top", "clients", "event/#"].map((name) => BOARD + name);

export type Phase =
  | { name: "signed-out"; error?: string }
  | { name: "connecting"; isFirst: boolean; why?: string }
  | { name: "online"; clientId: string; user: string; denied: readonly Denied[] }
  | { name: "waiting"; why: string; until: number }
  | { name: "stopped"; why: string };

/** A subscription that the broker refused. */
interface Denied {
  topic: string;
  code: number;
  why: string | undefined;
}

export class Connection {
  readonly phase = signal<Phase>({ name: "signed-out" });
  readonly requests = new Requests((command, payload, correlation) => this.publish(command, payload, correlation));
  private client: MqttClient | undefined;
  private login: Login | undefined;
  private id = "";
  private attempt = 0;
  private wasOnline = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly site: Site,
    /** Takes what came on a topic below `$SYS/inboxd/`. */
    private readonly board: (name: string, value: unknown) => void,
  ) {
    window.addEventListener("online", () => {
      this.hurry();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.hurry();
    });
  }

  /** Connects. With `isPatient`, a broker that is away is waited for; else the first failure comes back to the login. */
  signIn(login: Login, isPatient: boolean): void {
    this.login = login;
    this.id = clientId(login, randomName());
    this.attempt = 0;
    this.wasOnline = isPatient;
    this.connect(undefined);
  }

  signOut(): void {
    this.close();
    this.login = undefined;
    this.phase.set({ name: "signed-out" });
  }

  /** Connects now, if it waits. */
  hurry(): void {
    if (this.phase.value.name === "waiting") this.connect(undefined);
  }

  /** Connects anew with the same login, also after another page took over. */
  again(): void {
    if (this.login) this.signIn(this.login, true);
  }

  private connect(why: string | undefined): void {
    const { login } = this;
    if (!login) return;
    this.close();
    this.attempt += 1;
    this.phase.set({ name: "connecting", isFirst: !this.wasOnline, ...(why === undefined ? {} : { why }) });
    const client = mqtt.connect(this.site.url, options(login, this.id));
    this.client = client;
    let ending: Ending | undefined;
    // MQTT.js forgets reason strings and the codes of single filters: they are read from the packets.
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "connack" && (packet.reasonCode ?? 0) >= 0x80) {
        ending = refusedLogin(packet.reasonCode ?? 0, packet.properties?.reasonString, this.id);
      }
      if (packet.cmd === "disconnect") ending = ended(packet.reasonCode ?? 0, packet.properties?.reasonString);
    });
    client.on("connect", () => {
      this.arrived(client, login);
    });
    client.on("message", (topic, payload, packet) => {
      // What was still on its way when the connection was given up is nobody's any more.
      if (client !== this.client) return;
      const text = new TextDecoder().decode(payload);
      if (topic.startsWith(BOARD)) this.board(topic.slice(BOARD.length), parse(text));
      else this.requests.answered(new TextDecoder().decode(packet.properties?.correlationData ?? new Uint8Array()), parse(text));
    });
    client.on("error", () => {
      /* What it means is in the packet; without one the connection closes, which is told below. */
    });
    client.on("close", () => {
      if (client !== this.client) return;
      this.gone(ending ?? { next: "retry", text: this.wasOnline ? "The connection to the broker was lost." : unreachable(this.site.url) });
    });
  }

  private arrived(client: MqttClient, login: Login): void {
    const user = login.kind === "anonymous" ? "no login" : login.user;
    // The inbox first: answers to requests come there.
    const denied: Denied[] = [];
    const answers = this.site.inboxPrefix + this.id;
    const subscribe = (topics: string[], then: () => void): void => {
      const granted = (packet: Packet): void => {
        if (packet.cmd !== "suback") return;
        client.off("packetreceive", granted);
        packet.granted.forEach((code, index) => {
          if (typeof code === "number" && code >= 0x80)
            denied.push({ topic: topics[index] ?? "", code, why: packet.properties?.reasonString });
        });
        then();
      };
      client.on("packetreceive", granted);
      client.subscribe(topics, { qos: 0 }, () => {
        /* The codes are read above. */
      });
    };
    subscribe([answers], () => {
      subscribe(TOPICS, () => {
        if (client !== this.client) return;
        this.wasOnline = true;
        this.attempt = 0;
        this.phase.set({ name: "online", clientId: this.id, user, denied });
      });
    });
  }

  private gone(ending: Ending): void {
    const first = !this.wasOnline;
    this.close();
    if (ending.next === "login" || first) {
      this.phase.set({ name: "signed-out", error: ending.text });
    } else if (ending.next === "stop") {
      this.phase.set({ name: "stopped", why: ending.text });
    } else {
      const wait = backoffMs(Math.max(1, this.attempt), Math.random());
      this.phase.set({ name: "waiting", why: ending.text, until: Date.now() + wait });
      this.timer = setTimeout(() => {
        this.connect(ending.text);
      }, wait);
    }
  }

  private close(): void {
    clearTimeout(this.timer);
    const client = this.client;
    this.client = undefined;
    client?.end(true);
    this.requests.lost();
  }

  private publish(command: string, payload: string, correlation: string): boolean {
    const { client } = this;
    if (!client || this.phase.value.name !== "online") return false;
    const properties = {
      responseTopic: this.site.inboxPrefix + this.id,
      // MQTT.js brings a Buffer of its own, which is a Uint8Array; its types name Node's.
      correlationData: new TextEncoder().encode(correlation) as NonNullable<
        NonNullable<Parameters<MqttClient["publish"]>[2]>["properties"]
      >["correlationData"] &
        Uint8Array,
      contentType: "application/json",
    };
    client.publish(`${BOARD}api/${command}`, payload, { qos: 0, properties });
    return true;
  }
}

function options(login: Login, id: string): IClientOptions {
  const credentials =
    login.kind === "anonymous" ? {} : { username: login.user, password: login.kind === "token" ? login.token : login.password };
  return {
    ...credentials,
    protocolVersion: 5,
    clientId: id,
    clean: true,
    keepalive: 60,
    connectTimeout: 10_000,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    // Timers of MQTT.js would run in a worker made from a blob: address, which the Content-Security-Policy forbids.
    timerVariant: "native",
  };
}

function unreachable(url: string): string {
  return `The broker does not answer at ${url}. Look whether it runs, whether a proxy in front of it passes on WebSocket, and whether its origins allow this page.`;
}
