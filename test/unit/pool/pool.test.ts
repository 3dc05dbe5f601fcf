/** Large batches on several threads: the same bytes as on one, and no harm where threads fail. Threads run the built package. */

import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { overlap } from "../../../src/bytes.js";
import { DataKey } from "../../../src/engine/data-key.js";
import { opensslEngine } from "../../../src/engine/openssl.js";
import type { Engine, FrameBatch, MessageKey } from "../../../src/engine/port.js";
import { selectEngine } from "../../../src/engine/select.js";
import { openMessage } from "../../../src/envelope/decrypt.js";
import { sealMessage } from "../../../src/envelope/encrypt.js";
import { framesPlaintextBytes, framesWireBytes } from "../../../src/message/frames.js";
import { suiteOf } from "../../../src/message/suites.js";
import { checkPoolOptions, Pool, type PoolInternals, type PoolOptions } from "../../../src/pool/pool.js";
import {
  aesKeyring,
  countingBytes,
  expectBytes,
  expectCode,
  failureOf,
  flipBit,
  SeededRandom,
  SLOW,
} from "../../kit.js";

const WORKER = new URL("../../../dist/pool/worker.js", import.meta.url);
const DYING = new URL("../../fault/dying-helper.mjs", import.meta.url);
const MIB = 1024 * 1024;
const RANDOM_CASES = SLOW ? 3000 : 100;
const native = selectEngine("auto").name === "native";
if (!native) console.warn("SKIPPED test/unit/pool: the native engine is not here");

const pools: Pool[] = [];
function poolOf(options: PoolOptions = {}, internals: PoolInternals = {}): Pool {
  const all = { ...(checkPoolOptions({ threads: 2, inlineBelowBytes: 1, ...options }) as Required<PoolOptions>) };
  const pool = new Pool(all, { startAfterMs: 0, worker: WORKER, ...internals });
  pools.push(pool);
  return pool;
}
beforeAll(() => {
  if (!existsSync(fileURLToPath(WORKER))) throw new Error("dist/ is missing: npm run build");
});
afterAll(() => Promise.all(pools.map((pool) => pool.close())));

const messageId = countingBytes(32);
const keyOf = async (engine: Engine): Promise<MessageKey> =>
  engine.messageKey(DataKey.fromBytes(new Uint8Array(32).fill(7)), suiteOf(0x0478), messageId);

/** A batch to seal; `shared` puts it into shared memory. */
function batchOf(
  counts: { frameBytes: number; regularFrames: number; finalBytes?: number; firstSequence?: number },
  shared = false,
): FrameBatch {
  const all = { finalBytes: undefined, firstSequence: 1, ...counts };
  const array = (length: number) => new Uint8Array(shared ? new SharedArrayBuffer(length) : new ArrayBuffer(length));
  const src = array(framesPlaintextBytes(all));
  for (let i = 0; i < src.length; i++) src[i] = i ^ (i >>> 9);
  return { ...all, messageId, src, dst: array(framesWireBytes(all)) };
}

/** The batch that opens what `batch` sealed. */
const back = (batch: FrameBatch, dst: Uint8Array = new Uint8Array(batch.src.length)): FrameBatch => ({
  ...batch,
  src: batch.dst,
  dst,
});

/** Calls until a helper has joined one: they come when they come. */
async function untilJoined(pool: Pool, key: MessageKey): Promise<void> {
  const batch = batchOf({ frameBytes: 4096, regularFrames: 2048 });
  for (let i = 0; pool.info.joined === 0; i++) {
    if (i === 400) throw new Error(`no helper joined: ${JSON.stringify(pool.info)}`);
    await key.sealFrames(batch);
    await delay(15);
  }
}

