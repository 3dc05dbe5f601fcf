/** One contender in a process of its own: prepares a case, shows its result, and times rounds when told. */

import { createHash } from "node:crypto";
import { Bench } from "tinybench";
import { plaintextOf } from "./input.mjs";

/**
 * What a contender makes of a case. `seal` and `open` are timed; they may be async, and answer with the bytes or with
 * parts that stand for them in order. `alone`: another cipher or format, which agrees with nobody but itself.
 * @typedef {Uint8Array | readonly Uint8Array[]} Parts
 * @typedef {{ seal: () => Parts | Promise<Parts>, open: (sealed: Uint8Array) => Parts | Promise<Parts>, alone?: boolean }} Sealer
 * @typedef {Sealer | { run: () => unknown }} Subject `run`: nothing to open, nothing to agree on
 * @typedef {(case_: import("./measure.mjs").Case, plaintext: Uint8Array) => Subject | undefined | Promise<Subject | undefined>} Maker
 */

/** A timed call lasts at least this long, so that the clock's own cost does not show. */
const SHORTEST_CALL_MS = 0.1;
const CALIBRATION_MS = 20;

const [, , name = ""] = process.argv;
/** @type {{ subjects: Record<string, Maker>, version?: string, engine?: unknown }} */
const contender = await import(`../contenders/${name}.mjs`);

/** @param {Parts} parts */
function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts instanceof Uint8Array ? [parts] : parts) hash.update(part);
  return hash.digest("hex");
}

/** A copy in one piece. @param {Parts} parts */
const joined = (parts) => new Uint8Array(Buffer.concat(parts instanceof Uint8Array ? [parts] : [...parts]));

/** @param {() => unknown} call @param {number} times */
function repeat(call, times) {
  if (times === 1) return call;
  return () => {
    for (let i = 0; i < times; i++) call();
  };
}

/** How long one call takes. @param {() => unknown} call */
async function calibrate(call) {
  let calls = 0;
  let spent = 0;
  let async = false;
  while (spent < CALIBRATION_MS && calls < 50_000) {
    const started = performance.now();
    const result = call();
    async = result instanceof Promise;
    if (async) await result;
    spent += performance.now() - started;
    calls++;
  }
  return { async, callMs: spent / calls };
}

/** @type {{ subject: Sealer | undefined, plaintextDigest: string, run: () => unknown, times: number, callMs: number } | undefined} */
let current;
/** Made once for the cases of one size. */
let plaintext = new Uint8Array(0);

function prepared() {
  if (current === undefined) throw new Error("prepare first");
  return current;
}

const handlers = {
  about: async () => ({ version: contender.version, engine: contender.engine }),

  /** @param {{ case: import("./measure.mjs").Case }} request @returns what it made, or that it does not take part */
  async prepare({ case: case_ }) {
    current = undefined;
    if (plaintext.length !== case_.bytes) plaintext = plaintextOf(case_.bytes);
    const subject = await contender.subjects[case_.kind]?.(case_, plaintext);
    if (subject === undefined) return { takesPart: false };
    if ("run" in subject) {
      const { callMs } = await calibrate(subject.run);
      current = { subject: undefined, plaintextDigest: "", run: subject.run, times: 1, callMs };
      return { takesPart: true, alone: true };
    }
    const sealed = joined(await subject.seal());
    const plaintextDigest = digest(plaintext);
    if (digest(await subject.open(sealed)) !== plaintextDigest) throw new Error("does not open what it sealed");
    const call = case_.direction === "seal" ? subject.seal : () => subject.open(sealed);
    const { async, callMs } = await calibrate(call);
    const times = async ? 1 : Math.max(1, Math.ceil(SHORTEST_CALL_MS / callMs));
    current = { subject, plaintextDigest, run: repeat(call, times), times, callMs };
    const message = case_.crossOpen === true && subject.alone !== true ? sealed : undefined;
    return { takesPart: true, alone: subject.alone === true, digest: digest(sealed), message };
  },

  /** Opens another contender's message. @param {{ message: Uint8Array }} request */
  async agree({ message }) {
    const { subject, plaintextDigest } = prepared();
    return { agrees: subject !== undefined && digest(await subject.open(message)) === plaintextDigest };
  },

  /** One round: the mean of its calls in ms, so that garbage collection is paid by whoever makes it. @param {{ ms: number }} request */
  async round({ ms }) {
    const { run, times, callMs } = prepared();
    const warmup = callMs * times < ms / 5;
    const bench = new Bench({
      time: ms,
      iterations: 1,
      warmup,
      warmupTime: ms / 10,
      warmupIterations: 1,
      throws: true,
    });
    bench.add(name, run);
    const [task] = await bench.run();
    const result = task?.result;
    if (result === undefined || !("latency" in result)) throw new Error("the round was not measured");
    return { meanMs: result.latency.mean / times, calls: result.latency.samplesCount * times };
  },
};

process.on("message", async (/** @type {any} */ request) => {
  const verb = /** @type {keyof typeof handlers} */ (request.verb);
  try {
    process.send?.(await handlers[verb](request));
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});

// An exit of its own, not a signal: temporary folders go with it.
process.once("disconnect", () => process.exit());
