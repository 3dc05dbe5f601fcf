// Run by any version of Node: the built package over the native addon, in the main thread and in a worker.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { loadAddon } from "../dist/engine/addon.js";
import { decrypt, encrypt, engineInfo, rawAesKeyring } from "../dist/index.js";

const { addon, why } = loadAddon();
assert.ok(addon, why);
const { engine, kernel, keyMemory } = engineInfo();
assert.equal(engine, "native");
assert.equal(keyMemory.guarded, true);

const keyring = rawAesKeyring({ namespace: "test", name: "key", key: new Uint8Array(32).fill(1) });
for (const bytes of [0, 1, 1024, 1_000_000]) {
  const plaintext = new Uint8Array(bytes).fill(7);
  const message = await encrypt(plaintext, { keyring });
  assert.deepEqual((await decrypt(message, { keyring })).plaintext, plaintext);
  message[message.length - 1] ^= 1;
  await assert.rejects(decrypt(message, { keyring }), { code: "ERR_DECRYPT" });
}

const nonce = new Uint8Array(12);
const none = new Uint8Array(0);
const text = new Uint8Array(100).fill(9);
const raw = addon.keyImport(new Uint8Array(32).fill(2));
const key = addon.gcmKey(raw, 0);
const codeOf = (answer) => addon.errors[-1 - answer]?.code;

// Memory that other threads share: sealed into, opened into, zeroed where the tag is wrong.
const sealed = new Uint8Array(new SharedArrayBuffer(116));
const opened = new Uint8Array(new SharedArrayBuffer(100));
assert.equal(addon.seal(key, nonce, none, text, sealed), 0);
assert.equal(addon.open(key, nonce, none, sealed, opened), 1);
assert.deepEqual([...opened], [...text]);
sealed[0] ^= 1;
assert.equal(addon.open(key, nonce, none, sealed, opened), 0);
assert.ok(opened.every((byte) => byte === 0));
sealed[0] ^= 1;

const gone = new Uint8Array(116);
structuredClone(gone.buffer, { transfer: [gone.buffer] });
assert.equal(codeOf(addon.seal(key, nonce, none, text, gone)), "ERR_INPUT");

// A worker seals with this thread's key; its own keys end with it.
const worker = new Worker(new URL("unit/engine/native-worker.mjs", import.meta.url), {
  workerData: { task: "seal", key, plaintext: text },
});
const exited = once(worker, "exit");
const [answer] = await once(worker, "message");
assert.equal(answer.answer, 0);
assert.deepEqual([...answer.dst], [...sealed]);
await exited;
const maker = new Worker(new URL("unit/engine/native-worker.mjs", import.meta.url), {
  workerData: { task: "make", bytes: new Uint8Array(32) },
});
const ended = once(maker, "exit");
const [made] = await once(maker, "message");
await ended;
assert.equal(codeOf(addon.seal(made.key, nonce, none, text, sealed)), "ERR_CLOSED");

assert.equal(addon.keyDispose(key), 0);
assert.equal(codeOf(addon.keyDispose(key)), "ERR_CLOSED");
console.log(`Node ${process.versions.node}: ${engine} ${kernel}, keys in guarded memory`);
