import { createCipheriv, createDecipheriv } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Bytes, concat, u32, utf8 } from "../../../src/bytes.js";
import { engineInfo, selectEngine } from "../../../src/engine/select.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { sealKeyset } from "../../../src/envelope/keyset.js";
import { openCleartextRecords, openGivenRecords } from "../../../src/envelope/open-records.js";
import type { Arena } from "../../../src/envelope/record-arena.js";
import { fixedQuota } from "../../../src/envelope/record-quota.js";
import { readContext } from "../../../src/message/context.js";
import { bytesField, numberField } from "../../../src/message/protobuf.js";
import { AES_GCM_TYPE, encodeKeyset, parseEncryptedKeyset, type WritableKey } from "../../../src/message/tink.js";
import { aesKeyring, countingBytes, drain, expectBytes, expectCode, flipBit, pump, SeededRandom } from "../../kit.js";

const engines = engineInfo()
  .candidates.filter(({ usable }) => usable)
  .map(({ name }) => name);
const random = new SeededRandom(77);
const text = (value: string) => utf8(value, "text");
const AAD = { aad: text("row 17") };

const gcm = (keyId: number): WritableKey => ({ keyId, algorithm: { name: "aes-gcm" }, key: random.bytes(32) });
const xaes = (keyId: number): WritableKey => ({
  keyId,
  algorithm: { name: "xaes-256-gcm", saltBytes: 12 },
  key: random.bytes(32),
});

/** An arena whose bytes went to somebody else. */
function transferred(): Arena {
  const given = arena([text("abc")]);
  structuredClone(given.bytes.buffer, { transfer: [given.bytes.buffer as ArrayBuffer] });
  return given;
}

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** A key without prefix, as Tink has them. */
function rawKey(keyId: number, key: Uint8Array): Bytes {
  const data = concat(bytesField(1, text(AES_GCM_TYPE)), bytesField(2, bytesField(3, key)), numberField(3, 1));
  return bytesField(2, concat(bytesField(1, data), numberField(2, 1), numberField(3, keyId), numberField(4, 3)));
}

function arena(values: readonly Uint8Array[]): Arena {
  const offsets = new Int32Array(values.length + 1);
  values.forEach((value, i) => {
    offsets[i + 1] = (offsets[i] as number) + value.length;
  });
  return { bytes: concat(...values), offsets };
}
const values = ({ bytes, offsets }: Arena) =>
  Array.from({ length: offsets.length - 1 }, (_, i) => bytes.slice(offsets[i], offsets[i + 1]));

