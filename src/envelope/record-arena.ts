/** Many records in one call of the engine: values back to back, and where each begins. */

import { wipe } from "../bytes.js";
import type { Offsets, RecordStatus } from "../engine/port.js";
import { DecryptError, FormatError, InputError } from "../errors.js";
import { beginsWith, type RecordKeys, type UsableKey } from "./record-keys.js";
import type { NoncePool } from "./record-nonces.js";

/** Arrow's variable-binary layout: value i is bytes `offsets[i]` to `offsets[i + 1]`; one offset more than values. */
export interface Arena {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array | Int32Array;
}

const OPENED: RecordStatus = 0;
const NOT_AUTHENTIC: RecordStatus = 1;
const OTHER_PREFIX: RecordStatus = 2;
const TOO_SHORT: RecordStatus = 3;

/** @throws InputError ERR_INPUT */
export function checkArena(given: unknown, name: string): Arena {
  const { bytes, offsets } = (given ?? {}) as Partial<Arena>;
  const isArena =
    bytes instanceof Uint8Array &&
    (offsets instanceof Uint32Array || offsets instanceof Int32Array) &&
    offsets.length > 0;
  if (!isArena)
    throw new InputError("ERR_INPUT", `"${name}" expected { bytes, offsets }, with one offset more than values`);
  return { bytes, offsets };
}

/** How many bytes the values take. Offsets in between are the engine's to check. @throws InputError ERR_INPUT */
function valueBytes({ bytes, offsets }: Arena): number {
  const first = offsets[0] as number;
  const last = offsets[offsets.length - 1] as number;
  if (first >= 0 && first <= last && last <= bytes.length) return last - first;
  throw new InputError("ERR_INPUT", `"offsets" go from ${first} to ${last}, in ${bytes.length} bytes`);
}

/** Where results go: the caller's arena, cut to the count of values, or a fresh one. */
function outputOf(out: Arena | undefined, count: number, bytes: number): Arena {
  if (out === undefined) return { bytes: new Uint8Array(bytes), offsets: new Uint32Array(count + 1) };
  if (out.offsets.length >= count + 1) return { bytes: out.bytes, offsets: out.offsets.subarray(0, count + 1) };
  const message = `"out" expected at least ${count + 1} offsets, got ${out.offsets.length}`;
  throw new InputError("ERR_OUTPUT_TOO_SMALL", message, { neededOffsets: count + 1 });
}

function filled({ bytes, offsets }: Arena): Arena {
  const end = offsets[offsets.length - 1] as number;
  return { bytes: end === bytes.length ? bytes : bytes.subarray(0, end), offsets };
}

/** @throws InputError ERR_INPUT, ERR_OUTPUT_TOO_SMALL, ERR_OVERLAP */
export function sealArenaUnder(
  { key, prefix, overhead }: UsableKey,
  nonces: NoncePool,
  input: Arena,
  aad: Arena | undefined,
  out: Arena | undefined,
): Arena {
  const count = input.offsets.length - 1;
  const to = outputOf(out, count, valueBytes(input) + count * overhead);
  key.sealRecords({
    prefix,
    src: input.bytes,
    srcOffsets: input.offsets,
    aad,
    dst: to.bytes,
    dstOffsets: to.offsets,
    nonces: nonces.take(count * key.nonceBytes),
  });
  return filled(to);
}

/** What became of a batch: the values, those that failed left empty, and the status of each. */
export interface OpenedArena {
  readonly arena: Arena;
  /** `count` long. */
  readonly status: Uint8Array;
  readonly failed: number;
}

/** @param status at least one byte a record: overwritten */
export function openArenaUnder(
  keys: RecordKeys,
  input: Arena,
  aad: Arena | undefined,
  out: Arena | undefined,
  status: Uint8Array,
): OpenedArena {
  const count = input.offsets.length - 1;
  valueBytes(input);
  const likely = keys.likely(input.bytes.subarray(input.offsets[0], input.offsets[1]));
  const leastOverhead = keys.keys.reduce((least, { overhead }) => Math.min(least, overhead), likely.overhead);
  const to = outputOf(out, count, out === undefined ? plaintextBytes(input.offsets, leastOverhead) : 0);
  const states = status.subarray(0, count);
  const failed = openWith(likely, input, aad, to, states);
  if (failed === 0 || keys.keys.length === 1) return { arena: filled(to), status: states, failed };
  return openWithOthers(keys, likely, input, aad, to, states);
}

/** What opens to at most: the records less what surrounds them. */
function plaintextBytes(offsets: Offsets, overhead: number): number {
  let bytes = 0;
  for (let i = 0; i + 1 < offsets.length; i++) {
    bytes += Math.max(0, (offsets[i + 1] as number) - (offsets[i] as number) - overhead);
  }
  return bytes;
}

