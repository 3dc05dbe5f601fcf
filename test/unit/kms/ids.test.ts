import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { checkName, keyIdText, nameId, parseKeyId, parseKeyRef, tenantIdOf, versionId } from "../../../src/kms/ids.js";

describe("key ids", () => {
  test("text and bytes, both ways", () => {
    expect(keyIdText(new Uint8Array(16))).toBe(`cmk_${"0".repeat(26)}`);
    expect(keyIdText(new Uint8Array(16).fill(255))).toBe(`cmk_7${"z".repeat(25)}`);
    for (let i = 0; i < 200; i++) {
      const id = new Uint8Array(randomBytes(16));
      expect(parseKeyId(keyIdText(id))).toEqual(id);
    }
  });

  test("one text for each id: no other case, alphabet, length or overflow", () => {
    const good = keyIdText(new Uint8Array(16).fill(17));
    const bad = [
      good.toUpperCase(),
      `${good}0`,
      good.slice(0, -1),
      `cmk_8${"0".repeat(25)}`,
      good.replace("cmk_", "key_"),
    ];
    for (const letter of ["i", "l", "o", "u", " ", "-"]) bad.push(good.slice(0, -1) + letter);
    for (const text of bad) expect(parseKeyId(text)).toBeUndefined();
  });
});

test("derived ids differ by store, tenant, type, name, key and version", () => {
  const a = new Uint8Array(16).fill(1);
  const b = new Uint8Array(16).fill(2);
  const ids = [
    nameId(a, a, 4, "x"),
    nameId(b, a, 4, "x"),
    nameId(a, b, 4, "x"),
    nameId(a, a, 1, "x"),
    nameId(a, a, 4, "y"),
    tenantIdOf(a, "x"),
    versionId(a, 1),
    versionId(a, 2),
    versionId(b, 1),
  ].map((id) => Buffer.from(id).toString("hex"));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => id.length === 32)).toBe(true);
});

test("references", () => {
  const text = keyIdText(new Uint8Array(16).fill(5));
  expect(parseKeyRef("orders", "default")).toEqual({ tenant: "default", alias: "orders" });
  expect(parseKeyRef("acme:orders", "default")).toEqual({ tenant: "acme", alias: "orders" });
  expect(parseKeyRef(text, "default")).toEqual({ tenant: "default", id: new Uint8Array(16).fill(5) });
  expect(parseKeyRef(`acme:${text}`, "default")).toEqual({ tenant: "acme", id: new Uint8Array(16).fill(5) });
  for (const bad of [undefined, 7, "", ":", "a:", ":a", "a:b:c", "cmk_x", "\n", "cmk_x:orders"]) {
    expect(() => parseKeyRef(bad, "default")).toThrow(expect.objectContaining({ code: "ERR_INPUT" }));
  }
});

test("names", () => {
  for (const good of ["a", "orders/2026", "été", "日本", "a b", "x".repeat(256)])
    expect(checkName(good, "alias")).toBe(good);
  for (const bad of ["", " a", "a ", "a:b", "a\0", "a\u2028b", "cmk_a", "\ud800", "x".repeat(257), null]) {
    expect(() => checkName(bad, "alias")).toThrow(expect.objectContaining({ code: "ERR_INPUT" }));
  }
});
