/** How an operator logs in: the credentials of CONNECT, and the client ID that goes with them. */
import { object, parse, str } from "../model/json";

export type Login =
  { kind: "password"; user: string; password: string } | { kind: "token"; user: string; token: string } | { kind: "anonymous" };

/** The user that a token names in `sub`: what stands before the `~` of the client ID. Nothing is verified here: that is the broker's. */
export function userOfToken(token: string): string | undefined {
  const body = token.split(".")[1];
  if (body === undefined) return undefined;
  try {
    const bytes = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
    return str(object(parse(new TextDecoder().decode(bytes))), "sub");
  } catch {
    return undefined;
  }
}

/** A client ID of the user's own, new for each login, so that two pages do not take over each other. */
export function clientId(login: Login, random: string): string {
  return login.kind === "anonymous" ? `dashboard-${random}` : `${login.user}~dashboard-${random}`;
}

export function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(5)), (byte) => (byte % 36).toString(36)).join("");
}

const KEY = "inboxd-login";
const SIGNED_OUT = "inboxd-signed-out";

/** Kept only where the operator asked for it, and only for this tab. */
export function remember(login: Login): void {
  sessionStorage.setItem(KEY, JSON.stringify(login));
}

export function forgetLogin(): void {
  sessionStorage.removeItem(KEY);
}

export function remembered(): Login | undefined {
  const from = object(parse(sessionStorage.getItem(KEY) ?? ""));
  const user = str(from, "user") ?? "";
  const password = str(from, "password");
  const token = str(from, "token");
  if (password !== undefined) return { kind: "password", user, password };
  return token === undefined ? undefined : { kind: "token", user, token };
}

/** After signing out, a page that needs no login asks all the same. */
export function setSignedOut(isOut: boolean): void {
  if (isOut) sessionStorage.setItem(SIGNED_OUT, "1");
  else sessionStorage.removeItem(SIGNED_OUT);
}

export function isSignedOut(): boolean {
  return sessionStorage.getItem(SIGNED_OUT) !== null;
}
