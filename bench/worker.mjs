/** One contender in a process of its own: prepares a case, shows its message, and times rounds when told. */

import { createHash, hkdfSync } from "node:crypto";
import { Bench } from "tinybench";

const [, , name = ""] = process.argv;
const { contender } = await import(`./contenders/${name}.mjs`);
const key = new Uint8Array(hkdfSync("sha256", "bench", "", "wrapping key", 32));

/** The same plaintext in every process. @param {number} bytes */
function plaintextOf(bytes) {
  const plaintext = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i++) plaintext[i] = (i * 2654435761) >>> 24;
  return plaintext;
}

/** @param {Uint8Array} bytes */
const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** @type {{ run: () => Promise<unknown>, subject: ReturnType<typeof contender>, plaintext: Uint8Array } | undefined} */
let current;

const handlers = {
  /** @param {{ case: import("./cases.mjs").Case }} request */
  async prepare({ case: { plaintextBytes, cached, reused, direction } }) {
    const outBytes = reused ? Math.ceil(plaintextBytes * 1.01) + 4096 : 0;
    const subject = contender({ key, cached, outBytes });
    const plaintext = plaintextOf(plaintextBytes);
    const message = new Uint8Array(await subject.encrypt(plaintext));
    const run = direction === "encrypt" ? () => subject.encrypt(plaintext) : () => subject.decrypt(message);
    current = { run, subject, plaintext };
    return { message };
  },
  /** Opens the other contender's message: both must agree before anything is timed. @param {{ message: Uint8Array }} request */
  async agree({ message }) {
    if (current === undefined) throw new Error("prepare first");
    return { agrees: digest(await current.subject.decrypt(message)) === digest(current.plaintext) };
  },
  /** One round: the mean of its calls in ms, so that garbage collection is paid by whoever makes it. @param {{ ms: number }} request */
  async round({ ms }) {
    if (current === undefined) throw new Error("prepare first");
    const bench = new Bench({ time: ms, iterations: 1, warmupTime: ms / 5, warmupIterations: 1, throws: true });
    bench.add(name, current.run);
    const [task] = await bench.run();
    const result = task?.result;
    if (result === undefined || !("latency" in result)) throw new Error("the round was not measured");
    return { meanMs: result.latency.mean, calls: result.latency.samplesCount };
  },
};

process.on("message", async (/** @type {{ verb: keyof typeof handlers } & any} */ request) => {
  try {
    process.send?.(await handlers[request.verb](request));
  } catch (error) {
    process.send?.({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
