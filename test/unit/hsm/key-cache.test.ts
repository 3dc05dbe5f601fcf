import type { KeyObject } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { CmkLocation, KekPath } from "../../../src/hsm/port.js";
import { cmkName, KeyCache, kekName } from "../../../src/hsm/software/key-cache.js";
import { freshKey } from "../../../src/hsm/software/token-contents.js";

const blob = (fill: number, bytes = 40) => new Uint8Array(bytes).fill(fill);
const text = (bytes: string) => new Uint8Array(Buffer.from(bytes));
const cmk: CmkLocation = { residence: "wrapped", hmkVersion: 1, wrapFormat: "rfc5649", blob: blob(1) };
const path: KekPath = { cmk, kek: { wrapFormat: "rfc5649", blob: blob(2) } };

describe("the name a key is cached under (ladder rule 8)", () => {
  it("covers every part of the path, and where each part ends", () => {
    const resident: CmkLocation = { residence: "resident", serial: "ab", objectId: blob(1, 16) };
    const names = [
      cmkName(cmk),
      cmkName({ ...cmk, hmkVersion: 2 }),
      cmkName({ ...cmk, wrapFormat: "rfc3394" }),
      cmkName({ ...cmk, blob: blob(3) }),
      cmkName(resident),
      cmkName({ ...resident, serial: "ac" }),
      cmkName({ ...resident, objectId: blob(2, 16) }),
      kekName(path),
      kekName({ ...path, cmk: { ...cmk, hmkVersion: 2 } }),
      kekName({ ...path, cmk: resident }),
      kekName({ ...path, kek: { ...path.kek, wrapFormat: "rfc3394" } }),
      kekName({ ...path, kek: { ...path.kek, blob: blob(4) } }),
      // the same bytes in all, divided elsewhere
      kekName({ cmk: { ...cmk, blob: text("a") }, kek: { ...path.kek, blob: text("brfc5649c") } }),
      kekName({ cmk: { ...cmk, blob: text("arfc5649b") }, kek: { ...path.kek, blob: text("c") } }),
    ];
    expect(new Set(names).size).toBe(names.length);
    expect(kekName({ cmk: { ...cmk, blob: blob(1) }, kek: path.kek })).toBe(kekName(path));
  });
});

describe("the cache", () => {
  it("makes a key once, drops the one used longest ago beyond 256, forgets all when cleared", () => {
    const cache = new KeyCache();
    const made: string[] = [];
    const obtain = (name: string): KeyObject =>
      cache.obtain(name, () => {
        made.push(name);
        return freshKey();
      });
    for (let i = 0; i < 256; i++) obtain(`${i}`);
    expect(obtain("0")).toBe(obtain("0"));
    expect(made).toHaveLength(256);
    obtain("one more"); // drops "1": "0" was used since
    obtain("0");
    expect(made).toHaveLength(257);
    obtain("1");
    expect(made.at(-1)).toBe("1");
    cache.clear();
    obtain("0");
    expect(made.at(-1)).toBe("0");
  });

  it("keeps nothing where making fails", () => {
    const cache = new KeyCache();
    const failing = () => {
      throw new RangeError("no");
    };
    expect(() => cache.obtain("k", failing)).toThrow(RangeError);
    expect(cache.obtain("k", freshKey).type).toBe("secret");
  });
});