describe.each(engines)("records, engine %s", (engineName) => {
  const engine = selectEngine(engineName);
  const open = (keys: readonly WritableKey[], primary = keys[0] as WritableKey, maxRecords?: number) =>
    openCleartextRecords(encodeKeyset(primary.keyId, keys), maxRecords ?? 2 ** 20, engine);

  it("seal text and bytes, one by one, and open them", () => {
    const records = open([gcm(5)]);
    for (const plaintext of ["", "ann@example.com", "Chloë", "x".repeat(300)]) {
      const sealed = records.seal(plaintext, AAD);
      expect(sealed.length).toBe(text(plaintext).length + 33);
      expect(sealed.buffer.byteLength).toBe(sealed.length);
      expectBytes(records.open(sealed, AAD), text(plaintext));
    }
  });

  it("have Tink's wire format: 01, key id, nonce, ciphertext, tag", () => {
    const key = gcm(0x01020304);
    const records = open([key]);
    const sealed = records.seal("plaintext", AAD);
    expectBytes(sealed.subarray(0, 5), Uint8Array.of(1, 1, 2, 3, 4));
    const decipher = createDecipheriv("aes-256-gcm", key.key, sealed.subarray(5, 17));
    decipher.setAAD(AAD.aad).setAuthTag(sealed.subarray(-16));
    expectBytes(concat(decipher.update(sealed.subarray(17, -16)), decipher.final()), text("plaintext"));
  });

  it("never repeat a nonce", () => {
    const records = open([gcm(5)]);
    const one = new Set(
      Array.from({ length: 500 }, () => Buffer.from(records.seal("x").subarray(5, 17)).toString("hex")),
    );
    expect(one.size).toBe(500);
    const many = records.sealArena(arena(Array.from({ length: 20_000 }, () => text("x"))));
    expect(new Set(values(many).map((record) => Buffer.from(record.subarray(5, 17)).toString("hex"))).size).toBe(
      20_000,
    );
  });

  it("open only with the associated data they were sealed with", async () => {
    const records = open([gcm(5)]);
    const sealed = records.seal("x", AAD);
    await expectCode(() => records.open(sealed), "ERR_DECRYPT");
    await expectCode(() => records.open(sealed, { aad: text("row 18") }), "ERR_DECRYPT");
    expectBytes(records.open(records.seal("x"), { aad: new Uint8Array(0) }), text("x"));
  });

  it("fail alike for every bit flipped, and say so of one cut short", async () => {
    const records = open([gcm(5)]);
    const sealed = records.seal("plain", AAD);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      await expectCode(() => records.open(flipBit(sealed, bit), AAD), "ERR_DECRYPT");
    }
    await expectCode(() => records.open(sealed.subarray(0, -1), AAD), "ERR_DECRYPT");
    await expectCode(() => records.open(sealed.subarray(0, 32), AAD), "ERR_TRUNCATED");
    await expectCode(() => records.open(new Uint8Array(0), AAD), "ERR_TRUNCATED");
  });

  it("use the caller's output", async () => {
    const records = open([gcm(5)]);
    const out = new Uint8Array(64);
    const sealed = records.seal("plain", { out });
    expect(sealed.buffer).toBe(out.buffer);
    expect(sealed.length).toBe(38);
    const back = new Uint8Array(9);
    expectBytes(records.open(sealed, { out: back }), text("plain"));
    expectBytes(back.subarray(0, 5), text("plain"));
    const error = await expectCode(() => records.seal("plain", { out: new Uint8Array(37) }), "ERR_OUTPUT_TOO_SMALL");
    expect(error.neededBytes).toBe(38);
    await expectCode(() => records.open(sealed, { out }), "ERR_OVERLAP");
  });

  it("seal and open batches, each value as it was", async () => {
    const records = open([gcm(5)]);
    const plaintexts = Array.from({ length: 10_000 }, (_, i) => random.bytes(i % 90));
    const aad = (i: number) => u32(i);
    const sealed = await records.sealBatch(plaintexts, { aad });
    const opened = await records.openBatch(sealed, { aad });
    opened.forEach((plaintext, i) => {
      expectBytes(plaintext, plaintexts[i] as Uint8Array);
    });
    expect(opened[3]?.buffer.byteLength).toBe(3);
    expect(await records.sealBatch([])).toEqual([]);
    expect(await records.openBatch([])).toEqual([]);
  });

  it("a batch with a bad record rejects with its index; settled, it tells of each", async () => {
    const records = open([gcm(5)]);
    const sealed = await records.sealBatch(Array.from({ length: 6000 }, (_, i) => u32(i)));
    sealed[5000] = flipBit(sealed[5000] as Uint8Array, 200) as Bytes;
    sealed[5001] = (sealed[5001] as Bytes).slice(0, 9) as Bytes;
    expect((await expectCode(records.openBatch(sealed), "ERR_DECRYPT")).index).toBe(5000);
    const settled = await records.openBatchSettled(sealed);
    settled.forEach((result, i) => {
      if (i === 5000 || i === 5001) {
        expect(result.status).toBe("rejected");
        const code = i === 5000 ? "ERR_DECRYPT" : "ERR_TRUNCATED";
        expect((result as PromiseRejectedResult).reason).toMatchObject({ code, index: i });
      } else expectBytes((result as PromiseFulfilledResult<Bytes>).value, u32(i));
    });
  });

  it("an arena goes through in one call, into the caller's memory", () => {
    const records = open([gcm(5)]);
    const plaintexts = Array.from({ length: 1000 }, (_, i) => random.bytes(i % 70));
    const aad = arena(plaintexts.map((_, i) => u32(i)));
    const total = arena(plaintexts).bytes.length;
    const out = { bytes: new Uint8Array(total + 33_000 + 5), offsets: new Uint32Array(1010) };
    const sealed = records.sealArena(arena(plaintexts), { aad, out });
    expect(sealed.bytes.buffer).toBe(out.bytes.buffer);
    expect([sealed.offsets.length, sealed.bytes.length]).toEqual([1001, total + 33_000]);
    const opened = records.openArena(sealed, { aad });
    expectBytes(opened.bytes, arena(plaintexts).bytes);
    expect([...opened.offsets]).toEqual([...arena(plaintexts).offsets]);
  });

  it("an arena with bad records releases none, or all others where the failures are asked for", async () => {
    const records = open([gcm(5)]);
    const sealed = values(records.sealArena(arena([text("one"), text("two"), text("three"), text("four")])));
    sealed[1] = flipBit(sealed[1] as Uint8Array, 280);
    sealed[3] = text("short") as Bytes;
    const out = { bytes: new Uint8Array(64), offsets: new Uint32Array(5) };
    const error = await expectCode(() => records.openArena(arena(sealed), { out }), "ERR_DECRYPT");
    expect(error.index).toBe(1);
    expectBytes(out.bytes, new Uint8Array(64));
    const failed = [99];
    const opened = values(records.openArena(arena(sealed), { failed }));
    expect(failed).toEqual([1, 3]);
    expect(opened.map((value) => Buffer.from(value).toString())).toEqual(["one", "", "three", ""]);
  });

  it("streams carry a record a chunk", async () => {
    const records = open([gcm(5)]);
    const chunks = Array.from({ length: 300 }, (_, i) => countingBytes(i));
    const aad = (i: number) => u32(i);
    const sealed: Uint8Array[] = [];
    const tap = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        sealed.push(chunk);
        controller.enqueue(chunk);
      },
    });
    const source = streamOf(chunks).pipeThrough(records.sealStream({ aad })).pipeThrough(tap);
    const opened: Uint8Array[] = [];
    for await (const plaintext of source.pipeThrough(records.openStream({ aad }))) opened.push(plaintext);
    expect(opened.length).toBe(300);
    opened.forEach((plaintext, i) => {
      expectBytes(plaintext, chunks[i] as Uint8Array);
    });
    const { error } = await drain(records.openStream(), sealed);
    expect(error).toMatchObject({ code: "ERR_DECRYPT", index: 0 });
    await expectCode(pump(records.sealStream(), ["text" as unknown as Uint8Array]), "ERR_INPUT");
  });

  it("an aborted batch or stream says why", async () => {
    const records = open([gcm(5)]);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(records.sealBatch([text("x")], { signal })).rejects.toBe(reason);
    await expect(records.openBatch([text("x")], { signal })).rejects.toBe(reason);
    expect((await drain(records.sealStream({ signal }), [text("x")])).error).toBe(reason);
  });

  describe("several keys", () => {
    const [one, two, three] = [gcm(1), gcm(0xffff_fffe), xaes(3)] as const;
    it("the primary one seals, all of them open, in any order", async () => {
      const parts = [one, two, three].map((key) => open([key]));
      const all = open([one, two, three], two);
      expect(all.info).toMatchObject({ primaryKeyId: two.keyId, keyIds: [1, two.keyId, 3] });
      expectBytes(all.seal("x").subarray(1, 5), u32(two.keyId));
      const sealed = Array.from({ length: 200 }, (_, i) => parts[(i * 7 + (i >> 3)) % 3]?.seal(`value ${i}`) as Bytes);
      (await all.openBatch(sealed)).forEach((plaintext, i) => {
        expectBytes(plaintext, text(`value ${i}`));
      });
      const failed: number[] = [];
      sealed[50] = flipBit(sealed[50] as Bytes, 400) as Bytes;
      sealed[51] = gcmRecord(gcm(77));
      const opened = values(all.openArena(arena(sealed), { failed }));
      expect(failed).toEqual([50, 51]);
      expectBytes(opened[52] as Uint8Array, text("value 52"));
      expectBytes(opened[50] as Uint8Array, new Uint8Array(0));
    });

    it("a key without prefix opens what no prefix names, and seals where it is the primary one", async () => {
      const bytes = random.bytes(32);
      const raw = openCleartextRecords(concat(numberField(1, 9), rawKey(9, bytes)), 10, engine);
      const sealed = raw.seal("raw");
      expect(sealed.length).toBe(3 + 28);
      const both = openCleartextRecords(concat(encodeKeyset(1, [one]), rawKey(9, bytes)), 10, engine);
      expectBytes(both.open(sealed), text("raw"));
      expectBytes(both.open(both.seal("prefixed")), text("prefixed"));
      const mixed = [both.seal("a"), sealed, both.seal("b")];
      expect(values(both.openArena(arena(mixed))).map((value) => Buffer.from(value).toString())).toEqual([
        "a",
        "raw",
        "b",
      ]);
      const out = { bytes: new Uint8Array(4), offsets: new Uint32Array(4) };
      await expectCode(() => both.openArena(arena(mixed), { out }), "ERR_OUTPUT_TOO_SMALL");
    });

    function gcmRecord(key: WritableKey): Bytes {
      return open([key]).seal("foreign");
    }
  });

  it("disposed, are closed, and their keys wiped", async () => {
    const records = open([gcm(5)]);
    const sealed = records.seal("x");
    records[Symbol.dispose]();
    records[Symbol.dispose]();
    await expectCode(() => records.seal("x"), "ERR_CLOSED");
    await expectCode(() => records.open(sealed), "ERR_CLOSED");
    await expectCode(records.sealBatch([text("x")]), "ERR_CLOSED");
    await expectCode(() => records.info, "ERR_CLOSED");
  });

  it("seal no more than they may: nothing without a quota, anything with XAES-256-GCM", async () => {
    const key = gcm(5);
    const none = openCleartextRecords(encodeKeyset(5, [key]), undefined, engine);
    await expectCode(() => none.seal("x"), "ERR_KEYSET_EXHAUSTED");
    const few = open([key], key, 3);
    await few.sealBatch([text("a"), text("b")]);
    await expectCode(() => few.sealArena(arena([text("c"), text("d")])), "ERR_KEYSET_EXHAUSTED");
    expect(few.info.recordsLeft).toBe(1);
    expectBytes(none.open(few.seal("c")), text("c"));
    await expectCode(few.sealBatch([text("d")]), "ERR_KEYSET_EXHAUSTED");
    await expectCode(pump(few.sealStream(), [text("d")]), "ERR_KEYSET_EXHAUSTED");
    const many = openCleartextRecords(encodeKeyset(6, [xaes(6)]), undefined, engine);
    expectBytes(many.open(many.seal("x")), text("x"));
    expect(many.info.recordsLeft).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => fixedQuota(2 ** 32).take(2 ** 32)).not.toThrow();
  });

  describe("refuse", () => {
    const records = open([gcm(5)]);
    it.each<[string, () => unknown]>([
      ["no plaintext", () => records.seal(undefined as never)],
      ["a lone surrogate", () => records.seal("\ud800")],
      ["a record as text", () => records.open("AQ==" as never)],
      ["a mistyped option", () => records.seal("x", { add: AAD.aad } as never)],
      ["associated data that is undefined", () => records.seal("x", { aad: undefined } as never)],
      ["associated data as text", () => records.open(records.seal("x"), { aad: "row" } as never)],
      ["an arena without offsets", () => records.sealArena({ bytes: new Uint8Array(1) } as never)],
      ["offsets of another kind", () => records.sealArena({ bytes: new Uint8Array(1), offsets: [0, 1] } as never)],
      ["no offset", () => records.sealArena({ bytes: new Uint8Array(1), offsets: new Uint32Array(0) })],
      [
        "decreasing offsets",
        () => records.sealArena({ bytes: new Uint8Array(9), offsets: Uint32Array.of(0, 5, 4, 9) }),
      ],
      [
        "offsets behind the bytes",
        () => records.openArena({ bytes: new Uint8Array(9), offsets: Uint32Array.of(0, 10) }),
      ],
      ["offsets below 0", () => records.openArena({ bytes: new Uint8Array(9), offsets: Int32Array.of(-5, 9) })],
      ["bytes that were transferred away", () => records.sealArena(transferred())],
      ["an arena of other associated data", () => records.sealArena(arena([text("a")]), { aad: arena([]) })],
      ["a list of failures that is none", () => records.openArena(arena([]), { failed: {} } as never)],
      ["a batch that is no list", () => records.sealBatch("abc" as never)],
      ["a batch of text", () => records.sealBatch(["abc"] as never)],
      ["associated data of a batch as bytes", () => records.openBatch([text("a")], { aad: AAD.aad } as never)],
      [
        "a batch without associated data for one",
        () => records.sealBatch([text("a")], { aad: () => undefined } as never),
      ],
    ])("%s", async (_what, action) => {
      await expectCode(async () => action(), "ERR_INPUT");
    });

    it("an output with too few offsets", async () => {
      const out = { bytes: new Uint8Array(99), offsets: new Uint32Array(1) };
      await expectCode(() => records.sealArena(arena([text("a")]), { out }), "ERR_OUTPUT_TOO_SMALL");
    });
  });
});

