/** The AEAD port over node:crypto. Node only. Its message keys are wiped; OpenSSL's own contexts are OpenSSL's to cleanse. */

import { createCipheriv, createDecipheriv, hash as digest } from "node:crypto";
import { ascii, type Bytes, concat, constantTimeEqual, copyOf, u16, wipe, writeU32 } from "../bytes.js";
import { InputError } from "../errors.js";
import { bodyAad, type FrameLayout, finalFrame, regularFrame, writeFramePrefix } from "../message/frames.js";
import { COMMITMENT_BYTES, MAX_CALL_BYTES, NONCE_BYTES, TAG_BYTES } from "../message/limits.js";
import type { HashName, Suite } from "../message/suites.js";
import { useDataKey } from "./data-key.js";
import { opensslRecordKey } from "./openssl-records.js";
import type { Engine, FrameBatch, MessageKey } from "./port.js";

const HASH_BYTES: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };
const DERIVE_LABEL = ascii("DERIVEKEY");
const COMMIT_LABEL = ascii("COMMITKEY");
const LAST_COUNTER = Uint8Array.of(1);
const AUTH = { authTagLength: TAG_BYTES } as const;

type GcmName = "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";
const GCM: Readonly<Record<16 | 24 | 32, GcmName>> = { 16: "aes-128-gcm", 24: "aes-192-gcm", 32: "aes-256-gcm" };

export const opensslEngine: Engine = {
  name: "openssl",
  messageKey(dataKey, suite, messageId) {
    const { key, commitment } = useDataKey(dataKey, (bytes) => derive(bytes, suite, messageId));
    return new OpensslMessageKey(GCM[suite.dataKeyBytes], key, commitment);
  },
  recordKey: opensslRecordKey,
};

