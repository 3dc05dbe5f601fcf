import { createSecretKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { concat, label, u32, writeU16, writeU32 } from "../../../src/bytes.js";
import { checkCost, freshSalt, intoKey, keyFromKeyFile } from "../../../src/hsm/software/file-key.js";
import {
  decodeContents,
  encodeContents,
  freshContents,
  freshKey,
  type MasterKey,
  type TokenContents,
} from "../../../src/hsm/software/token-contents.js";
import { openToken, parseToken, sealToken } from "../../../src/hsm/software/token-format.js";
import { flipBit } from "./fixtures.js";

const fileKey = freshKey();
const kdf = { kind: "key-file", salt: freshSalt() } as const;
const coded = (code: string) => expect.objectContaining({ code });

function withResidents(count: number): TokenContents {
  const residents = new Map();
  for (let i = 0; i < count; i++) {
    const objectId = new Uint8Array(16).fill(count - i);
    residents.set(Buffer.from(objectId).toString("hex"), { objectId, key: freshKey() });
  }
  return { ...freshContents("a token"), residents };
}

describe("a token's contents", () => {
  it("come back as they went in", () => {
    const contents = withResidents(3);
    const back = decodeContents(encodeContents(contents));
    expect(back.serial).toEqual(contents.serial);
    expect(back.generation).toBe(1n);
    expect(back.label).toBe("a token");
    expect(back.masterKeys.map(({ key: _, ...rest }) => rest)).toEqual(
      contents.masterKeys.map(({ key: _, ...rest }) => rest),
    );
    expect(back.masterKeys.every((key, i) => contents.masterKeys[i]?.key.equals(key.key))).toBe(true);
    expect([...back.residents].every(([name, { key }]) => contents.residents.get(name)?.key.equals(key))).toBe(true);
    expect(back.residents.size).toBe(3);
    expect(encodeContents(back)).toEqual(encodeContents(contents));
  });

  it("are refused cut at every byte, and with a byte more", () => {
    const bytes = encodeContents(withResidents(2));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeContents(bytes.subarray(0, length))).toThrow(coded("ERR_FORMAT"));
    }
    expect(() => decodeContents(concat(bytes, Uint8Array.of(0)))).toThrow(coded("ERR_FORMAT"));
  });

  it("are refused with another count of fields, an unknown tag, a length at its maximum", () => {
    const bytes = encodeContents(withResidents(0));
    for (const [at, value] of [
      [0, 4],
      [0, 6],
      [2, 2],
      [2, 9],
    ] as const) {
      const edited = bytes.slice();
      writeU16(edited, at, value);
      expect(() => decodeContents(edited)).toThrow(coded("ERR_FORMAT"));
    }
    const huge = bytes.slice();
    writeU32(huge, 4, 0xffffffff);
    expect(() => decodeContents(huge)).toThrow(coded("ERR_FORMAT"));
  });

  const edit = (change: (keys: MasterKey[]) => MasterKey[]): TokenContents => {
    const fresh = freshContents("t");
    return { ...fresh, masterKeys: change([...fresh.masterKeys]) };
  };
  it.each<[string, TokenContents]>([
    ["a role missing", edit((keys) => keys.slice(1))],
    [
      "a role with no current version",
      edit(([first, ...rest]) => [{ ...(first as MasterKey), state: "retired" }, ...rest]),
    ],
    [
      "a current version that is not the highest",
      edit(([first, ...rest]) => [
        first as MasterKey,
        { ...(first as MasterKey), version: 2, state: "retired" },
        ...rest,
      ]),
    ],
    ["a version twice", edit(([first, ...rest]) => [first as MasterKey, first as MasterKey, ...rest])],
    ["version 0", edit(([first, ...rest]) => [{ ...(first as MasterKey), version: 0 }, ...rest])],
    [
      "a wrapping key without a format",
      edit(([first, ...rest]) => [{ ...(first as MasterKey), wrapFormat: undefined }, ...rest]),
    ],
  ])("are refused with %s", (_title, contents) => {
    const bytes = encodeContents(contents);
    expect(() => decodeContents(bytes)).toThrow(coded("ERR_FORMAT"));
  });
});

