import { describe, expect, test } from "vitest";
import { concat, u16, u32, u64 } from "../../../src/bytes.js";
import { flag, id, listOf, oneOf, pairs, text, uint32, uint64 } from "../../../src/kms/codecs.js";
import { ALIAS, KEY, TENANT } from "../../../src/kms/fields.js";
import { decodeRecord, encodeRecord, type RecordBody } from "../../../src/kms/record.js";

const fill = (n: number) => new Uint8Array(16).fill(n);
const record: RecordBody = {
  type: 4,
  storeId: fill(1),
  tenantId: fill(2),
  recordId: fill(3),
  revision: 5,
  fields: new Map([
    [1, new Uint8Array([0xaa])],
    [300, new Uint8Array(0)],
  ]),
};
const bytes = encodeRecord(record);

describe("the body of a sealed record (ladder, section A)", () => {
  test("has the documented bytes, whatever the order of its fields", () => {
    const expected = concat(
      new TextEncoder().encode("KLR"),
      new Uint8Array([1, 4]),
      fill(1),
      fill(2),
      fill(3),
      u64(5),
      u16(2),
      u16(1),
      u32(1),
      new Uint8Array([0xaa]),
      u16(300),
      u32(0),
    );
    expect(bytes).toEqual(expected);
    expect(encodeRecord({ ...record, fields: new Map([...record.fields].reverse()) })).toEqual(expected);
    expect(decodeRecord(bytes)).toEqual(record);
  });

  test("is refused cut at every byte, and with a byte more", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRecord(bytes.slice(0, length))).toThrow(expect.objectContaining({ code: "ERR_FORMAT" }));
    }
    expect(() => decodeRecord(concat(bytes, new Uint8Array(1)))).toThrow(
      expect.objectContaining({ code: "ERR_FORMAT" }),
    );
  });

  test("every other value of the first four bytes is refused", () => {
    for (let at = 0; at < 4; at++) {
      const other = bytes.slice();
      other[at] = (other[at] as number) + 1;
      const code = at === 3 ? "ERR_UNSUPPORTED_VERSION" : "ERR_FORMAT";
      expect(() => decodeRecord(other)).toThrow(expect.objectContaining({ code }));
    }
  });

  test.each([
    ["unordered", [2, 1]],
    ["repeated", [1, 1]],
  ])("%s tags are refused", (_, tags) => {
    const head = bytes.slice(0, 63);
    const body = concat(head, ...tags.flatMap((tag) => [u16(tag), u32(0)]));
    expect(() => decodeRecord(body)).toThrow(expect.objectContaining({ code: "ERR_FORMAT" }));
  });

  test.each([0n, 2n ** 53n, 2n ** 64n - 1n])("revision %d is refused", (revision) => {
    const other = bytes.slice();
    other.set(u64(revision), 53);
    expect(() => decodeRecord(other)).toThrow(expect.objectContaining({ code: "ERR_FORMAT" }));
  });

  test("a length field at its maximum allocates nothing", () => {
    const other = bytes.slice();
    other.fill(0xff, 65, 69);
    expect(() => decodeRecord(other)).toThrow(expect.objectContaining({ code: "ERR_FORMAT" }));
  });
});

describe("fields", () => {
  const malformed = expect.objectContaining({ code: "ERR_FORMAT" });

  test("round trips", () => {
    expect(text.decode(text.encode("é\u0065\u0301"))).toBe("é\u0065\u0301");
    expect(uint64.decode(uint64.encode(2 ** 53 - 1))).toBe(2 ** 53 - 1);
    expect(flag.decode(flag.encode(true))).toBe(true);
    expect(listOf(text).decode(listOf(text).encode(["", "a", "bc"]))).toEqual(["", "a", "bc"]);
    const given = { b: "2", a: "1", __proto__x: "" };
    expect(pairs.decode(pairs.encode(given))).toEqual(Object.assign(Object.create(null), given));
  });

  test("refuse every other encoding", () => {
    expect(() => text.decode(new Uint8Array([0xff]))).toThrow(malformed);
    expect(() => uint32.decode(new Uint8Array(3))).toThrow(malformed);
    expect(() => uint64.decode(new Uint8Array(8).fill(255))).toThrow(malformed);
    expect(() => flag.decode(new Uint8Array([2]))).toThrow(malformed);
    expect(() => id.decode(new Uint8Array(15))).toThrow(malformed);
    expect(() => oneOf({ a: 1 }).decode(new Uint8Array([2]))).toThrow(malformed);
    expect(() => listOf(text).decode(new Uint8Array([0, 0, 0]))).toThrow(malformed);
    expect(() => listOf(text).decode(concat(u32(2), new Uint8Array(1)))).toThrow(malformed);
    const flat = (...texts: string[]) => listOf(text).encode(texts);
    for (const bad of [flat("a"), flat("b", "1", "a", "2"), flat("a", "1", "a", "2")]) {
      expect(() => pairs.decode(bad)).toThrow(malformed);
    }
  });

  test("a table refuses missing and unknown tags", () => {
    const map = TENANT.encode({ name: "acme", createdAt: 7 });
    expect(TENANT.decode(map)).toEqual({ name: "acme", createdAt: 7 });
    expect(() => TENANT.decode(new Map([...map].slice(1)))).toThrow(malformed);
    expect(() => TENANT.decode(new Map([...map, [99, new Uint8Array(0)]]))).toThrow(malformed);
    expect(() => KEY.decode(map)).toThrow(malformed);
  });

  test("what is optional may be absent, and its index with it", () => {
    const values = { name: "orders", createdAt: 7 };
    expect(ALIAS.decode(ALIAS.encode(values))).toEqual(values);
    expect(ALIAS.index(values)).toEqual({ createdAt: 7 });
    expect(ALIAS.index({ ...values, keyId: fill(9) })).toEqual({ createdAt: 7, parentId: fill(9) });
  });
});
