/** Another client of the broker, for something to look at: it sends mail over the same WebSocket. */
import mqtt, { type MqttClient } from "mqtt";
import { password, user, type Site } from "./site";

export interface Peer {
  client: MqttClient;
  id: string;
  inboxTopic: (client: string) => string;
}

/** A client ID that the user of these tests may use. */
export function ownName(what: string): string {
  const name = `${what}-${Math.random().toString(36).slice(2, 8)}`;
  return user === undefined ? name : `${user}~${name}`;
}

export async function connectPeer(site: Site): Promise<Peer> {
  const about = (await (await fetch(`${site.url}dashboard.json`)).json()) as { inbox_prefix: string; mqtt_path: string };
  const url = new URL(about.mqtt_path, site.url);
  url.protocol = url.protocol.replace("http", "ws");
  const id = ownName("e2e-peer");
  const login = user === undefined ? {} : { username: user, password };
  const client = await mqtt.connectAsync(url.href, { ...login, clientId: id, protocolVersion: 5, reconnectPeriod: 0 });
  return { client, id, inboxTopic: (name) => about.inbox_prefix + name };
}
