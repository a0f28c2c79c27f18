/**
 * One connection to the broker, over MQTT.js: the only file that names it.
 *
 * A connection has a client of MQTT.js of its own, which is thrown away with it: MQTT.js neither reconnects nor sends anything again, because the
 * outbox does.
 */

import mqtt, { type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient, type Packet as MqttPacket } from "mqtt";

import type { Message, Property } from "./message.js";
import { inboxOf, type Settings } from "./options.js";
import type { Answered, Lost, Opened, Packet } from "./packet.js";
import { first } from "./packet.js";
import { ERROR_LEAST, explainConnect } from "./reasons.js";

const PUBACK = 0x40;
const GOODBYE_MS = 2_000;
/** Codes of Node's for certificates that do not prove what they should. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY|ERR_TLS_CERT/;

/** Who is told what happens on a connection. */
export interface LinkEvents {
  /** Before the first packet can come. */
  opened(opened: Opened): void;
  arrived(packet: Packet): void;
  answered(answered: Answered): void;
  /** Anything came. */
  heard(): void;
  /** Anything was written. */
  sent(): void;
}

/** A connection from CONNECT to its end. */
export class Link {
  /** Resolves when it has ended. */
  readonly lost: Promise<Lost>;
  private readonly client: MqttClient;
  private readonly ready: Promise<Opened | Lost>;
  private ended: Lost | undefined;
  private trouble = "";
  private tellLost!: (lost: Lost) => void;
  private tellReady!: (opened: Opened) => void;
  private opened: Opened | undefined;

  constructor(
    private readonly settings: Settings,
    keepAliveMs: number,
    private readonly events: LinkEvents,
  ) {
    this.lost = new Promise((resolve) => (this.tellLost = resolve));
    this.ready = Promise.race([this.lost, new Promise<Opened>((resolve) => (this.tellReady = resolve))]);
    this.client = mqtt.connect(settings.url, clientOptions(settings, keepAliveMs));
    this.client.handleMessage = (packet, done) => {
      if (!this.ended) this.events.arrived(packetOf(packet));
      // An error keeps MQTT.js from acknowledging by itself, and from nothing else: it goes on with the next packet.
      done(packet.qos === 1 ? new Error("the application acknowledges") : undefined);
    };
    this.client.on("packetreceive", (packet) => this.received(packet));
    this.client.on("packetsend", () => this.events.sent());
    this.client.on("connect", (connack) => this.connected(connack.properties));
    this.client.on("error", (error) => this.failed(error));
    this.client.on("close", () => this.end({ why: `the connection was lost: ${this.trouble || "closed"}` }));
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.ended !== undefined;
  }

