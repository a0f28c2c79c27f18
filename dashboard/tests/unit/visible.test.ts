// Goal: whatever a client ID holds, two different names never look alike, and none steers the page.
import { expect, test } from "vitest";
import { fileName, isTyped, pieces, visible, visibleText } from "../../src/model/visible";

test.each([
  ["bob~phone", "bob~phone"],
  ["two\nlines\r\t\0", "two\\nlines\\r\\t\\0"],
  ["\u202Egnp.exe", "\\u{202e}gnp.exe"],
  ["zero\u200Bwidth", "zero\\u{200b}width"],
  ["\u001b[31m", "\\u{1b}[31m"],
  ["half \uD83D", "half \\u{d83d}"],
  ["<script>", "<script>"],
])("%j is shown as %s", (name, shown) => {
  expect(visible(name)).toBe(shown);
});

test("an emoji of several parts stays whole, and a joiner elsewhere is seen", () => {
  expect(visible("👨‍👩‍👧 👩🏽‍💻")).toBe("👨‍👩‍👧 👩🏽‍💻");
  expect(visible("a\u200Db")).toBe("a\\u{200d}b");
  expect(visible("😀".repeat(128))).toBe("😀".repeat(128));
});

test("escapes are told apart from the same text", () => {
  expect(pieces("a\nb")).toEqual([
    { text: "a", isEscape: false },
    { text: "\\n", isEscape: true },
    { text: "b", isEscape: false },
  ]);
  expect(pieces("a\\nb")).toEqual([{ text: "a\\nb", isEscape: false }]);
  expect(pieces("")).toEqual([]);
});

test("a text keeps its lines", () => {
  expect(visibleText("a\n\tb\u0007")).toBe("a\n\tb\\u{7}");
});

test("a confirmation is the name, or the name as it is shown", () => {
  expect(isTyped("bob", "bob")).toBe(true);
  expect(isTyped("bob", "Bob")).toBe(false);
  expect(isTyped("bob", "")).toBe(false);
  expect(isTyped("a\nb", "a\\nb")).toBe(true);
  expect(isTyped("  bob ", "bob")).toBe(true);
});

test("a file gets a name that every system takes", () => {
  expect(fileName("../../etc/passwd")).toBe("etc_passwd");
  expect(fileName("bob~phone")).toBe("bob~phone");
  expect(fileName("\n")).toBe("inbox");
  expect(fileName("é".repeat(600))).toHaveLength(60);
});
