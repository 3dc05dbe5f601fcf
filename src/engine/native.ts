/** The AEAD port over the native addon: one call a batch, keys in its locked memory, answers at once. Node only. */

import { ascii, type Bytes, concat, EMPTY, u16, writeU16 } from "../bytes.js";
import { bodyAad } from "../message/frames.js";
import { COMMITMENT_BYTES, MESSAGE_ID_BYTES, TAG_BYTES } from "../message/limits.js";
import { ALL_SUITES, type HashName, type Suite } from "../message/suites.js";
import { type Addon, checked, type KeyHandle } from "./addon.js";
import { type DataKey, dataKeyHandle, useDataKey } from "./data-key.js";
import { NativeRecordKey } from "./native-records.js";
import type { Engine, FrameBatch, MessageKey } from "./port.js";
import { checkXaes } from "./record-batch.js";

const HASHES: Readonly<Record<HashName, { readonly number: number; readonly zeros: Bytes }>> = {
  sha256: { number: 256, zeros: new Uint8Array(32) },
  sha384: { number: 384, zeros: new Uint8Array(48) },
  sha512: { number: 512, zeros: new Uint8Array(64) },
};
const COMMIT_INFO = ascii("COMMITKEY");
const DERIVE_INFO: ReadonlyMap<number, Bytes> = new Map(
  ALL_SUITES.map(({ id }) => [id, concat(u16(id), ascii("DERIVEKEY"))]),
);

// Arguments of a call are copied here: memory that the addon has seen once costs it less than a fresh small array.
const v1Info = new Uint8Array(new ArrayBuffer(2 + MESSAGE_ID_BYTES[1]));
const commitmentOut = new Uint8Array(new ArrayBuffer(COMMITMENT_BYTES));
const tagOut = new Uint8Array(new ArrayBuffer(TAG_BYTES));

/** The engine over one kernel, by its number in `info().kernels`. */
export function nativeEngine(addon: Addon, kernel: number, name: string): Engine {
  return {
    name: "native",
    kernel: name,
    messageKey: (dataKey, suite, messageId) =>
      withHandle(addon, dataKey, (raw) => deriveMessageKey(addon, raw, kernel, suite, messageId)),
    recordKey(dataKey, algorithm) {
      if (algorithm.name !== "aes-gcm") checkXaes(algorithm, dataKey.byteLength);
      const saltBytes = algorithm.name === "aes-gcm" ? 0 : algorithm.saltBytes;
      return withHandle(addon, dataKey, (raw) => new NativeRecordKey(addon, raw, kernel, saltBytes));
    },
  };
}

/** Lends a data key's handle to `fn`; where its bytes are in JavaScript, one that lives as long as the call. */
function withHandle<T>(addon: Addon, dataKey: DataKey, fn: (raw: KeyHandle) => T): T {
  const handle = dataKeyHandle(dataKey);
  if (handle !== undefined) return fn(handle);
  const own = checked(
    addon,
    useDataKey(dataKey, (bytes) => addon.keyImport(bytes)),
  );
  try {
    return fn(own);
  } finally {
    addon.keyDispose(own);
  }
}

/** Message key and commitment (format: "derivation"), expanded, in one call. */
function deriveMessageKey(
  addon: Addon,
  raw: KeyHandle,
  kernel: number,
  suite: Suite,
  messageId: Uint8Array,
): NativeMessageKey {
  if (suite.kdf === undefined) return new NativeMessageKey(addon, checked(addon, addon.gcmKey(raw, kernel)), undefined);
  const hash = HASHES[suite.kdf];
  const keyBytes = suite.dataKeyBytes;
  if (suite.committing) {
    const info = DERIVE_INFO.get(suite.id) as Bytes;
    const key = addon.messageKey(raw, kernel, hash.number, keyBytes, messageId, info, COMMIT_INFO, commitmentOut);
    return new NativeMessageKey(addon, checked(addon, key), commitmentOut.slice());
  }
  writeU16(v1Info, 0, suite.id);
  v1Info.set(messageId, 2);
  const key = addon.messageKey(raw, kernel, hash.number, keyBytes, hash.zeros, v1Info, EMPTY, EMPTY);
  return new NativeMessageKey(addon, checked(addon, key), undefined);
}

/** Wiped by its owner on every path: a registry of those forgotten would cost a small message more than its frames. */
export class NativeMessageKey implements MessageKey {
  readonly commitment: Bytes | undefined;
  /** Valid in every thread of this process until `wipe`. */
  readonly handle: KeyHandle;
  readonly #addon: Addon;

  constructor(addon: Addon, handle: KeyHandle, commitment: Bytes | undefined) {
    this.#addon = addon;
    this.handle = handle;
    this.commitment = commitment;
  }

  sealHeader(nonce: Uint8Array, aad: Uint8Array): Uint8Array {
    checked(this.#addon, this.#addon.sealHeader(this.handle, nonce, aad, tagOut));
    return tagOut.slice();
  }

  openHeader(nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): boolean {
    return checked(this.#addon, this.#addon.openHeader(this.handle, nonce, aad, tag)) === 1;
  }

  /** @param pieceBytes above 0: in pieces of about so much plaintext, which threads that help join in */
  sealFrames(batch: FrameBatch, pieceBytes = 0): void {
    this.#frames(batch, this.#addon.sealFrames, pieceBytes);
  }

  /** @param pieceBytes as in `sealFrames` */
  openFrames(batch: FrameBatch, pieceBytes = 0): boolean {
    return this.#frames(batch, this.#addon.openFrames, pieceBytes) === 1;
  }

  openBody({ messageId, nonce, ciphertext, tag, dst }: Parameters<MessageKey["openBody"]>[0]): boolean {
    const aad = bodyAad(messageId, "single", ciphertext.length);
    aad.setSequence(1);
    return checked(this.#addon, this.#addon.open(this.handle, nonce, aad.bytes, ciphertext, dst, tag)) === 1;
  }

  wipe(): void {
    this.#addon.keyDispose(this.handle);
  }

  #frames(batch: FrameBatch, call: Addon["sealFrames"], pieceBytes: number): number {
    const { messageId, frameBytes, firstSequence, regularFrames, finalBytes, src, dst } = batch;
    const { handle } = this;
    const answer =
      pieceBytes === 0
        ? call(handle, messageId, frameBytes, firstSequence, regularFrames, finalBytes, src, dst)
        : call(handle, messageId, frameBytes, firstSequence, regularFrames, finalBytes, src, dst, pieceBytes);
    return checked(this.#addon, answer);
  }
}
