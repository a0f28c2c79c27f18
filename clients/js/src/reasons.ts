/** What the broker's reason codes mean for a client: try again, or give up, and what to tell. */

export const ERROR_LEAST = 0x80;
export const TAKEN_OVER = 0x8e;
export const PACKET_TOO_LARGE = 0x95;

const publishFinal = new Map([
  [0x10, "nobody is subscribed there, and this broker keeps no mail for those who are away"],
  [0x87, "not authorized to publish there"],
  [0x90, "there can be no such inbox"],
  [PACKET_TOO_LARGE, "the message is too large for the broker"],
  [0x99, "the broker cannot accept the request, or the id was used with another payload"],
]);

const connectFinal = new Map([
  [0x81, "malformed packet"],
  [0x82, "protocol error"],
  [0x84, "the broker does not speak MQTT 5"],
  [0x85, "the client ID is not valid"],
  [0x86, "the user name or the password is wrong"],
  [0x87, "not authorized to connect"],
  [0x8a, "banned"],
  [0x8c, "bad authentication method"],
  [TAKEN_OVER, "another connection uses this client ID now"],
  [0x9c, "use another server"],
  [0x9d, "the server moved"],
]);

const passing = new Map([
  [0x83, "the broker's store is in trouble"],
  [0x88, "the server is unavailable"],
  [0x89, "the server is busy"],
  [0x8b, "the server is shutting down"],
  [0x8d, "keep alive timeout"],
  [0x97, "quota exceeded"],
  [0x98, "an operator ended the connection"],
  [0x9f, "too many connections at once"],
  [0xa0, "the credentials have expired"],
]);

/** Whether sending the same again would be refused again. */
export function publishIsFinal(code: number): boolean {
  return publishFinal.has(code);
}

/** Whether connecting again would be refused again, from CONNACK, SUBACK and DISCONNECT. */
export function connectIsFinal(code: number): boolean {
  return connectFinal.has(code);
}

/** The broker's own words, or ours, for a refused publish. */
export function explainPublish(code: number, reason?: string): string {
  return words(reason || publishFinal.get(code) || passing.get(code), code);
}

/** The broker's own words, or ours, for an end of a connection. */
export function explainConnect(code: number, reason?: string): string {
  return words(reason || connectFinal.get(code) || passing.get(code), code);
}

/** A code as people write it. */
export function shown(code: number): string {
  return `0x${code.toString(16).toUpperCase().padStart(2, "0")}`;
}

function words(text: string | undefined, code: number): string {
  return `${text ?? "refused"} (${shown(code)})`;
}
