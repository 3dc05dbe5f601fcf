import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { concat, readU32, utf8 } from "../../src/bytes.js";
import { DataKey } from "../../src/engine/data-key.js";
import { engineInfo, selectEngine } from "../../src/engine/select.js";
import { openCleartextRecords } from "../../src/envelope/open-records.js";
import { bytesField, numberField } from "../../src/message/protobuf.js";
import { AES_GCM_TYPE, parseAesGcmKey, parseKeyset, XAES_GCM_TYPE } from "../../src/message/tink.js";
import { parseJsonKeyset } from "../../src/message/tink-json.js";
import { expectBytes, expectCode, hex } from "../kit.js";
import { vectorsDir } from "./locate.js";

const folder = vectorsDir("tink");
const read = <T>(file: string): T => JSON.parse(readFileSync(`${folder}/${file}`, "utf8")) as T;
const engines = engineInfo()
  .candidates.filter(({ usable }) => usable)
  .map(({ name }) => name);

interface JsonKeyset {
  primaryKeyId: number;
  key: { keyData: { typeUrl: string; value: string }; keyId: number; outputPrefixType: string }[];
}

describe.skipIf(folder === undefined)("Tink's keysets", () => {
  const keysets = folder === undefined ? {} : read<Record<string, JsonKeyset>>("json_keysets.json");

  it.each(Object.keys(keysets))("%s parses", (name) => {
    const given = keysets[name] as JsonKeyset;
    const { keys } = parseJsonKeyset(JSON.stringify(given));
    given.key.forEach(({ keyData, keyId }, i) => {
      expect(keys[i]?.keyId).toBe(keyId);
      const known = keyData.typeUrl === AES_GCM_TYPE || keyData.typeUrl === XAES_GCM_TYPE;
      expect(keys[i]?.material !== undefined).toBe(known);
      if (known) expectBytes(keys[i]?.material?.key as Uint8Array, Buffer.from(keyData.value, "base64").subarray(2));
    });
  });

  describe.each(engines)("engine %s", (engineName) => {
    const engine = selectEngine(engineName);
    it.each(Object.keys(keysets))("%s: opens what its primary key sealed, or says that it cannot", async (name) => {
      const given = keysets[name] as JsonKeyset;
      const json = JSON.stringify(given);
      const primary = given.key.find(({ keyId }) => keyId === given.primaryKeyId) as JsonKeyset["key"][number];
      if (primary.keyData.typeUrl !== AES_GCM_TYPE) {
        await expectCode(() => openCleartextRecords(json, 1, engine), "ERR_FORMAT");
        return;
      }
      const key = Buffer.from(primary.keyData.value, "base64").subarray(2);
      const nonce = new Uint8Array(12).fill(9);
      const cipher = createCipheriv(key.length === 16 ? "aes-128-gcm" : "aes-256-gcm", key, nonce);
      cipher.setAAD(Buffer.from("aad"));
      const ciphertext = concat(cipher.update("plaintext", "utf8"), cipher.final());
      const id = Buffer.alloc(4);
      id.writeUInt32BE(primary.keyId);
      const record = concat(Uint8Array.of(1), id, nonce, ciphertext, cipher.getAuthTag());
      const records = openCleartextRecords(json, 1, engine);
      expectBytes(records.open(record, { aad: utf8("aad", "aad") }), utf8("plaintext", "text"));
      expectBytes(records.open(records.seal("x")), utf8("x", "text"));
    });
  });
});

describe.skipIf(folder === undefined)("Tink's cases of JSON keysets", () => {
  const { cases } =
    folder === undefined
      ? { cases: [] }
      : read<{ cases: { name: string; valid: boolean; json_keyset: string }[] }>("json_keyset_parsing_cases.json");

  it.each(cases)("$name: valid $valid", async ({ valid, json_keyset }) => {
    if (valid) expect(parseJsonKeyset(json_keyset).primaryKeyId).toBe(42);
    else await expectCode(() => parseJsonKeyset(json_keyset), "ERR_FORMAT");
  });
});

interface XaesVector {
  name: string;
  keyHex: string;
  nonceHex: string;
  aad: string;
  plaintext: string;
  ciphertextHex: string;
  saltSize: number;
}

