import { describe, expect, it } from "vitest";
import { ascii, concat } from "../../../src/bytes.js";
import { bytesField, numberField, readFields } from "../../../src/message/protobuf.js";
import {
  AES_GCM_TYPE,
  encodeEncryptedKeyset,
  encodeKeyset,
  MAX_KEYSET_KEYS,
  parseEncryptedKeyset,
  parseKeyset,
  type WritableKey,
  wipeKeyset,
  XAES_GCM_TYPE,
} from "../../../src/message/tink.js";
import { parseJsonKeyset } from "../../../src/message/tink-json.js";
import { expectBytes, expectCode, flipBit, hex, SeededRandom } from "../../kit.js";

const random = new SeededRandom(20);
const gcm = (keyId: number, bytes: 16 | 32 = 32): WritableKey => ({
  keyId,
  algorithm: { name: "aes-gcm" },
  key: random.bytes(bytes),
});
const xaes = (keyId: number, saltBytes = 12): WritableKey => ({
  keyId,
  algorithm: { name: "xaes-256-gcm", saltBytes },
  key: random.bytes(32),
});

/** A Keyset of one key, with parts of it changed. */
interface Parts {
  primary?: number;
  typeUrl?: string;
  value?: Uint8Array;
  material?: number;
  status?: number;
  keyId?: number;
  prefix?: number;
  more?: Uint8Array;
}
function key(parts: Parts = {}): Uint8Array {
  const { typeUrl = AES_GCM_TYPE, value = bytesField(3, new Uint8Array(32).fill(5)), material = 1, status = 1 } = parts;
  const data = concat(bytesField(1, ascii(typeUrl)), bytesField(2, value), numberField(3, material));
  return bytesField(
    2,
    concat(
      bytesField(1, data),
      numberField(2, status),
      numberField(3, parts.keyId ?? 7),
      numberField(4, parts.prefix ?? 1),
    ),
  );
}
const keyset = (parts: Parts = {}) =>
  concat(numberField(1, parts.primary ?? 7), key(parts), parts.more ?? new Uint8Array(0));

