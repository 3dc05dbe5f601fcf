/** Record keys over node:crypto: AES-GCM, and XAES-256-GCM (C2SP) with a key derived for each record. Node only. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { type Bytes, copyOf, wipe } from "../bytes.js";
import { InputError } from "../errors.js";
import { MAX_CALL_BYTES, NONCE_BYTES, TAG_BYTES } from "../message/limits.js";
import { type DataKey, useDataKey } from "./data-key.js";
import type { OpenRecords, RecordAlgorithm, RecordKey, RecordStatus, SealRecords } from "./port.js";
import { checkOpenBatch, checkSealBatch, checkXaes, recordOverhead } from "./record-batch.js";

const AUTH = { authTagLength: TAG_BYTES } as const;
const BLOCK_BYTES = 16;
const XAES_KEY_BYTES = 32;

const OPENED: RecordStatus = 0;
const NOT_AUTHENTIC: RecordStatus = 1;
const OTHER_PREFIX: RecordStatus = 2;
const TOO_SHORT: RecordStatus = 3;

/**
 * @param dataKey borrowed; its bytes are copied
 * @throws InputError ERR_INPUT for an algorithm or a key length there is not
 */
export function opensslRecordKey(dataKey: DataKey, algorithm: RecordAlgorithm): RecordKey {
  if (algorithm.name === "aes-gcm") return new OpensslRecordKey(useDataKey(dataKey, copyOf), 0);
  checkXaes(algorithm, dataKey.byteLength);
  return new OpensslRecordKey(useDataKey(dataKey, copyOf), algorithm.saltBytes);
}

/** How one record is enciphered: its key, and the last 12 bytes of its nonce. */
type KeyOf = (nonce: Uint8Array) => Uint8Array;

class OpensslRecordKey implements RecordKey {
  readonly nonceBytes: number;
  readonly #saltBytes: number;
  #key: Bytes | undefined;

  /** Takes `key` over. @param saltBytes 0 for plain AES-GCM */
  constructor(key: Bytes, saltBytes: number) {
    this.#key = key;
    this.#saltBytes = saltBytes;
    this.nonceBytes = saltBytes + NONCE_BYTES;
  }

  sealRecords(batch: SealRecords): void {
    const key = this.#live();
    const { src, srcOffsets, aad: aads } = checkSealBatch(batch, this.nonceBytes);
    const { prefix, dst, dstOffsets } = batch;
    const aadOf = aadReader(aads);
    this.#withKeys(key, (keyOf) => {
      let at = 0;
      dstOffsets[0] = 0;
      for (let i = 0; i + 1 < srcOffsets.length; i++) {
        const nonce = copyOf(batch.nonces.subarray(i * this.nonceBytes, (i + 1) * this.nonceBytes));
        const own = keyOf(nonce);
        const cipher = createCipheriv(gcmOf(own), own, nonce.subarray(this.#saltBytes), AUTH);
        const aad = aadOf(i);
        if (aad !== undefined) cipher.setAAD(aad);
        dst.set(prefix, at);
        dst.set(nonce, at + prefix.length);
        at += prefix.length + nonce.length;
        at += update(cipher, src.subarray(srcOffsets[i], srcOffsets[i + 1]), dst, at);
        cipher.final();
        dst.set(cipher.getAuthTag(), at);
        at += TAG_BYTES;
        dstOffsets[i + 1] = at;
      }
    });
  }

