// Goal: numbers, sizes and times read as a person writes them, at every size.
import { describe, expect, test } from "vitest";
import * as format from "../../src/model/format";

describe("sizes and times", () => {
  test.each([
    [0, "0 sessions"],
    [1, "1 session"],
    [2_000, "2,000 sessions"],
    [1_200_000, "1.2 M sessions"],
    [undefined, "– sessions"],
  ])("%s sessions", (value, shown) => {
    expect(format.counted(value, "session", "sessions")).toBe(shown);
  });

  test.each([
    [undefined, "–"],
    [0, "0 B"],
    [1023, "1,023 B"],
    [1024, "1 KiB"],
    [1_536, "1.5 KiB"],
    [212_340_711_424, "198 GiB"],
  ])("%s bytes", (value, shown) => {
    expect(format.bytes(value)).toBe(shown);
  });

  test.each([
    [0, "0 µs"],
    [840, "840 µs"],
    [1_240, "1.2 ms"],
    [999_900, "1,000 ms"],
    [3_400_000, "3.4 s"],
    [7_200e6, "2 h"],
  ])("%s microseconds", (value, shown) => {
    expect(format.micros(value)).toBe(shown);
  });

  test.each([
    [0, "0 s"],
    [59.9, "59 s"],
    [61, "1 min 1 s"],
    [3_600, "1 h"],
    [273_912, "3 d 4 h"],
    [-5, "0 s"],
  ])("%s seconds", (value, shown) => {
    expect(format.seconds(value)).toBe(shown);
  });

  test("ages", () => {
    expect(format.ago(1_000_000, 181_000_000)).toBe("3 min ago");
    expect(format.ago(5, 4)).toBe("just now");
    expect(format.ago(undefined, 4)).toBe("–");
  });

  test("a time that no calendar has is no error", () => {
    expect(format.iso(1e20)).toBe("");
    expect(format.time(1e20, 0)).toBe("–");
  });
});

test.each([
  [0, "0 /s"],
  [0.04, "0.04 /s"],
  [3.257, "3.3 /s"],
  [9_162.4, "9,162 /s"],
  [1_234_567, "1.2 M /s"],
])("a rate of %s", (value, shown) => {
  expect(format.rate(value)).toBe(shown);
});

test("a hex dump shows offsets, bytes and what is printable", () => {
  expect(format.hexDump(format.hexOf("hello, world! 0123"))).toBe(
    "000000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 20 30 31  hello, world! 01\n" +
      "000010  32 33                                             23",
  );
  expect(format.hexDump("00ff")).toContain("··");
});
