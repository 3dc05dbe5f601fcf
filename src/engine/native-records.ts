/** Records over the native addon: one call a batch, AES-GCM or XAES-256-GCM. Node only. */

import { NONCE_BYTES } from "../message/limits.js";
import { type Addon, checked, failureOf, type KeyHandle, loadAddon } from "./addon.js";
import type { OpenRecords, RecordKey, SealRecords } from "./port.js";
import { checkOpenBatch, checkSealBatch, recordOverhead } from "./record-batch.js";

/** Frees the slots of record keys that nobody wiped. */
const abandoned = new FinalizationRegistry<KeyHandle>((handle) => loadAddon().addon?.keyDispose(handle));

/** The addon checks a batch; where it refuses one, the common checks say in words why. */
export class NativeRecordKey implements RecordKey {
  readonly nonceBytes: number;
  readonly #addon: Addon;
  readonly #handle: KeyHandle;
  readonly #saltBytes: number;

  /**
   * @param raw borrowed: 16, 24 or 32 bytes; 32 for XAES-256-GCM
   * @param saltBytes 0 for AES-GCM
   */
  constructor(addon: Addon, raw: KeyHandle, kernel: number, saltBytes: number) {
    this.#addon = addon;
    this.#handle = checked(addon, addon.gcmKey(raw, kernel));
    this.#saltBytes = saltBytes;
    this.nonceBytes = saltBytes + NONCE_BYTES;
    abandoned.register(this, this.#handle, this);
  }

  sealRecords(batch: SealRecords): void {
    const { prefix, nonces, src, srcOffsets, aad, dst, dstOffsets } = batch;
    const answer = this.#addon.sealRecords(
      this.#handle,
      this.#saltBytes,
      prefix,
      nonces,
      src,
      srcOffsets,
      aad?.bytes,
      aad?.offsets,
      dst,
      dstOffsets,
    );
    if (answer === 0) return;
    checkSealBatch(batch, this.nonceBytes);
    throw failureOf(this.#addon, answer);
  }

  openRecords(batch: OpenRecords): number {
    const { prefix, src, srcOffsets, aad, dst, dstOffsets, status } = batch;
    const answer = this.#addon.openRecords(
      this.#handle,
      this.#saltBytes,
      prefix,
      src,
      srcOffsets,
      aad?.bytes,
      aad?.offsets,
      dst,
      dstOffsets,
      status,
    );
    if (answer >= 0) return answer;
    checkOpenBatch(batch, recordOverhead(prefix, this.nonceBytes));
    throw failureOf(this.#addon, answer);
  }

  wipe(): void {
    this.#addon.keyDispose(this.#handle);
    abandoned.unregister(this);
  }
}
