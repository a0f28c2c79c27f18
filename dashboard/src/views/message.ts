/** One message that waits, as `inbox/peek` tells it. Its payload is somebody else's: it is shown as text or as bytes, and never as a page. */
import type { Message } from "../model/contract";
import * as format from "../model/format";
import { visibleText } from "../model/visible";
import { parse } from "../model/json";
import { h, name, type Child } from "../ui/dom";
import { facts, named, segments } from "../ui/parts";

export function messageItem(message: Message, now: number): HTMLElement {
  const expires = message.expiresAt === undefined ? undefined : `expires in ${format.seconds((message.expiresAt - now) / 1e6)}`;
  const body = h("div", { class: "message-body" });
  const details = h(
    "details",
    { class: "message" },
    h(
      "summary",
      {},
      h("span", { class: "message-at", title: format.iso(message.at) }, format.time(message.at, now)),
      h("span", { class: "message-from" }, name(message.from)),
      h("span", { class: "message-text mono" }, excerpt(message)),
      h("span", { class: "message-size number" }, format.bytes(message.payloadBytes)),
    ),
    body,
  );
  // A message of a kilobyte has many nodes as a dump: it is made when it is looked at.
  details.addEventListener("toggle", () => {
    if (!details.open || body.childElementCount > 0) return;
    body.append(
      facts([
        ["Sequence number", String(message.seq)],
        ["id", named(message.id)],
        ["Accepted", format.iso(message.at)],
        ["QoS", message.qos],
        ["Size in the inbox", message.bytes === message.payloadBytes ? undefined : format.bytes(message.bytes)],
        ["Expiry", expires],
        ["Content type", named(message.contentType)],
        ["Response topic", named(message.responseTopic)],
        ["Correlation data", message.correlationDataHex],
        ...message.userProperties.map(([key, value]): [Child, Child] => [h("span", {}, "Property ", name(key)), name(value)]),
      ]),
      payload(message),
    );
  });
  return details;
}

function excerpt({ payload: held, payloadBytes }: Message): Child {
  if (payloadBytes === 0) return h("span", { class: "faint" }, "(empty)");
  if ("hex" in held) return h("span", { class: "faint" }, (held.hex.slice(0, 64).match(/../g) ?? []).join(" "));
  return visibleText(held.text.slice(0, 160)).replaceAll(/\s+/g, " ");
}

function payload(message: Message): HTMLElement {
  const { payload: held } = message;
  const hex = "hex" in held ? held.hex : format.hexOf(held.text);
  const shown = h("pre", { class: "payload mono", tabindex: 0 });
  const ways: [string, () => string][] = [];
  if ("text" in held) {
    ways.push(["Text", () => visibleText(held.text)]);
    const json = /^\s*[[{]/.test(held.text) ? parse(held.text) : undefined;
    if (json !== undefined) ways.push(["JSON", () => visibleText(JSON.stringify(json, null, 2))]);
  }
  ways.push(["Hex", () => format.hexDump(hex)]);
  const choice = segments(
    "Payload as",
    ways.map(([label]) => label),
    0,
    (index) => {
      shown.textContent = ways[index]?.[1]() ?? "";
    },
  );
  shown.textContent = message.payloadBytes === 0 ? "" : (ways[0]?.[1]() ?? "");
  const size = message.truncated
    ? `the first ${format.count(hex.length / 2)} of ${format.count(message.payloadBytes)} bytes; an export has them all`
    : format.bytes(message.payloadBytes);
  return h(
    "div",
    { class: "payload-box" },
    h("div", { class: "card-head" }, h("span", { class: "faint" }, `Payload, ${size}`), choice),
    shown,
  );
}