/** RFC 2104 over one-shot hashes, which cost half of what a node Hmac object does. `key` is at most one block. */
function hmac(hash: HashName, key: Uint8Array, message: Uint8Array): Buffer {
  const blockBytes = hash === "sha256" ? 64 : 128;
  const inner = Buffer.allocUnsafe(blockBytes + message.length);
  const outer = Buffer.allocUnsafe(blockBytes + HASH_BYTES[hash]);
  for (let i = 0; i < blockBytes; i++) {
    const byte = i < key.length ? (key[i] as number) : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  inner.set(message, blockBytes);
  const inside = digest(hash, inner, "buffer");
  outer.set(inside, blockBytes);
  const mac = digest(hash, outer, "buffer");
  wipe(inner, outer, inside);
  return mac;
}

/**
 * RFC 5869 for at most one block of output: extract, then expand per info. Every suite needs no more.
 * @param salt at most one block of the hash (64 bytes for SHA-256, 128 for the others)
 * @param bytes at most the hash's length
 * @returns `infos.length` keys, owned by the caller
 */
export function hkdf(
  hash: HashName,
  ikm: Uint8Array,
  salt: Uint8Array,
  infos: readonly Uint8Array[],
  bytes: number,
): Bytes[] {
  const prk = hmac(hash, salt, ikm);
  try {
    return infos.map((info) => {
      const block = hmac(hash, prk, concat(info, LAST_COUNTER));
      const key = new Uint8Array(block.subarray(0, bytes));
      wipe(block);
      return key;
    });
  } finally {
    wipe(prk);
  }
}

/** Message key and commitment (format: "derivation"). The bytes of the data key are borrowed. */
function derive(
  dataKey: Uint8Array,
  suite: Suite,
  messageId: Uint8Array,
): { key: Bytes; commitment: Bytes | undefined } {
  if (suite.kdf === undefined) return { key: copyOf(dataKey), commitment: undefined };
  const id = u16(suite.id);
  if (suite.committing) {
    const infos = [concat(id, DERIVE_LABEL), COMMIT_LABEL];
    const [key, commitment] = hkdf(suite.kdf, dataKey, messageId, infos, COMMITMENT_BYTES) as [Bytes, Bytes];
    return { key, commitment };
  }
  const salt = new Uint8Array(HASH_BYTES[suite.kdf]);
  const [key] = hkdf(suite.kdf, dataKey, salt, [concat(id, messageId)], suite.dataKeyBytes) as [Bytes];
  return { key, commitment: undefined };
}

class OpensslMessageKey implements MessageKey {
  readonly commitment: Bytes | undefined;
  readonly #gcm: GcmName;
  #key: Bytes | undefined;

  constructor(gcm: GcmName, key: Bytes, commitment: Bytes | undefined) {
    this.#gcm = gcm;
    this.#key = key;
    this.commitment = commitment;
  }

  sealHeader(nonce: Uint8Array, aad: Uint8Array): Uint8Array {
    const cipher = createCipheriv(this.#gcm, this.#live(), nonce, AUTH).setAAD(aad);
    cipher.final();
    return cipher.getAuthTag();
  }

  openHeader(nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): boolean {
    // Over no plaintext, sealing and opening compute the same tag; to compute it costs half of what a decipher does.
    return constantTimeEqual(this.sealHeader(nonce, aad), tag);
  }

  sealFrames(batch: FrameBatch): void {
    const { src, dst } = batch;
    const key = this.#live();
    const nonce = new Uint8Array(NONCE_BYTES);
    forEachFrame(batch, (sequence, wireAt, plainAt, layout, aad, final) => {
      writeFramePrefix(dst, wireAt, sequence, final, layout);
      writeU32(nonce, NONCE_BYTES - 4, sequence);
      const cipher = createCipheriv(this.#gcm, key, nonce, AUTH);
      cipher.setAAD(aad);
      const ciphertextAt = wireAt + layout.ciphertextAt;
      dst.set(update(cipher, src.subarray(plainAt, plainAt + layout.plaintextBytes)), ciphertextAt);
      cipher.final();
      dst.set(cipher.getAuthTag(), ciphertextAt + layout.plaintextBytes);
      return true;
    });
  }

  openFrames(batch: FrameBatch): boolean {
    const { src, dst } = batch;
    const opened = forEachFrame(batch, (_sequence, wireAt, plainAt, layout, aad) => {
      const nonceAt = wireAt + layout.nonceAt;
      const ciphertextAt = wireAt + layout.ciphertextAt;
      const tagAt = ciphertextAt + layout.plaintextBytes;
      return this.#open(
        src.subarray(nonceAt, nonceAt + NONCE_BYTES),
        aad,
        src.subarray(ciphertextAt, tagAt),
        src.subarray(tagAt, tagAt + TAG_BYTES),
        dst,
        plainAt,
      );
    });
    if (!opened) wipe(dst);
    return opened;
  }

  openBody(body: Parameters<MessageKey["openBody"]>[0]): boolean {
    const aad = bodyAad(body.messageId, "single", body.ciphertext.length);
    aad.setSequence(1);
    const opened = this.#open(body.nonce, aad.bytes, body.ciphertext, body.tag, body.dst, 0);
    if (!opened) wipe(body.dst);
    return opened;
  }

  wipe(): void {
    wipe(this.#key);
    this.#key = undefined;
  }

  /** A wiped key must not seal: it would be all zeros. @throws InputError ERR_CLOSED */
  #live(): Bytes {
    if (this.#key === undefined) throw new InputError("ERR_CLOSED", "this message key was already wiped");
    return this.#key;
  }

  /** Deciphers into memory of its own; `dst` is written only after the tag verified. */
  #open(
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
    tag: Uint8Array,
    dst: Uint8Array,
    at: number,
  ): boolean {
    const decipher = createDecipheriv(this.#gcm, this.#live(), nonce, AUTH).setAAD(aad).setAuthTag(tag);
    const plaintext = update(decipher, ciphertext);
    if (!verifies(decipher)) {
      wipe(plaintext);
      return false;
    }
    dst.set(plaintext, at);
    wipe(plaintext);
    return true;
  }
}

/** What a cipher makes of `src`, of any length. */
function update(cipher: { update(bytes: Uint8Array): Uint8Array }, src: Uint8Array): Uint8Array {
  if (src.length <= MAX_CALL_BYTES) return cipher.update(src);
  const out = new Uint8Array(src.length);
  for (let at = 0; at < src.length; at += MAX_CALL_BYTES) {
    const piece = cipher.update(src.subarray(at, at + MAX_CALL_BYTES));
    out.set(piece, at);
    wipe(piece);
  }
  return out;
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

/** One frame: where it stands in the wire form and in the plaintext. False ends the walk. */
type VisitFrame = (
  sequence: number,
  wireAt: number,
  plainAt: number,
  layout: FrameLayout,
  aad: Uint8Array,
  final: boolean,
) => boolean;

/** Visits each frame of a batch in order until `visit` says false. */
function forEachFrame(batch: FrameBatch, visit: VisitFrame): boolean {
  const { messageId, frameBytes, firstSequence, regularFrames, finalBytes } = batch;
  const regular = regularFrame(frameBytes);
  const regularAad = bodyAad(messageId, "regular", frameBytes);
  for (let i = 0; i < regularFrames; i++) {
    const sequence = firstSequence + i;
    regularAad.setSequence(sequence);
    if (!visit(sequence, i * regular.wireBytes, i * frameBytes, regular, regularAad.bytes, false)) return false;
  }
  if (finalBytes === undefined) return true;
  const sequence = firstSequence + regularFrames;
  const finalAad = bodyAad(messageId, "final", finalBytes);
  finalAad.setSequence(sequence);
  const [wireAt, plainAt] = [regularFrames * regular.wireBytes, regularFrames * frameBytes];
  return visit(sequence, wireAt, plainAt, finalFrame(finalBytes), finalAad.bytes, true);
}