describe("a token file", () => {
  const file = sealToken(kdf, fileKey, withResidents(1));

  it("opens under its key", () => {
    expect(openToken(parseToken(file), fileKey).label).toBe("a token");
  });

  it("never has the same nonce or bytes twice", () => {
    const contents = withResidents(0);
    expect(sealToken(kdf, fileKey, contents)).not.toEqual(sealToken(kdf, fileKey, contents));
  });

  it("is refused with any one bit changed, wherever it is", () => {
    for (let bit = 0; bit < file.length * 8; bit++) {
      const edited = flipBit(file, bit >> 3, bit & 7);
      const open = () => {
        const token = parseToken(edited);
        // What the driver does: the key follows from the header's own salt.
        const same = Buffer.compare(token.kdf.salt, kdf.salt) === 0;
        openToken(token, same ? fileKey : keyFromKeyFile(new Uint8Array(32), token.kdf.salt));
      };
      expect(open).toThrow(
        expect.objectContaining({
          code: expect.stringMatching(/^ERR_(PASSPHRASE|FORMAT|TRUNCATED|TRAILING_BYTES|UNSUPPORTED_VERSION)$/),
        }),
      );
    }
  });

  it("says a changed header and a changed body the same way", () => {
    const nonceAt = label("keyladder/software-token").length + 1 + 1 + 32;
    for (const at of [nonceAt, file.length - 1, file.length - 40]) {
      expect(() => openToken(parseToken(flipBit(file, at)), fileKey)).toThrow(coded("ERR_PASSPHRASE"));
    }
  });

  it("is ERR_TRUNCATED cut at every byte, before any key is derived", () => {
    for (let length = 0; length < file.length; length++) {
      expect(() => parseToken(file.subarray(0, length))).toThrow(coded("ERR_TRUNCATED"));
    }
  });

  it("is refused with a byte more, another magic, another version", () => {
    const versionAt = label("keyladder/software-token").length;
    expect(() => parseToken(concat(file, Uint8Array.of(0)))).toThrow(coded("ERR_TRAILING_BYTES"));
    expect(() => parseToken(flipBit(file, 0))).toThrow(coded("ERR_FORMAT"));
    expect(() => parseToken(flipBit(file, versionAt, 1))).toThrow(coded("ERR_UNSUPPORTED_VERSION"));
  });

  it("does not open under another key", () => {
    expect(() => openToken(parseToken(file), createSecretKey(Buffer.alloc(32)))).toThrow(coded("ERR_PASSPHRASE"));
  });
});

describe("hostile scrypt parameters", () => {
  const file = (log2N: number, r: number, p: number) =>
    concat(
      label("keyladder/software-token"),
      Uint8Array.of(1, 1, log2N, r, p),
      new Uint8Array(32 + 12),
      u32(16),
      new Uint8Array(16),
    );

  it.each([
    [0, 8, 1],
    [13, 8, 1],
    [17, 7, 1],
    [21, 8, 1],
    [255, 255, 255],
    [17, 0, 1],
    [17, 17, 1],
    [17, 8, 0],
    [17, 8, 17],
    [20, 16, 1],
    [20, 9, 1],
  ])("log2 N %i, r %i, p %i is ERR_FORMAT before anything is allocated", (log2N, r, p) => {
    expect(() => parseToken(file(log2N, r, p))).toThrow(coded("ERR_FORMAT"));
  });

  it.each([
    [14, 8, 1],
    [17, 8, 1],
    [20, 8, 16],
    [19, 16, 16],
  ])("log2 N %i, r %i, p %i is within bounds", (log2N, r, p) => {
    expect(parseToken(file(log2N, r, p)).kdf).toMatchObject({ kind: "scrypt", log2N, r, p });
  });

  it("refuses what is no integer", () => {
    expect(() => checkCost({ log2N: 1.5, r: 1, p: 1 })).toThrow(coded("ERR_FORMAT"));
  });
});

it("wipes the raw bytes of a key once it is imported", () => {
  const raw = new Uint8Array(32).fill(7);
  expect(intoKey(raw).export()).toEqual(Buffer.alloc(32, 7));
  expect(raw).toEqual(new Uint8Array(32));
});
