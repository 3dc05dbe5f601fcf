/**
 * Seals and opens a stream of 4 GiB (or the given number of MiB) and reports the peak resident memory.
 *   node bench/stream-memory.mjs [MIB] [MAX_RSS_MB]
 * Exits 1 where the plaintext does not come back or the peak exceeds the bound.
 */

import { createHash, randomBytes } from "node:crypto";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { decryptStream, encryptStream, rawAesKeyring } from "../dist/index.js";

const [mib = 4096, maxMb = 150] = process.argv.slice(2).map(Number);
const keyring = rawAesKeyring({ namespace: "bench", name: "stream", key: randomBytes(32) });
const chunk = randomBytes(1024 * 1024);
const sent = createHash("sha256");
const received = createHash("sha256");
let bytes = 0;

async function* source() {
  for (let i = 0; i < mib; i++) {
    chunk.writeUInt32BE(i, 0);
    sent.update(chunk);
    yield new Uint8Array(chunk);
  }
}

const started = performance.now();
await pipeline(
  Readable.from(source()),
  /** @type {any} */ (encryptStream({ keyring })),
  /** @type {any} */ (decryptStream({ keyring })),
  new Writable({
    write(/** @type {Uint8Array} */ data, _encoding, done) {
      received.update(data);
      bytes += data.length;
      done();
    },
  }),
);
const seconds = (performance.now() - started) / 1000;
const peakMb = process.resourceUsage().maxRSS / 1024;
const same = bytes === mib * chunk.length && sent.digest("hex") === received.digest("hex");
console.log(
  `${mib} MiB sealed and opened in ${seconds.toFixed(1)} s (${(bytes / 1e6 / seconds).toFixed(0)} MB/s both ways), ` +
    `peak RSS ${peakMb.toFixed(0)} MB (bound ${maxMb}), plaintext ${same ? "the same" : "DIFFERS"}`,
);
process.exitCode = same && peakMb <= maxMb ? 0 : 1;
