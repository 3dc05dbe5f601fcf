/** keyladder: its engine's own port for bytes, frames and records; its public face for everything else. */

import { setTimeout } from "node:timers/promises";
import {
  cachingKeyring,
  DataKey,
  decrypt,
  decryptStream,
  encrypt,
  encryptStream,
  engineInfo,
  rawAesKeyring,
} from "../../dist/index.js";
import { suiteOf } from "../../dist/message/suites.js";
import { defaultEngine } from "../../dist/pool/default.js";
import { through } from "../harness/chunks.mjs";
import { FRAME_BYTES, FRAMES_SUITE, framesWireBytes } from "../harness/frame-loop.mjs";
import { CONTEXT, KEY, KEY_NAME, MESSAGE_ID, NONCE, noncesOf } from "../harness/input.mjs";
import { offsetsOf, RECORD_PREFIX } from "../harness/record-loop.mjs";
import { arenaSubject, bufferSubject } from "./keyladder-native.mjs";

export const engine = engineInfo();
export const version = [engine.engine, engine.kernel].filter((part) => part !== undefined).join(" ");

const NO_PREFIX = new Uint8Array(0);
const OVERHEAD_BYTES = 12 + 16;

/**
 * Equal records in arenas that are kept, as `ladder.records` holds them.
 * @param {Uint8Array} plaintext @param {number} count @param {Uint8Array} prefix @param {Uint8Array} nonces
 */
function recordSubject(plaintext, count, prefix, nonces) {
  const key = defaultEngine().recordKey(DataKey.fromBytes(new Uint8Array(KEY)), { name: "aes-gcm" });
  const recordBytes = plaintext.length / count;
  const overhead = prefix.length + OVERHEAD_BYTES;
  const dst = new Uint8Array(plaintext.length + count * overhead);
  const opened = new Uint8Array(plaintext.length);
  const dstOffsets = new Uint32Array(count + 1);
  const status = new Uint8Array(count);
  const aad = undefined;
  const sealing = { prefix, src: plaintext, srcOffsets: offsetsOf(count, recordBytes), aad, nonces, dst, dstOffsets };
  const opening = {
    prefix,
    src: /** @type {Uint8Array} */ (dst),
    srcOffsets: offsetsOf(count, recordBytes + overhead),
    aad,
    dst: opened,
    dstOffsets,
    status,
  };
  return {
    seal: () => {
      key.sealRecords(sealing);
      return dst;
    },
    /** @param {Uint8Array} sealed */
    open: (sealed) => {
      opening.src = sealed;
      if (key.openRecords(opening) !== 0) throw new Error("a record did not open");
      return opened;
    },
  };
}

/** How long a pool gets to start, and its threads to come. */
const POOL_START_MS = 600;

/**
 * A pool starts after some large work, and a thread comes only when the event loop turns, which timed calls do not let it.
 * @param {() => unknown} work
 */
async function startPool(work) {
  if (engineInfo().pool.threads === 0) return;
  for (const end = performance.now() + POOL_START_MS; performance.now() < end; ) {
    for (const pause = performance.now() + 10; performance.now() < pause; ) await work();
    await setTimeout(1);
  }
}

/** One buffer through the port, for engines without a call of its own for it. @param {Uint8Array} plaintext */
function oneRecord(plaintext) {
  const { seal, open } = recordSubject(plaintext, 1, NO_PREFIX, NONCE);
  // The nonce travels in front of a record; the other contenders' outputs begin behind it.
  const whole = new Uint8Array(plaintext.length + OVERHEAD_BYTES);
  whole.set(NONCE);
  /** @type {Uint8Array | undefined} */
  let holds;
  return {
    seal: () => seal().subarray(NONCE.length),
    /** @param {Uint8Array} sealed */
    open: (sealed) => {
      if (holds !== sealed) whole.set(sealed, NONCE.length);
      holds = sealed;
      return open(whole);
    },
  };
}

/** @param {import("../harness/measure.mjs").Case} case_ */
function keyringOf({ options }) {
  const raw = rawAesKeyring({ ...KEY_NAME, key: KEY });
  return options?.cached === true ? cachingKeyring(raw, { maxAge: "10m" }) : raw;
}

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  aead: async (_case, plaintext) => (await bufferSubject(plaintext)) ?? oneRecord(plaintext),
  arena: async (_case, plaintext) => (await arenaSubject(plaintext)) ?? oneRecord(plaintext),

  frames: async ({ bytes }, plaintext) => {
    const dataKey = DataKey.fromBytes(new Uint8Array(KEY));
    const key = await defaultEngine().messageKey(dataKey, suiteOf(FRAMES_SUITE), MESSAGE_ID);
    const counts = { frameBytes: FRAME_BYTES, regularFrames: bytes / FRAME_BYTES, finalBytes: undefined };
    const batch = { messageId: MESSAGE_ID, firstSequence: 1, ...counts };
    const wire = new Uint8Array(framesWireBytes(bytes));
    const opened = new Uint8Array(bytes);
    const sealing = { ...batch, src: plaintext, dst: wire };
    if (bytes >= engineInfo().pool.inlineBelowBytes) await startPool(() => key.sealFrames(sealing));
    /** @param {boolean} authentic */
    const release = (authentic) => {
      if (!authentic) throw new Error("a frame did not open");
      return opened;
    };
    return {
      seal: () => {
        const sealed = key.sealFrames(sealing);
        return sealed instanceof Promise ? sealed.then(() => wire) : wire;
      },
      open: (sealed) => {
        const answer = key.openFrames({ ...batch, src: sealed, dst: opened });
        return answer instanceof Promise ? answer.then(release) : release(answer);
      },
    };
  },

  records: ({ items = 1 }, plaintext) => recordSubject(plaintext, items, RECORD_PREFIX, noncesOf(items)),

  messages: (case_, plaintext) => {
    const keyring = keyringOf(case_);
    const { suite, reused } = case_.options ?? {};
    const room = Math.ceil(case_.bytes * 1.01) + 4096;
    const sealedOut = reused ? { out: new Uint8Array(room) } : {};
    const openedOut = reused ? { out: new Uint8Array(case_.bytes) } : {};
    return {
      seal: () => encrypt(plaintext, { keyring, context: CONTEXT, suite, ...sealedOut }),
      open: async (message) => (await decrypt(message, { keyring, ...openedOut })).plaintext,
    };
  },

  streams: (case_, plaintext) => {
    const keyring = keyringOf(case_);
    const { suite } = case_.options ?? {};
    return {
      seal: () => through(plaintext, encryptStream({ keyring, context: CONTEXT, suite })),
      open: (message) => through(message, decryptStream({ keyring })),
    };
  },

  keyset: async (case_, plaintext) => (await import("./keyladder-ladder.mjs")).keysetSubject(case_, plaintext),

  ladder: async (case_, plaintext) => (await import("./keyladder-ladder.mjs")).ladderSubject(case_, plaintext),
};