describe("Tink keysets", () => {
  it("are written field by field, ascending, defaults left out", () => {
    const one: WritableKey = { keyId: 1, algorithm: { name: "aes-gcm" }, key: new Uint8Array(32).fill(0xab) };
    const type = Buffer.from(AES_GCM_TYPE).toString("hex");
    expect(Buffer.from(encodeKeyset(1, [one])).toString("hex")).toBe(
      `080112600a580a30${type}12221a20${"ab".repeat(32)}1801100118012001`,
    );
  });

  it("open again as they were written, whatever their keys", () => {
    for (let run = 0; run < 200; run++) {
      const ids = new Set(Array.from({ length: 1 + random.below(6) }, () => 1 + random.below(0xffff_ffff)));
      const keys = [...ids].map((id) =>
        random.pick([() => gcm(id), () => gcm(id, 16), () => xaes(id, 8 + random.below(5))])(),
      );
      const primary = random.pick(keys).keyId;
      const parsed = parseKeyset(encodeKeyset(primary, keys));
      expect(parsed.primaryKeyId).toBe(primary);
      expect(parsed.keys).toEqual(
        keys.map(({ keyId, algorithm, key: bytes }) => ({
          keyId,
          enabled: true,
          prefix: concat(Uint8Array.of(1), hex(keyId.toString(16).padStart(8, "0"))),
          material: { algorithm, key: bytes },
        })),
      );
    }
  });

  it("are wiped by their owner", () => {
    const parsed = parseKeyset(keyset());
    wipeKeyset(parsed);
    expectBytes(parsed.keys[0]?.material?.key as Uint8Array, new Uint8Array(32));
  });

  it("keep a key of another type as one that cannot be used, and a destroyed one without its bytes", () => {
    const eax = "type.googleapis.com/google.crypto.tink.AesEaxKey";
    const more = concat(
      key({ keyId: 8, typeUrl: eax, value: Uint8Array.of(1) }),
      key({ keyId: 9, status: 3 }),
      key({ keyId: 10, status: 2 }),
    );
    const { keys } = parseKeyset(keyset({ more }));
    expect(keys.map(({ keyId, enabled, material }) => [keyId, enabled, material !== undefined])).toEqual([
      [7, true, true],
      [8, true, false],
      [9, false, false],
      [10, false, true],
    ]);
  });

  it("name what stands before their records: TINK and RAW; nothing for the others", () => {
    const prefixes = [1, 2, 3, 4, 5].map((prefix) => parseKeyset(keyset({ prefix })).keys[0]?.prefix);
    expect(prefixes).toEqual([Uint8Array.of(1, 0, 0, 0, 7), undefined, new Uint8Array(0), undefined, undefined]);
  });

  const version1 = concat(numberField(1, 1), bytesField(3, new Uint8Array(32)));
  const params = (salt: number) => concat(bytesField(2, numberField(1, salt)), bytesField(3, new Uint8Array(32)));
  it.each<[string, Uint8Array, "ERR_FORMAT" | "ERR_UNSUPPORTED_VERSION"]>([
    ["no bytes at all", new Uint8Array(0), "ERR_FORMAT"],
    ["no key", numberField(1, 7), "ERR_FORMAT"],
    ["no primary key", key(), "ERR_FORMAT"],
    ["a primary key that is not there", keyset({ primary: 8 }), "ERR_FORMAT"],
    ["a primary key that is disabled", keyset({ status: 2 }), "ERR_FORMAT"],
    ["two primary keys", concat(numberField(1, 7), keyset()), "ERR_FORMAT"],
    ["a key id twice", keyset({ more: key() }), "ERR_FORMAT"],
    ["an unknown status", keyset({ status: 4 }), "ERR_FORMAT"],
    ["an unknown prefix", keyset({ prefix: 6 }), "ERR_FORMAT"],
    ["no prefix", keyset({ prefix: 0 }), "ERR_FORMAT"],
    ["a symmetric key that says it is public", keyset({ material: 3 }), "ERR_FORMAT"],
    ["a key without a type", keyset({ typeUrl: "" }), "ERR_FORMAT"],
    ["a key without bytes", keyset({ value: new Uint8Array(0) }), "ERR_FORMAT"],
    ["a key of 24 bytes", keyset({ value: bytesField(3, new Uint8Array(24)) }), "ERR_FORMAT"],
    ["a key of another version", keyset({ value: version1 }), "ERR_UNSUPPORTED_VERSION"],
    [
      "an unknown field in a key",
      keyset({ value: concat(bytesField(3, new Uint8Array(32)), numberField(4, 1)) }),
      "ERR_FORMAT",
    ],
    ["an unknown field in the keyset", concat(keyset(), numberField(3, 1)), "ERR_FORMAT"],
    ["a salt of 7", keyset({ typeUrl: XAES_GCM_TYPE, value: params(7) }), "ERR_FORMAT"],
    ["a salt of 13", keyset({ typeUrl: XAES_GCM_TYPE, value: params(13) }), "ERR_FORMAT"],
    ["no salt length", keyset({ typeUrl: XAES_GCM_TYPE }), "ERR_FORMAT"],
    [
      "an XAES key of 16 bytes",
      keyset({
        typeUrl: XAES_GCM_TYPE,
        value: concat(bytesField(2, numberField(1, 12)), bytesField(3, new Uint8Array(16))),
      }),
      "ERR_FORMAT",
    ],
    [
      "too many keys",
      concat(numberField(1, 7), ...Array.from({ length: MAX_KEYSET_KEYS + 1 }, (_, i) => key({ keyId: i + 1 }))),
      "ERR_FORMAT",
    ],
    ["a number past 32 bits", concat(hex("08ffffffff1f"), key()), "ERR_FORMAT"],
    ["a number without an end", concat(hex("08ffffffffffffffffffffff01"), key()), "ERR_FORMAT"],
    ["a field of a wire type there is none of", concat(hex("0b"), keyset()), "ERR_FORMAT"],
    ["a field without a number", concat(hex("0001"), keyset()), "ERR_FORMAT"],
    ["a number where bytes belong", concat(numberField(1, 7), hex("1007")), "ERR_FORMAT"],
  ])("refuse %s", async (_what, bytes, code) => {
    await expectCode(() => parseKeyset(bytes), code);
  });

  it("never take a cut or flipped one for another without a word, nor fail without a code", async () => {
    const whole = encodeKeyset(9, [gcm(9), xaes(10)]);
    for (let length = 0; length < whole.length; length++) {
      const cut = whole.subarray(0, length);
      const parsed = await Promise.resolve()
        .then(() => parseKeyset(cut))
        .catch((error: unknown) => error);
      // A cut between two keys leaves a keyset of one: the seal around it is what tells.
      if (parsed instanceof Error) await expectCode(() => parseKeyset(cut), "ERR_FORMAT");
      else expect((parsed as { keys: unknown[] }).keys).toHaveLength(1);
    }
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const flipped = flipBit(whole, bit);
      try {
        parseKeyset(flipped);
      } catch (error) {
        expect((error as { code: string }).code).toMatch(/^ERR_(FORMAT|UNSUPPORTED_VERSION)$/);
      }
    }
  });
});