  openRecords(batch: OpenRecords): number {
    const key = this.#live();
    const overhead = recordOverhead(batch.prefix, this.nonceBytes);
    const { src, srcOffsets, aad } = checkOpenBatch(batch, overhead);
    const { prefix, dst, dstOffsets, status } = batch;
    const aadOf = aadReader(aad);
    let failed = 0;
    this.#withKeys(key, (keyOf) => {
      let at = 0;
      dstOffsets[0] = 0;
      for (let i = 0; i + 1 < srcOffsets.length; i++) {
        const record = src.subarray(srcOffsets[i], srcOffsets[i + 1]);
        const found = this.#open(record, prefix, overhead, aadOf(i), keyOf, dst, at);
        if (found === OPENED) at += record.length - overhead;
        else failed++;
        status[i] = found;
        dstOffsets[i + 1] = at;
      }
    });
    return failed;
  }

  wipe(): void {
    wipe(this.#key);
    this.#key = undefined;
  }

  /** Deciphers into memory of its own; `dst` is written only after the tag verified. */
  #open(
    record: Uint8Array,
    prefix: Uint8Array,
    overhead: number,
    aad: Uint8Array | undefined,
    keyOf: KeyOf,
    dst: Uint8Array,
    at: number,
  ): RecordStatus {
    if (record.length < overhead) return TOO_SHORT;
    for (let i = 0; i < prefix.length; i++) if (record[i] !== prefix[i]) return OTHER_PREFIX;
    const nonce = record.subarray(prefix.length, prefix.length + this.nonceBytes);
    const tagAt = record.length - TAG_BYTES;
    const own = keyOf(nonce);
    const decipher = createDecipheriv(gcmOf(own), own, nonce.subarray(this.#saltBytes), AUTH);
    if (aad !== undefined) decipher.setAAD(aad);
    decipher.setAuthTag(record.subarray(tagAt));
    const plaintext = new Uint8Array(record.length - overhead);
    try {
      update(decipher, record.subarray(prefix.length + this.nonceBytes, tagAt), plaintext, 0);
      if (!verifies(decipher)) return NOT_AUTHENTIC;
      dst.set(plaintext, at);
      return OPENED;
    } finally {
      wipe(plaintext);
    }
  }

  /** Lends `use` the key of each record; those derived are wiped. */
  #withKeys(key: Bytes, use: (keyOf: KeyOf) => void): void {
    if (this.#saltBytes === 0) {
      use(() => key);
      return;
    }
    const derived = new Uint8Array(XAES_KEY_BYTES);
    const blocks = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    const subkey = cmacSubkey(blocks);
    try {
      use((nonce) => {
        deriveKey(blocks, subkey, nonce.subarray(0, this.#saltBytes), derived);
        return derived;
      });
    } finally {
      wipe(derived, subkey);
    }
  }

  /** A wiped key must not seal: it would be all zeros. @throws InputError ERR_CLOSED */
  #live(): Bytes {
    if (this.#key === undefined) throw new InputError("ERR_CLOSED", "this record key was already wiped");
    return this.#key;
  }
}

interface Blocks {
  update(bytes: Uint8Array): Uint8Array;
}

/** K1 of CMAC (SP 800-38B 6.1): AES over zeros, doubled in GF(2^128), without a branch on it. */
function cmacSubkey(blocks: Blocks): Bytes {
  const zero = blocks.update(new Uint8Array(BLOCK_BYTES));
  const subkey = new Uint8Array(BLOCK_BYTES);
  let carry = 0;
  for (let i = BLOCK_BYTES - 1; i >= 0; i--) {
    const byte = zero[i] as number;
    subkey[i] = (byte << 1) | carry;
    carry = byte >>> 7;
  }
  subkey[BLOCK_BYTES - 1] = (subkey[BLOCK_BYTES - 1] as number) ^ (0x87 & -carry);
  wipe(zero);
  return subkey;
}

/** The record's own key (C2SP XAES-256-GCM): AES(00 i "X" 00 | salt, zeros up to a block, xor K1) for i = 1, 2. */
function deriveKey(blocks: Blocks, subkey: Uint8Array, salt: Uint8Array, out: Uint8Array): void {
  const input = new Uint8Array(2 * BLOCK_BYTES);
  for (let half = 0; half < 2; half++) {
    const at = half * BLOCK_BYTES;
    input[at + 1] = half + 1;
    input[at + 2] = 0x58;
    input.set(salt, at + 4);
    for (let i = 0; i < BLOCK_BYTES; i++) input[at + i] = (input[at + i] as number) ^ (subkey[i] as number);
  }
  const key = blocks.update(input);
  out.set(key);
  wipe(key, input);
}

function gcmOf(key: Uint8Array): "aes-256-gcm" {
  return `aes-${8 * key.length}-gcm` as "aes-256-gcm";
}

/** What a cipher makes of `src`, of any length, goes to `dst` at `at`. Returns how many bytes. */
function update(cipher: Blocks, src: Uint8Array, dst: Uint8Array, at: number): number {
  for (let from = 0; from < src.length; from += MAX_CALL_BYTES) {
    const piece = cipher.update(src.subarray(from, from + MAX_CALL_BYTES));
    dst.set(piece, at + from);
    wipe(piece);
  }
  return src.length;
}

/** Whether the tag verifies: node:crypto throws at `final` where it does not, for no other reason here. */
function verifies(decipher: { final(): Uint8Array }): boolean {
  try {
    decipher.final();
    return true;
  } catch {
    return false;
  }
}

/** The associated data of record i; undefined where there is none. */
function aadReader(aad: SealRecords["aad"]): (index: number) => Uint8Array | undefined {
  if (aad === undefined) return () => undefined;
  const { bytes, offsets } = aad;
  return (i) => bytes.subarray(offsets[i], offsets[i + 1]);
}
