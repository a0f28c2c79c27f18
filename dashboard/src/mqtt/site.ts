/** `/dashboard.json`: where the broker is, and whether it asks for a login. */
import { bool, num, object, str } from "../model/json";

export interface Site {
  url: string;
  inboxPrefix: string;
  anonymous: boolean;
  version: string;
}

/** Why there is no dashboard: a title, and what to do. */
export class NoSite extends Error {
  constructor(
    readonly title: string,
    message: string,
  ) {
    super(message);
  }
}

export async function findSite(): Promise<Site> {
  const answer = await fetch("dashboard.json", { cache: "no-store" }).catch((error: unknown) => error);
  if (answer instanceof Response && answer.ok) return site(await answer.json().catch(() => undefined), location.href);
  const why = answer instanceof Response ? `it was answered with ${String(answer.status)}` : String(answer);
  throw new NoSite(
    "The broker's web port does not answer as it should",
    `Look whether inboxd runs, and whether a proxy in front of it passes on /dashboard.json (${why}).`,
  );
}

/** What the answer says, for a page at `here`. */
export function site(answer: unknown, here: string): Site {
  const from = object(answer);
  const path = str(from, "mqtt_path");
  if (path === undefined) {
    throw new NoSite(
      "This broker serves no MQTT over WebSocket",
      "The dashboard gets all its figures over it. Turn it on in [http], and start the broker again.",
    );
  }
  const url = new URL(path, here);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  const port = num(from, "mqtt_port");
  if (port !== undefined) url.port = String(port);
  return {
    url: url.href,
    inboxPrefix: str(from, "inbox_prefix") ?? "",
    anonymous: bool(from, "anonymous"),
    version: str(from, "version") ?? "",
  };
}