  /** Connects and subscribes to the own inbox; tells why, where that is not possible. */
  async open(): Promise<Opened | Lost> {
    const timer = setTimeout(() => this.drop("the broker did not answer in time"), this.settings.connectTimeoutMs);
    try {
      return await this.ready;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a message, and tells its packet identifier. */
  publish(message: Message, properties: readonly Property[], expiryS: number | undefined, reply: string | undefined): number {
    this.client.publish(
      message.topic,
      message.payload as Buffer,
      {
        qos: 1,
        properties: {
          // An empty object would be a packet that no broker can read.
          ...(properties.length > 0 && { userProperties: grouped(properties) }),
          ...(message.contentType !== undefined && { contentType: message.contentType }),
          ...(expiryS !== undefined && { messageExpiryInterval: expiryS }),
          ...(reply !== undefined && { responseTopic: reply }),
        },
      },
      // Answers are taken from the packets; what fails with the connection is the outbox's.
      () => undefined,
    );
    return this.client.getLastMessageId();
  }

  /** Sends PUBACK. MQTT.js sends none later than its own, so the packet is made here. */
  answer(packetId: number, code: number): void {
    const identifier = [packetId >> 8, packetId & 0xff];
    const packet = code === 0 ? [PUBACK, 2, ...identifier] : [PUBACK, 3, ...identifier, code];
    if (this.ended) return;
    this.client.stream.write(Uint8Array.from(packet));
    this.events.sent();
  }

  /** Sends PINGREQ: earlier than MQTT.js would by its clock, which knows one interval for good. */
  ask(): void {
    if (!this.ended) this.client.sendPing();
  }

  /** Cuts the connection without a goodbye. */
  drop(why: string): void {
    this.end({ why });
  }

  /** Says goodbye; a link that takes nothing more is cut. */
  async close(): Promise<void> {
    if (this.ended) return;
    const timer = setTimeout(() => this.drop("closed"), GOODBYE_MS);
    await Promise.race([this.client.endAsync(), this.lost]);
    clearTimeout(timer);
    this.drop("closed");
  }

  /** The end follows; that of a certificate is told here, because trying again would not mend it. */
  private failed(error: Error & { code?: unknown }): void {
    this.trouble = error.message;
    if (CERTIFICATE.test(String(error.code))) this.end({ why: `the broker's certificate is not trusted: ${error.message}`, isFinal: true });
  }

  private received(packet: MqttPacket): void {
    if (this.ended) return;
    this.events.heard();
    switch (packet.cmd) {
      case "connack":
        if ((packet.reasonCode ?? 0) >= ERROR_LEAST) this.end(refused(packet.reasonCode ?? 0, packet.properties?.reasonString));
        return;
      case "suback":
        return this.granted(Number(packet.granted[0]));
      case "puback":
        return this.events.answered({
          packetId: packet.messageId ?? 0,
          code: packet.reasonCode ?? 0,
          reason: packet.properties?.reasonString,
          properties: pairs(packet.properties?.userProperties),
        });
      case "disconnect":
        return this.end(refused(packet.reasonCode ?? 0, packet.properties?.reasonString));
    }
  }

  private connected(properties: IConnackPacket["properties"]): void {
    if (this.ended) return;
    const epoch = first({ properties: pairs(properties?.userProperties) }, "epoch");
    this.opened = { epoch, receiveMaximum: properties?.receiveMaximum ?? 65_535, keepAliveS: properties?.serverKeepAlive };
    this.events.opened(this.opened);
    this.client.subscribe(inboxOf(this.settings, this.settings.clientId), { qos: 1 }, () => undefined);
  }

  private granted(code: number): void {
    if (code >= ERROR_LEAST) this.end({ why: `the own inbox cannot be read: ${explainConnect(code)}`, code });
    else if (this.opened) this.tellReady(this.opened);
  }

  private end(lost: Lost): void {
    if (this.ended) return;
    this.ended = lost;
    this.tellLost(lost);
    this.client.end(true);
    this.client.stream?.destroy();
  }
}

type Grouped = Record<string, string | string[]>;

function clientOptions(settings: Settings, keepAliveMs: number): IClientOptions {
  return {
    protocolVersion: 5,
    clientId: settings.clientId,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    connectTimeout: settings.connectTimeoutMs,
    keepalive: Math.ceil(keepAliveMs / 1000),
    properties: { receiveMaximum: settings.window },
    ...(settings.username !== undefined && { username: settings.username }),
    ...(settings.password !== undefined && { password: settings.password }),
    ...(settings.ca !== undefined && { ca: settings.ca }),
  };
}

function refused(code: number, reason: string | undefined): Lost {
  return { why: explainConnect(code, reason), code };
}

function packetOf(packet: IPublishPacket): Packet {
  const { topic, payload, messageId, qos, retain, properties } = packet;
  return {
    topic,
    payload: typeof payload === "string" ? new TextEncoder().encode(payload) : new Uint8Array(payload),
    packetId: messageId ?? 0,
    qos,
    retain,
    properties: pairs(properties?.userProperties),
    contentType: properties?.contentType,
  };
}

/** MQTT.js has user properties of one name together. */
function pairs(grouped: Grouped | null | undefined): Property[] {
  const entries = Object.entries(grouped ?? {});
  return entries.flatMap(([name, values]) => (Array.isArray(values) ? values : [values]).map((value): Property => [name, value]));
}

function grouped(properties: readonly Property[]): Grouped {
  const found: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of properties) (found[name] ??= []).push(value);
  return found;
}
