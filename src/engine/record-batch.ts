/** What every engine asks of a batch of records before it touches a byte of it. */

import { overlap, unshared } from "../bytes.js";
import { InputError } from "../errors.js";
import { TAG_BYTES } from "../message/limits.js";
import type { Offsets, OpenRecords, RecordAlgorithm, SealRecords } from "./port.js";

/** What of a batch was checked: copies where another thread could change it meanwhile (ladder rule 5). */
export interface CheckedBatch {
  readonly src: Uint8Array;
  readonly srcOffsets: Offsets;
  readonly aad: SealRecords["aad"];
}

const MAX_PREFIX_BYTES = 16;
const MIN_SALT_BYTES = 8;
const MAX_SALT_BYTES = 12;
const XAES_KEY_BYTES = 32;

/** Bytes a sealed record has more than its plaintext. */
export function recordOverhead(prefix: Uint8Array, nonceBytes: number): number {
  return prefix.length + nonceBytes + TAG_BYTES;
}

/** @throws InputError ERR_INPUT where XAES-256-GCM takes neither such a key nor such a salt */
export function checkXaes({ saltBytes }: Extract<RecordAlgorithm, { saltBytes: number }>, keyBytes: number): void {
  if (keyBytes !== XAES_KEY_BYTES) throw new InputError("ERR_INPUT", "XAES-256-GCM expected a key of 32 bytes");
  if (!Number.isInteger(saltBytes) || saltBytes < MIN_SALT_BYTES || saltBytes > MAX_SALT_BYTES) {
    throw new InputError("ERR_INPUT", `"saltBytes" expected ${MIN_SALT_BYTES} to ${MAX_SALT_BYTES}`);
  }
}

/** @throws InputError ERR_INPUT, ERR_OUTPUT_TOO_SMALL (`neededBytes`), ERR_OVERLAP */
export function checkSealBatch(batch: SealRecords, nonceBytes: number): CheckedBatch {
  const { src, dst, nonces } = batch;
  const checked = checkBatch(batch);
  const offsets = checked.srcOffsets;
  const count = offsets.length - 1;
  if (nonces.length !== count * nonceBytes) {
    throw new InputError("ERR_INPUT", `"nonces" expected ${count * nonceBytes} bytes, got ${nonces.length}`);
  }
  const bytes = (offsets[count] as number) - (offsets[0] as number);
  checkRoom(batch, bytes + count * recordOverhead(batch.prefix, nonceBytes));
  disjoint(dst, [src, batch.aad?.bytes, nonces, batch.prefix]);
  return checked;
}

/** @throws InputError ERR_INPUT, ERR_OUTPUT_TOO_SMALL (`neededBytes`), ERR_OVERLAP */
export function checkOpenBatch(batch: OpenRecords, overhead: number): CheckedBatch {
  const checked = checkBatch(batch);
  const offsets = checked.srcOffsets;
  const count = offsets.length - 1;
  if (batch.status.length !== count) {
    throw new InputError("ERR_INPUT", `"status" expected ${count} bytes, got ${batch.status.length}`);
  }
  let needed = 0;
  for (let i = 0; i < count; i++) {
    needed += Math.max(0, (offsets[i + 1] as number) - (offsets[i] as number) - overhead);
  }
  checkRoom(batch, needed);
  disjoint(batch.dst, [batch.src, batch.aad?.bytes, batch.prefix, batch.status]);
  return checked;
}

function checkBatch({ prefix, src, srcOffsets, aad, dstOffsets }: SealRecords | OpenRecords): CheckedBatch {
  if (prefix.length > MAX_PREFIX_BYTES) {
    throw new InputError("ERR_INPUT", `"prefix" expected at most ${MAX_PREFIX_BYTES} bytes, got ${prefix.length}`);
  }
  const offsets = checkOffsets(srcOffsets, src, "offsets");
  if (dstOffsets.length !== offsets.length) {
    throw new InputError("ERR_INPUT", `"dstOffsets" expected ${offsets.length} numbers, got ${dstOffsets.length}`);
  }
  if (aad === undefined) return { src: unshared(src), srcOffsets: offsets, aad };
  const aadOffsets = checkOffsets(aad.offsets, aad.bytes, "aad offsets");
  if (aadOffsets.length !== offsets.length) {
    throw new InputError("ERR_INPUT", `"aad" expected ${offsets.length} offsets, got ${aadOffsets.length}`);
  }
  return { src: unshared(src), srcOffsets: offsets, aad: { bytes: unshared(aad.bytes), offsets: aadOffsets } };
}

/** Ascending, from 0 or more, to no more than the bytes there are. @throws InputError ERR_INPUT */
function checkOffsets(given: Offsets, bytes: Uint8Array, what: string): Offsets {
  const offsets = given.buffer instanceof ArrayBuffer ? given : given.slice();
  if (offsets.length === 0)
    throw new InputError("ERR_INPUT", `"${what}" expected one number more than there are values`);
  let last = 0;
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i] as number;
    if (offset < last) throw new InputError("ERR_INPUT", `"${what}" decrease or are negative at ${i}`, { index: i });
    last = offset;
  }
  if (last > bytes.length) {
    throw new InputError("ERR_INPUT", `"${what}" end at ${last}, behind the ${bytes.length} bytes there are`);
  }
  return offsets;
}

/** @throws InputError ERR_OUTPUT_TOO_SMALL with `neededBytes` · ERR_INPUT past what the offsets can say */
function checkRoom({ dst, dstOffsets }: SealRecords | OpenRecords, needed: number): void {
  const most = dstOffsets instanceof Int32Array ? 0x7fffffff : 0xffffffff;
  if (needed > most)
    throw new InputError("ERR_INPUT", `the output of ${needed} bytes exceeds what its offsets can say`);
  if (needed <= dst.length) return;
  const message = `"out" expected at least ${needed} bytes, got ${dst.length}`;
  throw new InputError("ERR_OUTPUT_TOO_SMALL", message, { neededBytes: needed });
}

function disjoint(dst: Uint8Array, others: readonly (Uint8Array | undefined)[]): void {
  for (const other of others) {
    if (other !== undefined && overlap(dst, other)) throw new InputError("ERR_OVERLAP", '"out" overlaps an input');
  }
}