function openWith(
  { key, prefix }: UsableKey,
  input: Arena,
  aad: Arena | undefined,
  to: Arena,
  status: Uint8Array,
): number {
  const { bytes: src, offsets: srcOffsets } = input;
  return key.openRecords({ prefix, src, srcOffsets, aad, dst: to.bytes, dstOffsets: to.offsets, status });
}

/** Records under other keys of the keyset: one by one, by the key each names, then by those without a prefix. */
function openWithOthers(
  keys: RecordKeys,
  tried: UsableKey,
  input: Arena,
  aad: Arena | undefined,
  to: Arena,
  status: Uint8Array,
): OpenedArena {
  const found = new Map<number, Uint8Array>();
  let failed = 0;
  let bytes = to.offsets[to.offsets.length - 1] as number;
  try {
    for (let i = 0; i < status.length; i++) {
      if (status[i] === OPENED) continue;
      const record = valueAt(input, i);
      const bound = aad === undefined ? undefined : arenaOf(valueAt(aad, i));
      const plaintext = openOne(keys, tried, record, bound);
      if (plaintext === undefined) {
        status[i] = statusOf(keys, record);
        failed++;
        continue;
      }
      found.set(i, plaintext);
      status[i] = OPENED;
      bytes += plaintext.length;
    }
    if (found.size > 0) insert(to, found, bytes);
    return { arena: filled(to), status, failed };
  } finally {
    for (const plaintext of found.values()) wipe(plaintext);
  }
}

function valueAt({ bytes, offsets }: Arena, index: number): Uint8Array {
  return bytes.subarray(offsets[index], offsets[index + 1]);
}

function arenaOf(value: Uint8Array): Arena {
  return { bytes: value, offsets: Uint32Array.of(0, value.length) };
}

function openOne(
  keys: RecordKeys,
  tried: UsableKey,
  record: Uint8Array,
  aad: Arena | undefined,
): Uint8Array | undefined {
  for (const candidate of keys.keys) {
    const { prefix, overhead } = candidate;
    if (candidate === tried || record.length < overhead || !beginsWith(record, prefix)) continue;
    const to = { bytes: new Uint8Array(record.length - overhead), offsets: new Uint32Array(2) };
    if (openWith(candidate, arenaOf(record), aad, to, new Uint8Array(1)) === 0) return to.bytes;
  }
  return undefined;
}

/** Why a record opens under none of the keys. */
function statusOf({ keys }: RecordKeys, record: Uint8Array): RecordStatus {
  const named = keys.filter(({ prefix }) => beginsWith(record, prefix));
  if (named.length === 0) return keys.every(({ prefix }) => record.length < prefix.length) ? TOO_SHORT : OTHER_PREFIX;
  return named.some(({ overhead }) => record.length >= overhead) ? NOT_AUTHENTIC : TOO_SHORT;
}

/** Puts values that were left empty in their places. @throws InputError ERR_OUTPUT_TOO_SMALL */
function insert(to: Arena, found: ReadonlyMap<number, Uint8Array>, bytes: number): void {
  const { bytes: dst, offsets } = to;
  if (bytes > dst.length) {
    wipe(dst);
    const message = `"out" expected at least ${bytes} bytes, got ${dst.length}`;
    throw new InputError("ERR_OUTPUT_TOO_SMALL", message, { neededBytes: bytes });
  }
  const whole = new Uint8Array(bytes);
  let at = 0;
  let from = 0;
  for (let i = 0; i + 1 < offsets.length; i++) {
    const end = offsets[i + 1] as number;
    const value = found.get(i) ?? dst.subarray(from, end);
    whole.set(value, at);
    from = end;
    at += value.length;
    offsets[i + 1] = at;
  }
  dst.set(whole);
  wipe(whole);
}

/** The failure of one record. Wrong key, tag and associated data read the same; a record cut short may say so. */
export function recordFailed(status: number, index?: number): DecryptError | FormatError {
  const which = index === undefined ? "the record" : `record ${index}`;
  const details = index === undefined ? {} : { index };
  if (status === TOO_SHORT) return new FormatError("ERR_TRUNCATED", `${which} is too short to be one`, details);
  const message = `${which} is not authentic, or was sealed under another key or associated data`;
  return new DecryptError("ERR_DECRYPT", message, details);
}

/** Whether a record names a key that is not known here. */
export function namesOtherKey(status: Uint8Array): boolean {
  return status.includes(OTHER_PREFIX);
}