describe.runIf(native)("the port", () => {
  test("helpers join, and leave when nothing comes", { timeout: 60_000 }, async () => {
    const pool = poolOf();
    expect(pool.info).toMatchObject({ threads: 2, started: false, joined: 0 });
    await untilJoined(pool, await keyOf(pool.behind(selectEngine())));
    expect(pool.info).toMatchObject({ threads: 2, started: true });
    expect(pool.info.lastFailure).toBeUndefined();
  });

  test("seals and opens the bytes that one thread does, in any memory", { timeout: 60_000 }, async () => {
    const pool = poolOf();
    const [one, several] = [await keyOf(selectEngine()), await keyOf(pool.behind(selectEngine()))];
    await untilJoined(pool, several);
    for (const counts of [
      { frameBytes: 4096, regularFrames: 255, finalBytes: 17 },
      { frameBytes: 4096, regularFrames: 1024 },
      { frameBytes: 4096, regularFrames: 16, finalBytes: 4096, firstSequence: 4_000_000_000 },
      { frameBytes: 1, regularFrames: 70_000, finalBytes: 0 },
      { frameBytes: 1000, regularFrames: 777, finalBytes: 999, firstSequence: 2 },
      { frameBytes: 65_536, regularFrames: 33, finalBytes: 1 },
      { frameBytes: 2 * MIB + 1, regularFrames: 3, finalBytes: 5 },
      { frameBytes: MIB, regularFrames: 40, finalBytes: 3 }, // more than one slice
      { frameBytes: 4096, regularFrames: 0, finalBytes: 4000 },
    ]) {
      for (const shared of [false, true]) {
        const [expected, batch] = [batchOf(counts), batchOf(counts, shared)];
        await one.sealFrames(expected);
        await several.sealFrames(batch);
        expectBytes(new Uint8Array(batch.dst), expected.dst);
        const opened = back(batch, shared ? new Uint8Array(new SharedArrayBuffer(batch.src.length)) : undefined);
        expect(await several.openFrames(opened)).toBe(true);
        expectBytes(new Uint8Array(opened.dst), expected.src);
        // In place: the plaintext where the ciphertext began.
        const place = back(batch, new Uint8Array(batch.dst.buffer, 0, batch.src.length));
        expect(overlap(place.src, place.dst)).toBe(true);
        expect(await several.openFrames(place)).toBe(true);
        expectBytes(new Uint8Array(place.dst), expected.src);
      }
    }
  });

  test(`${RANDOM_CASES} random batches against one thread`, { timeout: 60_000 }, async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now());
    console.log(`test/unit/pool: FUZZ_SEED=${seed}`);
    const random = new SeededRandom(seed);
    const pool = poolOf();
    const [one, several] = [await keyOf(selectEngine()), await keyOf(pool.behind(selectEngine()))];
    await untilJoined(pool, several);
    for (let i = 0; i < RANDOM_CASES; i++) {
      const frameBytes = 1 + random.below(random.pick([16, 300, 5000, 200_000]));
      const regularFrames = random.below(Math.ceil(2_000_000 / (frameBytes + 32)));
      const finalBytes = random.below(3) === 0 ? {} : { finalBytes: random.below(frameBytes + 1) };
      const counts = { frameBytes, regularFrames, ...finalBytes, firstSequence: 1 + random.below(2 ** 31) };
      const [expected, batch] = [batchOf(counts), batchOf(counts, random.below(2) === 0)];
      await one.sealFrames(expected);
      await several.sealFrames(batch);
      expectBytes(new Uint8Array(batch.dst), expected.dst);
      const opened = back(batch);
      expect(await several.openFrames(opened)).toBe(true);
      expectBytes(opened.dst, expected.src);
      // Sequence numbers are the parser's to check, and the final frame has its own layout: any other byte must count.
      const at = random.below(Math.max(1, regularFrames * (frameBytes + 32)));
      if (regularFrames === 0 || at % (frameBytes + 32) < 4) continue;
      batch.dst[at] = (batch.dst[at] as number) ^ (1 << random.below(8));
      opened.dst.fill(0xee);
      expect(await several.openFrames(opened)).toBe(false);
      expect(opened.dst.every((byte) => byte === 0)).toBe(true);
    }
  });

  test.each([1, 40 * MIB, 50_000_000])(
    "a wrong tag in a message of 50 MB (bit of byte %i): refused, all zeroed",
    {
      timeout: 60_000,
    },
    async (at) => {
      const pool = poolOf();
      const engine = pool.behind(selectEngine());
      await untilJoined(pool, await keyOf(engine));
      const plaintext = new Uint8Array(50_000_000).fill(0xa5);
      const options = { keyring: aesKeyring() };
      const message = await sealMessage(plaintext, options, engine);
      const out = new Uint8Array(plaintext.length).fill(0xee);
      expectBytes((await openMessage(message, { ...options, out }, engine)).plaintext, plaintext);
      const bad = flipBit(message, 8 * (message.length - plaintext.length > at ? message.length - 1 : at));
      const [pooled, bare] = [
        await failureOf(openMessage(bad, { ...options, out }, engine)),
        await failureOf(openMessage(bad, options, selectEngine())),
      ];
      expect(pooled).toMatchObject({ code: "ERR_DECRYPT" });
      expect([(pooled as Error).constructor, (pooled as Error).message]).toEqual([
        (bare as Error).constructor,
        (bare as Error).message,
      ]);
      expect(out.every((byte) => byte === 0)).toBe(true);
    },
  );

  test("an abort between two slices: its reason, the output zeroed, other work had its turn", async () => {
    const engine = poolOf().behind(selectEngine());
    const options = { keyring: aesKeyring() };
    const plaintext = new Uint8Array(80 * MIB).fill(1);
    const message = await sealMessage(plaintext, options, engine);
    const reason = new Error("enough");
    const out = new Uint8Array(message.length).fill(0xee);
    for (const call of [
      (signal: AbortSignal) => sealMessage(plaintext, { ...options, signal, out }, engine),
      (signal: AbortSignal) =>
        openMessage(message, { ...options, signal, out: out.subarray(0, plaintext.length) }, engine),
    ]) {
      out.fill(0xee);
      const abort = new AbortController();
      setImmediate(() => abort.abort(reason));
      expect(await failureOf(call(abort.signal))).toBe(reason);
      expect(out.subarray(0, plaintext.length).every((byte) => byte === 0)).toBe(true);
    }
  });

  test("memory taken away between two slices: refused", async () => {
    const key = await keyOf(poolOf().behind(selectEngine()));
    for (const name of ["src", "dst"] as const) {
      const batch = batchOf({ frameBytes: 4096, regularFrames: 16_384 });
      const sealing = key.sealFrames(batch);
      structuredClone(batch[name].buffer, { transfer: [batch[name].buffer as ArrayBuffer] });
      await expectCode(Promise.resolve(sealing), "ERR_INPUT");
    }
  });

  test("a key wiped between two slices: refused", async () => {
    const key = await keyOf(poolOf().behind(selectEngine()));
    const sealing = key.sealFrames(batchOf({ frameBytes: 4096, regularFrames: 16_384 }));
    key.wipe();
    await expectCode(Promise.resolve(sealing), "ERR_CLOSED");
  });

  test("closed: its threads go, work goes on", async () => {
    const pool = poolOf();
    const key = await keyOf(pool.behind(selectEngine()));
    await untilJoined(pool, key);
    await pool.close();
    await pool.close();
    const [batch, expected] = [
      batchOf({ frameBytes: 4096, regularFrames: 1024 }),
      batchOf({ frameBytes: 4096, regularFrames: 1024 }),
    ];
    await key.sealFrames(batch);
    await (await keyOf(selectEngine())).sealFrames(expected);
    expectBytes(batch.dst, expected.dst);
    expect(pool.info.started).toBe(false);
    expect(pool.info.lastFailure).toBeUndefined();
  });
});

