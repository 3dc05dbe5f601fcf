import { describe, expect, test } from "vitest";
import { DataKey } from "../../../src/engine/data-key.js";
import { hkdf } from "../../../src/engine/openssl.js";
import type { Engine, FrameBatch, MessageKey } from "../../../src/engine/port.js";
import { engineInfo, selectEngine } from "../../../src/engine/select.js";
import { framesPlaintextBytes, framesWireBytes } from "../../../src/message/frames.js";
import { ALL_SUITES, type Suite, suiteOf } from "../../../src/message/suites.js";
import { forgeFrame, forgeKeys } from "../../forge.js";
import { countingBytes, expectBytes, expectCode, flipBit, hex } from "../../kit.js";

const messageIdOf = (suite: Suite) => countingBytes(suite.messageVersion === 2 ? 32 : 16);

const engines = engineInfo()
  .candidates.filter(({ usable }) => usable)
  .map(({ name }) => [name, selectEngine(name)] as const);

async function messageKeyOf(engine: Engine, suite: Suite): Promise<MessageKey> {
  using dataKey = DataKey.fromBytes(countingBytes(suite.dataKeyBytes));
  return engine.messageKey(dataKey, suite, messageIdOf(suite));
}

test("HKDF answers RFC 5869 A.1, first block", () => {
  const [okm] = hkdf(
    "sha256",
    hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
    hex("000102030405060708090a0b0c"),
    [hex("f0f1f2f3f4f5f6f7f8f9")],
    32,
  );
  expectBytes(okm as Uint8Array, hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"));
});

describe.each(
  engines.flatMap(([name, engine]) => ALL_SUITES.map((suite) => [name, suite.name, engine, suite] as const)),
)("%s, %s", (_engine, _suite, engine, suite) => {
  const keyOf = () => messageKeyOf(engine, suite);
  const messageId = messageIdOf(suite);
  const frameBytes = 20;
  const batch = (src: Uint8Array, dst: Uint8Array, more: Partial<FrameBatch> = {}): FrameBatch => ({
    messageId,
    frameBytes,
    firstSequence: 1,
    regularFrames: 2,
    finalBytes: 7,
    src,
    dst,
    ...more,
  });
  const counts = { frameBytes, regularFrames: 2, finalBytes: 7 };

  async function sealed(): Promise<Uint8Array> {
    const wire = new Uint8Array(framesWireBytes(counts));
    await (await keyOf()).sealFrames(batch(countingBytes(framesPlaintextBytes(counts)), wire));
    return wire;
  }

  test("derives the key and the commitment that the format names", async () => {
    const { key, commitment } = forgeKeys(suite, countingBytes(suite.dataKeyBytes), messageId);
    const messageKey = await keyOf();
    expectBytes(messageKey.commitment ?? new Uint8Array(0), commitment);
    const wire = await sealed();
    const first = forgeFrame(key, messageId, "regular", 1, countingBytes(47).subarray(0, 20));
    expectBytes(wire.subarray(4, 16), first.nonce);
    expectBytes(wire.subarray(16, 52), first.sealed);
    const last = forgeFrame(key, messageId, "final", 3, countingBytes(47).subarray(40));
    expectBytes(wire.subarray(wire.length - 23), last.sealed);
  });

  test("opens what it sealed, in place too", async () => {
    const wire = await sealed();
    const key = await keyOf();
    const plaintext = new Uint8Array(framesPlaintextBytes(counts));
    expect(await key.openFrames(batch(wire, plaintext))).toBe(true);
    expectBytes(plaintext, countingBytes(47));
    expect(await key.openFrames(batch(wire, wire.subarray(0, 47)))).toBe(true);
    expectBytes(wire.subarray(0, 47), countingBytes(47));
  });

  test("zeroes the output where any tag does not verify", async () => {
    const wire = await sealed();
    const key = await keyOf();
    for (const bit of [8 * 16, 8 * (52 + 16), 8 * wire.length - 1]) {
      const plaintext = new Uint8Array(47).fill(0xee);
      expect(await key.openFrames(batch(flipBit(wire, bit), plaintext))).toBe(false);
      expectBytes(plaintext, new Uint8Array(47));
    }
  });

  test("authenticates a header", async () => {
    const key = await keyOf();
    const nonce = new Uint8Array(12);
    const tag = await key.sealHeader(nonce, countingBytes(99));
    expect(tag).toHaveLength(16);
    expect(await key.openHeader(nonce, countingBytes(99), tag)).toBe(true);
    expect(await key.openHeader(nonce, countingBytes(98), tag)).toBe(false);
    expect(await key.openHeader(nonce, countingBytes(99), flipBit(tag, 0))).toBe(false);
  });

  test("once wiped does nothing more, above all not seal under zeros", async () => {
    const key = await keyOf();
    key.wipe();
    key.wipe();
    const nonce = new Uint8Array(12);
    await expectCode(() => key.sealHeader(nonce, nonce), "ERR_CLOSED");
    await expectCode(() => key.openHeader(nonce, nonce, new Uint8Array(16)), "ERR_CLOSED");
    const wire = new Uint8Array(framesWireBytes(counts));
    await expectCode(() => key.sealFrames(batch(countingBytes(47), wire)), "ERR_CLOSED");
    await expectCode(() => key.openFrames(batch(wire, new Uint8Array(47))), "ERR_CLOSED");
  });
});

test.each(engines)(
  "%s: a suite without KDF does not lend the data key itself: wiping the message key leaves it",
  async (_name, engine) => {
    const suite = suiteOf(0x0078);
    using dataKey = DataKey.fromBytes(countingBytes(32));
    const first = await engine.messageKey(dataKey, suite, messageIdOf(suite));
    const tag = await first.sealHeader(new Uint8Array(12), new Uint8Array(3));
    first.wipe();
    const second = await engine.messageKey(dataKey, suite, messageIdOf(suite));
    expect(await second.openHeader(new Uint8Array(12), new Uint8Array(3), tag)).toBe(true);
  },
);

test.each(engines)(
  "%s: opens a non-framed body, and zeroes the output where its tag is wrong",
  async (_name, engine) => {
    const suite = suiteOf(0x0178);
    const messageId = messageIdOf(suite);
    const { key } = forgeKeys(suite, countingBytes(suite.dataKeyBytes), messageId);
    const plaintext = countingBytes(100);
    const { nonce, sealed } = forgeFrame(key, messageId, "single", 1, plaintext);
    const messageKey = await messageKeyOf(engine, suite);
    const dst = new Uint8Array(100);
    const body = { messageId, nonce, ciphertext: sealed.subarray(0, 100), tag: sealed.subarray(100), dst };
    expect(await messageKey.openBody(body)).toBe(true);
    expectBytes(dst, plaintext);
    expect(await messageKey.openBody({ ...body, tag: flipBit(body.tag, 3) })).toBe(false);
    expectBytes(dst, new Uint8Array(100));
  },
);