describe.skipIf(folder === undefined).each(engines)("XAES-256-GCM (C2SP), engine %s", (engineName) => {
  const engine = selectEngine(engineName);
  const { vectors } = folder === undefined ? { vectors: [] } : read<{ vectors: XaesVector[] }>("xaes_gcm_vectors.json");

  it.each(vectors)("$name, salt $saltSize", ({ keyHex, nonceHex, aad, plaintext, ciphertextHex, saltSize }) => {
    const wire = hex(nonceHex + ciphertextHex);
    const key = engine.recordKey(DataKey.fromBytes(hex(keyHex)), { name: "xaes-256-gcm", saltBytes: saltSize });
    const src = utf8(plaintext, "text");
    const bound = { bytes: utf8(aad, "aad"), offsets: Uint32Array.of(0, aad.length) };
    const sealed = { dst: new Uint8Array(wire.length), dstOffsets: new Uint32Array(2) };
    const nonces = wire.slice(0, key.nonceBytes);
    const srcOffsets = Uint32Array.of(0, src.length);
    key.sealRecords({ prefix: new Uint8Array(0), src, srcOffsets, aad: bound, nonces, ...sealed });
    expectBytes(sealed.dst, wire);
    const opened = { dst: new Uint8Array(src.length), dstOffsets: new Uint32Array(2), status: new Uint8Array(1) };
    const wireOffsets = Uint32Array.of(0, wire.length);
    expect(
      key.openRecords({ prefix: new Uint8Array(0), src: wire, srcOffsets: wireOffsets, aad: bound, ...opened }),
    ).toBe(0);
    expectBytes(opened.dst, src);
    key.wipe();
  });

  it.each(vectors)(
    "$name as a keyset without prefix",
    ({ keyHex, nonceHex, aad, plaintext, ciphertextHex, saltSize }) => {
      const value = concat(bytesField(2, numberField(1, saltSize)), bytesField(3, hex(keyHex)));
      const data = concat(bytesField(1, utf8(XAES_GCM_TYPE, "type")), bytesField(2, value), numberField(3, 1));
      const key = concat(bytesField(1, data), numberField(2, 1), numberField(3, 5), numberField(4, 3));
      const records = openCleartextRecords(concat(numberField(1, 5), bytesField(2, key)), undefined, engine);
      const options = aad === "" ? {} : { aad: utf8(aad, "aad") };
      expectBytes(records.open(hex(nonceHex + ciphertextHex), options), utf8(plaintext, "text"));
      expectBytes(records.open(records.seal("more", options), options), utf8("more", "text"));
    },
  );
});

interface EnvelopeVector {
  source: string;
  kek_uri: string;
  plaintext: string;
  associatedData: string;
  ciphertextHex: string;
  kekHex: string;
  kekKeyId: number;
}

describe.skipIf(folder === undefined).each(engines)("Tink's KMS envelope, engine %s", (engineName) => {
  const engine = selectEngine(engineName);
  const { vectors } =
    folder === undefined ? { vectors: [] } : read<{ vectors: EnvelopeVector[] }>("kms_envelope_aead_vectors.json");

  it.each(vectors)("$source", ({ kek_uri, plaintext, associatedData, ciphertextHex, kekHex, kekKeyId }) => {
    const kek = new Uint8Array(Buffer.from(kek_uri.replace("fake-kms://", ""), "base64url"));
    const { primaryKeyId, keys } = parseKeyset(kek);
    expect(primaryKeyId).toBe(kekKeyId);
    expectBytes(keys[0]?.material?.key as Uint8Array, hex(kekHex));

    // u32 length, the encrypted data key (no associated data), then what it sealed, without a prefix.
    const wire = hex(ciphertextHex);
    const dekEnd = 4 + readU32(wire, 0);
    const dek = openCleartextRecords(kek, 0, engine).open(wire.subarray(4, dekEnd));
    expect(parseAesGcmKey(dek).algorithm).toEqual({ name: "aes-gcm" });
    const data = concat(bytesField(1, utf8(AES_GCM_TYPE, "type")), bytesField(2, dek), numberField(3, 1));
    const raw = concat(bytesField(1, data), numberField(2, 1), numberField(3, 1), numberField(4, 3));
    const records = openCleartextRecords(concat(numberField(1, 1), bytesField(2, raw)), 0, engine);
    const opened = records.open(wire.subarray(dekEnd), { aad: utf8(associatedData, "aad") });
    expectBytes(opened, utf8(plaintext, "text"));
  });
});
