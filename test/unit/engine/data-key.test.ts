import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { loadAddon } from "../../../src/engine/addon.js";
import { DataKey, shareDataKey, useDataKey } from "../../../src/engine/data-key.js";
import { SecretBytes, secretHandle } from "../../../src/engine/secret-bytes.js";
import { countingBytes, expectCode } from "../../kit.js";

describe("DataKey", () => {
  test("copies the bytes and wipes the array it was given", () => {
    const given = countingBytes(32);
    const key = DataKey.fromBytes(given);
    expect(given).toEqual(new Uint8Array(32));
    expect(useDataKey(key, (bytes) => [...bytes])).toEqual([...countingBytes(32)]);
  });

  test.each([0, 15, 17, 31, 33, 64])("refuses %i bytes", async (bytes) => {
    await expectCode(() => DataKey.fromBytes(new Uint8Array(bytes)), "ERR_INPUT");
  });

  test("refuses text", async () => {
    await expectCode(() => DataKey.fromBytes("0".repeat(32) as unknown as Uint8Array), "ERR_INPUT");
  });

  test("lives until its last owner disposes; each owner disposes once", async () => {
    const key = DataKey.fromBytes(countingBytes(16));
    const share = shareDataKey(key);
    key[Symbol.dispose]();
    key[Symbol.dispose]();
    await expectCode(() => key.byteLength, "ERR_CLOSED");
    expect(share.byteLength).toBe(16);
    expect(useDataKey(share, (bytes) => [...bytes])).toEqual([...countingBytes(16)]);
    share[Symbol.dispose]();
    await expectCode(() => shareDataKey(share), "ERR_CLOSED");
  });

  test("shows nothing of itself", () => {
    const secret = SecretBytes.copy(Uint8Array.of(222, 173, 190, 239));
    for (const hidden of [DataKey.fromBytes(new Uint8Array(16).fill(222)), secret]) {
      for (const shown of [inspect(hidden, { depth: 9, showHidden: true }), JSON.stringify(hidden), String(hidden)]) {
        expect(shown).not.toMatch(/222|de, ?ad|dead|3q2/i);
      }
    }
  });
});

describe("SecretBytes", () => {
  test("copy leaves the caller's array, wipe ends all use", async () => {
    const given = Uint8Array.of(1, 2, 3);
    const secret = SecretBytes.copy(given);
    given.fill(9);
    expect(secret.use((bytes) => [...bytes])).toEqual([1, 2, 3]);
    secret.wipe();
    secret.wipe();
    await expectCode(() => secret.use((bytes) => bytes.length), "ERR_CLOSED");
    await expectCode(() => secret.byteLength, "ERR_CLOSED");
  });

  test("lends a copy that is wiped when the borrower is done, throws, or its promise settles", async () => {
    const secret = SecretBytes.copy(Uint8Array.of(1, 2, 3));
    const lent: Uint8Array[] = [];
    const borrow = (bytes: Uint8Array): number => {
      lent.push(bytes);
      return bytes.reduce((sum, byte) => sum + byte, 0);
    };
    expect(secret.use(borrow)).toBe(6);
    expect(() =>
      secret.use((bytes) => {
        borrow(bytes);
        throw new TypeError("the borrower's");
      }),
    ).toThrow(TypeError);
    const later = secret.use(async (bytes) => {
      await Promise.resolve();
      return borrow(bytes);
    });
    expect(await later).toBe(6);
    expect(secret.use((outer) => secret.use(borrow) + borrow(outer))).toBe(12);
    if (loadAddon().addon !== undefined) for (const bytes of lent) expect([...bytes]).toEqual([0, 0, 0]);
    expect(secret.use(borrow)).toBe(6);
    secret.wipe();
  });

  test("longer than a slot of the addon's memory, it is held in JavaScript", () => {
    const long = Uint8Array.from({ length: 100 }, (_, i) => i);
    const secret = SecretBytes.copy(long);
    expect(secretHandle(secret)).toBeUndefined();
    expect(secret.byteLength).toBe(100);
    expect(secret.use((bytes) => [...bytes])).toEqual([...long]);
    secret.wipe();
  });

  test("own takes the array over", () => {
    const given = Uint8Array.of(1, 2, 3);
    SecretBytes.own(given).wipe();
    expect([...given]).toEqual([0, 0, 0]);
  });
});
