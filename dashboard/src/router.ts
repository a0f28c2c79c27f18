/** Routes in the fragment of the address: `#/inbox/NAME`, `#/inboxes?prefix=a`. */

export interface Route {
  page: string;
  /** What follows the page: a client ID. */
  name: string;
  query: URLSearchParams;
}

export function route(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const slash = path.indexOf("/");
  const page = slash < 0 ? path : path.slice(0, slash);
  return { page: page || "overview", name: decode(slash < 0 ? "" : path.slice(slash + 1)), query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Half of a surrogate pair has no encoding: it becomes U+FFFD instead of an error. */
const encode = (text: string): string => encodeURIComponent(text.toWellFormed());

export const toInbox = (client: string): string => `#/inbox/${encode(client)}`;

export function to(page: string, query: Record<string, string> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== "");
  return `#/${page}${given.length > 0 ? `?${given.map(([key, value]) => `${key}=${encode(value)}`).join("&")}` : ""}`;
}
