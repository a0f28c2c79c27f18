/**
 * Names as they may be shown. A client ID can hold anything: what has no shape of its own (control characters, marks that turn the
 * direction of writing, spaces without width) is shown as an escape, so that two different names never look the same.
 */

// A joiner inside an emoji of several parts is what makes it one, and stays.
const UNSEEN =
  /(?<!\p{Extended_Pictographic}[\uFE0F\u{1F3FB}-\u{1F3FF}]?)\u200D|\u200D(?!\p{Extended_Pictographic})|[\p{Cc}\p{Cs}\u00AD\u061C\u180E\u200B\u200C\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0" };

function escape(character: string): string {
  return SHORT[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

interface Piece {
  text: string;
  isEscape: boolean;
}

/** The name in pieces: what is shown as it is, and escapes. */
export function pieces(name: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const match of name.matchAll(UNSEEN)) {
    if (match.index > end) found.push({ text: name.slice(end, match.index), isEscape: false });
    found.push({ text: escape(match[0]), isEscape: true });
    end = match.index + match[0].length;
  }
  if (end < name.length) found.push({ text: name.slice(end), isEscape: false });
  return found;
}

/** The name with escapes, as text. */
export function visible(name: string): string {
  return pieces(name)
    .map((piece) => piece.text)
    .join("");
}

/** A text of several lines with escapes; its line feeds and tabs stay. */
export function visibleText(text: string): string {
  return text.replaceAll(UNSEEN, (character) => (character === "\n" || character === "\t" ? character : escape(character)));
}

/** Whether somebody who was asked to type the name typed it. What cannot be typed may be typed as it is shown. */
export function isTyped(name: string, typed: string): boolean {
  return typed === name || typed === visible(name) || (typed !== "" && typed.trim() === visible(name).trim());
}

/** A name for a file, from a client ID. */
export function fileName(name: string): string {
  const safe = name.replaceAll(/[^\p{L}\p{N}._~-]+/gu, "_").slice(0, 60);
  return safe.replaceAll(/^[._]+/g, "") || "inbox";
}
