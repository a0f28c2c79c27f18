/** What reason codes of MQTT 5 mean to a person at this page, and what follows from them. */
import { visible } from "../model/visible";

export interface Ending {
  /** `login`: ask for the login again. `stop`: somebody else is meant to go on. `retry`: connect again after a while. */
  next: "login" | "stop" | "retry";
  text: string;
}

const because = (reason: string | undefined): string =>
  reason ? ` The broker says: ${visible(reason)}${/[.!?]$/.test(reason) ? "" : "."}` : "";

/** CONNACK with a code of 0x80 or more. */
export function refusedLogin(code: number, reason: string | undefined, clientId: string): Ending {
  switch (code) {
    case 0x86:
      return {
        next: "login",
        text: `The broker does not accept this login: the user name, password or token is wrong, or the token is no longer valid.${because(reason)}`,
      };
    case 0x87:
      return {
        next: "login",
        text: `This login may not connect as ${clientId}. Log in with a user name that the broker knows.${because(reason)}`,
      };
    case 0x85:
      return { next: "login", text: `The broker does not accept the client ID ${clientId}.${because(reason)}` };
    case 0x8c:
      return { next: "login", text: `The broker does not know this way of logging in.${because(reason)}` };
    case 0x88:
      return { next: "retry", text: `The broker cannot check logins at the moment.${because(reason)}` };
    case 0x97:
    case 0x9f:
      return { next: "retry", text: `The broker takes no more connections like this one just now.${because(reason)}` };
    default:
      return { next: "retry", text: `The broker refused the connection (${hex(code)}).${because(reason)}` };
  }
}

/** DISCONNECT from the broker. */
export function ended(code: number, reason: string | undefined): Ending {
  switch (code) {
    case 0x8e:
      return { next: "stop", text: "Another connection took over this page's client ID." };
    case 0x98:
      return { next: "stop", text: `An operator ended this connection.${because(reason)}` };
    case 0xa0:
      return { next: "login", text: "The token has expired. Log in with a fresh one." };
    case 0x87:
      return { next: "login", text: `This login may not be connected any more.${because(reason)}` };
    case 0x8b:
      return { next: "retry", text: "The broker is shutting down or restarting." };
    case 0x8d:
      return { next: "retry", text: "The broker heard nothing from this page for too long." };
    default:
      return { next: "retry", text: `The broker ended the connection (${hex(code)}).${because(reason)}` };
  }
}

export function hex(code: number): string {
  return `0x${code.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** How long to wait before connection attempt `attempt` (from 1), in milliseconds: doubling up to 15 s; `chance` (0..1) spreads many pages. */
export function backoffMs(attempt: number, chance: number): number {
  return Math.round(Math.min(15_000, 500 * 2 ** (attempt - 1)) * (0.75 + 0.5 * chance));
}