describe("openRecords", () => {
  const engine = selectEngine();
  const context = readContext({ tenant: "acme" });
  const seal = (keyring = aesKeyring(), keys: readonly WritableKey[] = [gcm(9)]) =>
    sealKeyset("users.email", 9, keys, { keyring, context, engine });

  it("opens an exported keyset with any keyring that knows its message", async () => {
    const key = gcm(9);
    const keyset = await seal(aesKeyring(), [key]);
    const keyring = aesKeyring();
    const records = await openGivenRecords({ keyring, keyset, context: { tenant: "acme" } }, engine);
    expect(records.info).toEqual({ keyset: "users.email", primaryKeyId: 9, keyIds: [9], recordsLeft: 0 });
    const nonce = random.bytes(12);
    const cipher = createCipheriv("aes-256-gcm", key.key, nonce);
    const record = concat(
      Uint8Array.of(1, 0, 0, 0, 9),
      nonce,
      cipher.update("hello"),
      cipher.final(),
      cipher.getAuthTag(),
    );
    expectBytes(records.open(record), text("hello"));
    expectBytes(await records.export(), keyset);
    expect("rotate" in records).toBe(false);
    await expectCode(() => records.seal("x"), "ERR_KEYSET_EXHAUSTED");
    const sealing = await openGivenRecords({ keyring, keyset, maxRecords: 5 }, engine);
    expectBytes(records.open(sealing.seal("x")), text("x"));
  });

  it("demands the context it is given", async () => {
    const keyset = await seal();
    const open = (given: Record<string, string>) =>
      openGivenRecords({ keyring: aesKeyring(), keyset, context: given }, engine);
    await expectCode(open({ tenant: "globex" }), "ERR_CONTEXT_MISMATCH");
    await expectCode(open({ region: "eu" }), "ERR_DECRYPT");
  });

  it("opens with no other key, and no changed byte", async () => {
    const keyset = await seal();
    await expectCode(openGivenRecords({ keyring: aesKeyring(2), keyset }, engine), "ERR_DECRYPT");
    const message = parseEncryptedKeyset(keyset);
    const at = message.byteOffset - keyset.byteOffset;
    const flipped = flipBit(keyset, 8 * (at + message.length - 4));
    await expectCode(openGivenRecords({ keyring: aesKeyring(), keyset: flipped }, engine), "ERR_DECRYPT");
    await expectCode(openGivenRecords({ keyring: aesKeyring(), keyset: keyset.subarray(0, 40) }, engine), "ERR_FORMAT");
  });

  it("a keyset is no message, and a message no keyset", async () => {
    const message = parseEncryptedKeyset(await seal());
    await expectCode(decrypt(message, { keyring: aesKeyring() }), "ERR_CONTEXT_MISMATCH");
    const { encrypt } = await import("../../../src/envelope/encrypt.js");
    const data = await encrypt(encodeKeyset(9, [gcm(9)]), { keyring: aesKeyring() });
    await expectCode(
      openGivenRecords({ keyring: aesKeyring(), keyset: bytesField(2, data) }, engine),
      "ERR_CONTEXT_MISMATCH",
    );
    const purpose = { context: { "keyladder:purpose": "tink-keyset/v1" } };
    await expectCode(encrypt("x", { keyring: aesKeyring(), ...purpose }), "ERR_INPUT");
  });

  it.each([
    ["a keyset as text", { keyring: aesKeyring(), keyset: "text" }],
    ["a mistyped option", { keyring: aesKeyring(), keyset: new Uint8Array(9), keys: 1 }],
    ["more than 2^32 records", { keyring: aesKeyring(), keyset: new Uint8Array(9), maxRecords: 2 ** 32 + 1 }],
    ["no keyring", { keyset: bytesField(2, new Uint8Array(9)) }],
  ])("refuses %s", async (_what, options) => {
    await expectCode(openGivenRecords(options as never, engine), "ERR_INPUT");
  });
});