describe("encrypted Tink keysets", () => {
  it("carry what is sealed, and public news of the keys", () => {
    const sealed = random.bytes(300);
    const bytes = encodeEncryptedKeyset(sealed, 9, [gcm(9), xaes(10)]);
    expectBytes(parseEncryptedKeyset(bytes), sealed);
    expect([...readFields(bytes)].map(({ number }) => number)).toEqual([2, 3]);
  });

  it("are opened whatever the public news says", () => {
    expectBytes(
      parseEncryptedKeyset(concat(bytesField(3, random.bytes(9)), bytesField(2, Uint8Array.of(1)))),
      Uint8Array.of(1),
    );
  });

  it.each([
    ["nothing", new Uint8Array(0)],
    ["nothing sealed", bytesField(3, new Uint8Array(4))],
    ["an empty one", bytesField(2, new Uint8Array(0))],
    ["a keyset in the clear", encodeKeyset(9, [gcm(9)])],
    ["more than a keyset takes", bytesField(2, new Uint8Array(1024 * 1024))],
  ])("refuse %s", async (_what, bytes) => {
    await expectCode(() => parseEncryptedKeyset(bytes), "ERR_FORMAT");
  });
});

describe("Tink keysets in JSON", () => {
  const good = () => ({
    primaryKeyId: 7,
    key: [
      {
        keyData: {
          typeUrl: AES_GCM_TYPE,
          value: Buffer.from(bytesField(3, new Uint8Array(16))).toString("base64"),
          keyMaterialType: "SYMMETRIC",
        },
        status: "ENABLED",
        keyId: 7,
        outputPrefixType: "TINK",
      },
    ],
  });

  it("say the same as the protobuf", () => {
    const bytes = keyset({ value: bytesField(3, new Uint8Array(16)) });
    expect(parseJsonKeyset(JSON.stringify(good()))).toEqual(parseKeyset(bytes));
  });

  it("refuse what is not quite one", async () => {
    const text = JSON.stringify(good());
    for (const bad of [
      "",
      "null",
      "[]",
      text.slice(1),
      text.replace('"keyId":7', '"keyId":7,"keyId":7'),
      text.replace('"keyId":7', '"keyId":7.5'),
      text.replace('"keyId":7', '"keyId":-7'),
      text.replace("ENABLED", "enabled"),
      text.replace("TINK", "constructor"),
      text.replace('"status"', '"extra":1,"status"'),
      JSON.stringify({ ...good(), key: [] }),
      JSON.stringify({ ...good(), primaryKeyId: 8 }),
    ]) {
      await expectCode(() => parseJsonKeyset(bad), "ERR_FORMAT");
    }
  });
});