describe.runIf(native)("threads that die", () => {
  test.each(["exit", "throw", "module"])(
    "by %s: ERR_WORKER_DIED is told, every batch is right, and in the end nobody is asked",
    {
      timeout: 60_000,
    },
    async (how) => {
      const pool = poolOf({ threads: 1 }, { worker: new URL(`${DYING.href}${how === "module" ? ".missing" : ""}`) });
      process.env.KEYLADDER_TEST_DEATH = how;
      const [one, several] = [await keyOf(selectEngine()), await keyOf(pool.behind(selectEngine()))];
      const counts = { frameBytes: 4096, regularFrames: 2048, finalBytes: 9 };
      const [expected, batch] = [batchOf(counts), batchOf(counts)];
      await one.sealFrames(expected);
      for (let i = 0; pool.info.threads > 0; i++) {
        if (i === 600) throw new Error(`nobody died: ${JSON.stringify(pool.info)}`);
        batch.dst.fill(0);
        await several.sealFrames(batch);
        expectBytes(batch.dst, expected.dst);
        await delay(10);
      }
      expect(pool.info.lastFailure).toMatchObject({ code: "ERR_WORKER_DIED", retryable: true });
      await several.sealFrames(batch);
      expectBytes(batch.dst, expected.dst);
    },
  );

  test("one death is made good by a fresh thread", { timeout: 60_000 }, async () => {
    process.env.KEYLADDER_TEST_DEATH = "once";
    process.env.KEYLADDER_TEST_MARK = join(await mkdtemp(join(tmpdir(), "keyladder-pool-")), "died");
    const pool = poolOf({ threads: 1 }, { worker: DYING });
    await untilJoined(pool, await keyOf(pool.behind(selectEngine())));
    expect(existsSync(process.env.KEYLADDER_TEST_MARK)).toBe(true);
    expect(pool.info).toMatchObject({ threads: 1, started: true, lastFailure: { code: "ERR_WORKER_DIED" } });
  });
});

describe("options", () => {
  test.each([null, 3, "2", { threads: -1 }, { threads: 1.5 }, { threads: "2" }, { inlineBelowBytes: -1 }, { size: 2 }])(
    "%j is refused",
    async (options) => {
      await expectCode(() => checkPoolOptions(options), "ERR_INPUT");
    },
  );

  test("defaults; false is none", () => {
    expect(checkPoolOptions(false)).toBeUndefined();
    expect(checkPoolOptions(undefined)?.inlineBelowBytes).toBe(262_144);
    expect(checkPoolOptions({ threads: 5, inlineBelowBytes: 0 })).toEqual({ threads: 5, inlineBelowBytes: 0 });
  });

  test("an engine whose keys no other thread can use, and a pool of no threads, stay as they are", () => {
    expect(poolOf().behind(opensslEngine)).toBe(opensslEngine);
    const engine = selectEngine();
    expect(poolOf({ threads: 0 }).behind(engine)).toBe(engine);
  });
});
