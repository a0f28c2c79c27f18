/** Reads JSON that came from outside: what is missing or of another type is `undefined`, and never throws. */

export type Json = Record<string, unknown>;

export function object(value: unknown): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function num(from: Json | undefined, key: string): number | undefined {
  const value = from?.[key];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function str(from: Json | undefined, key: string): string | undefined {
  const value = from?.[key];
  return typeof value === "string" ? value : undefined;
}

export function bool(from: Json | undefined, key: string): boolean {
  return from?.[key] === true;
}

export function at(from: Json | undefined, key: string): Json | undefined {
  return object(from?.[key]);
}

/** The members of a list that `each` can read. */
export function list<T>(from: Json | undefined, key: string, each: (member: Json) => T | undefined): T[] {
  const value = from?.[key];
  if (!Array.isArray(value)) return [];
  return value
    .map((member) => object(member))
    .flatMap((member) => (member ? [each(member)] : []))
    .filter((member) => member !== undefined);
}

/** The numbers of an object, by name. */
export function numbers(from: Json | undefined): [string, number][] {
  return Object.entries(from ?? {}).filter((entry): entry is [string, number] => typeof entry[1] === "number" && Number.isFinite(entry[1]));
}
