// A worker that seals with keys of another thread, as the tests of the native engine tell it.

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parentPort, workerData } from "node:worker_threads";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const addon = createRequire(import.meta.url)("node-gyp-build")(root);
const nonce = new Uint8Array(12);
const none = new Uint8Array(0);

const tasks = {
  /** Seals once with a key of the main thread. */
  seal({ key, plaintext }) {
    const dst = new Uint8Array(plaintext.length + 16);
    return { answer: addon.seal(key, nonce, none, plaintext, dst), dst };
  },
  /** Makes a key that belongs to this thread, and may exit at once. */
  make({ bytes, exit }) {
    const raw = addon.keyImport(bytes);
    const key = addon.gcmKey(raw, 0);
    if (exit) setImmediate(() => process.exit());
    return { raw, key };
  },
  /** Binds a lane and leaves it so. */
  bind: ({ key }) => addon.laneBind(key, new Uint8Array(new SharedArrayBuffer(64))),
  /** Seals until the key is gone; every ciphertext before that must be the expected one. */
  sealUntilGone({ key, plaintext, expected, flag }) {
    const dst = new Uint8Array(plaintext.length + 16);
    Atomics.add(flag, 0, 1);
    Atomics.notify(flag, 0);
    for (let sealed = 0; ; sealed++) {
      dst.fill(0);
      const answer = addon.seal(key, nonce, none, plaintext, dst);
      if (answer < 0) return { sealed, code: addon.errors[-1 - answer].code, wrong: 0 };
      if (Buffer.compare(dst, expected) !== 0) return { sealed, code: "", wrong: 1 };
    }
  },
};

parentPort.postMessage(tasks[workerData.task](workerData));
