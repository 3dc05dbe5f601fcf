import { describe, expect, test } from "vitest";
import { compareBytes } from "../../../src/bytes.js";
import { parseContext, readContext, serializeContext } from "../../../src/message/context.js";
import { forgeContext } from "../../forge.js";
import { expectBytes, expectCode, hex } from "../../kit.js";

describe("the wire form", () => {
  test("no pairs are no bytes", () => {
    expect(serializeContext({})).toHaveLength(0);
    expect(Object.keys(parseContext(new Uint8Array(0), 0))).toEqual([]);
  });

  test("count, then pairs sorted by the unsigned bytes of the UTF-8 key", () => {
    expectBytes(serializeContext({ b: "2", a: "1" }), hex("0002 0001 61 0001 31 0001 62 0001 32".replaceAll(" ", "")));
    // U+10000 sorts behind U+E000 in UTF-8, before it in UTF-16; "Z" before "a"; a prefix before what extends it.
    const keys = ["\u{10000}", "\ue000", "a", "Z", "aa", "\u007f", "\u0080", ""];
    const context = readContext(Object.fromEntries(keys.map((key) => [key, key])));
    const order = Object.keys(parseContext(serializeContext(context), 0));
    expect(order).toEqual(["", "Z", "a", "aa", "\u007f", "\u0080", "\ue000", "\u{10000}"]);
    const bytes = order.map((key) => new TextEncoder().encode(key));
    expect([...bytes].sort(compareBytes)).toEqual(bytes);
  });

  test("an order of another writer's is read as it is", () => {
    expect(
      Object.entries(
        parseContext(
          forgeContext([
            ["b", "2"],
            ["a", "1"],
          ]),
          0,
        ),
      ),
    ).toEqual([
      ["b", "2"],
      ["a", "1"],
    ]);
  });

  test("a byte-order mark belongs to the text", () => {
    const context = { "\ufeffk": "\ufeffv" };
    expect({ ...parseContext(serializeContext(context), 0) }).toEqual(context);
  });

  test.each<[string, string, number]>([
    ["a count without pairs", "0000", 0],
    ["one byte", "00", 0],
    ["a pair too few", "0002 0001 61 0001 31", 8],
    ["a pair too many", "0001 0001 61 0001 31 0001 62 0001 32", 8],
    ["a byte too many", "0001 0001 61 0001 31 00", 8],
    ["a key longer than what is there", "0001 ffff 61", 2],
    ["a value longer than what is there", "0001 0001 61 0002 31", 5],
    ["a key twice", "0002 0001 61 0001 31 0001 61 0001 32", 8],
    ["a key of no UTF-8", "0001 0001 ff 0001 31", 4],
    ["a value of no UTF-8", "0001 0001 61 0001 c0", 7],
    ["a surrogate in UTF-8", "0001 0003 eda080 0001 31", 4],
    ["an overlong zero", "0001 0002 c080 0001 31", 4],
  ])("%s: ERR_FORMAT, with the offset", async (_what, bytes, offset) => {
    const error = await expectCode(() => parseContext(hex(bytes.replaceAll(" ", "")), 100), "ERR_FORMAT");
    expect(error.offset).toBe(100 + offset);
  });

  test("8000 pairs parse", () => {
    const pairs = Array.from({ length: 8000 }, (_, i) => [`${i}`, ""] as const);
    expect(Object.keys(parseContext(forgeContext(pairs), 0))).toHaveLength(8000);
  });
});
