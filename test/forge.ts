/**
 * A second writer of the message format, over node:crypto alone and sharing no code with src/message or src/engine: any
 * suite, version and body, so that what this package never writes can be read in tests.
 */

import {
  type CipherGCMTypes,
  createCipheriv,
  createSign,
  ECDH,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import type { Bytes } from "../src/bytes.js";
import { DataKey } from "../src/engine/data-key.js";
import type { Unwrapper } from "../src/keyring/port.js";
import type { Suite } from "../src/message/suites.js";

export interface Forgery {
  readonly suite: Suite;
  readonly plaintext: Uint8Array;
  /** 0: a non-framed body. */
  readonly frameBytes: number;
  /** An empty final frame behind full ones, as some writers make. */
  readonly emptyFinal?: boolean;
  readonly context?: Readonly<Record<string, string>>;
  /** Provider id, provider info, ciphertext. Default: one of "forge". */
  readonly dataKeys?: readonly (readonly [string, string | Uint8Array, Uint8Array])[];
  readonly dataKey?: Uint8Array;
  readonly messageId?: Uint8Array;
  /** In place of the true one, under a header tag and frames that verify. */
  readonly commitment?: Uint8Array;
}

/** Opens forgeries: their data key is all zeros. */
export const forgeKeyring: Unwrapper = {
  unwrapDataKey: async ({ dataKeyBytes }) => ({
    dataKey: DataKey.fromBytes(new Uint8Array(dataKeyBytes)),
    keyId: "forge",
  }),
};
export const forgeOptions = { keyring: forgeKeyring, commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" } as const;

const int = (value: number, bytes: number): Buffer => {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, bytes > 6 ? bytes - 6 : 0, Math.min(bytes, 6));
  return out;
};
const field = (value: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([int(bytes.length, 2), bytes]);
};

/** The wire form of a context, pairs in the order given. */
export function forgeContext(pairs: readonly (readonly [string | Uint8Array, string | Uint8Array])[]): Buffer {
  if (pairs.length === 0) return Buffer.alloc(0);
  return Buffer.concat([int(pairs.length, 2), ...pairs.flatMap(([key, value]) => [field(key), field(value)])]);
}

function gcm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv(`aes-${8 * key.length}-gcm` as CipherGCMTypes, key, nonce);
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Message key and commitment. */
export function forgeKeys(
  suite: Suite,
  dataKey: Uint8Array,
  messageId: Uint8Array,
): { key: Buffer; commitment: Buffer } {
  const id = int(suite.id, 2);
  const derive = (salt: Uint8Array, info: Uint8Array, bytes: number) =>
    Buffer.from(hkdfSync(suite.kdf as string, dataKey, salt, info, bytes));
  if (suite.kdf === undefined) return { key: Buffer.from(dataKey), commitment: Buffer.alloc(0) };
  if (!suite.committing) {
    const key = derive(Buffer.alloc(0), Buffer.concat([id, messageId]), suite.dataKeyBytes);
    return { key, commitment: Buffer.alloc(0) };
  }
  return {
    key: derive(messageId, Buffer.concat([id, Buffer.from("DERIVEKEY")]), 32),
    commitment: derive(messageId, Buffer.from("COMMITKEY"), 32),
  };
}

export function forge(forgery: Forgery): Bytes {
  const { suite, frameBytes, context = {} } = forgery;
  const v2 = suite.messageVersion === 2;
  const messageId = forgery.messageId ?? Buffer.alloc(v2 ? 32 : 16, 7);
  const keys = forgeKeys(suite, forgery.dataKey ?? new Uint8Array(suite.dataKeyBytes), messageId);
  const { key, commitment } = { ...keys, ...(forgery.commitment && { commitment: forgery.commitment }) };
  const pairs: [string, string][] = Object.entries(context);
  const signer = suite.signature && forgeSigner(suite.signature);
  if (signer) pairs.unshift(["aws-crypto-public-key", signer.publicKey]);
  const dataKeys = forgery.dataKeys ?? [["forge", "key", Uint8Array.of(0)]];
  const contextBytes = forgeContext(pairs);
  const type = int(frameBytes === 0 ? 1 : 2, 1);
  const body = Buffer.concat([
    v2 ? int(2, 1) : Buffer.from([1, 0x80]),
    int(suite.id, 2),
    messageId,
    int(contextBytes.length, 2),
    contextBytes,
    int(dataKeys.length, 2),
    ...dataKeys.flat().map((part) => field(part)),
    type,
    ...(v2 ? [int(frameBytes, 4), commitment] : [int(0, 4), int(12, 1), int(frameBytes, 4)]),
  ]);
  const zero = Buffer.alloc(12);
  const tag = gcm(key, zero, body, new Uint8Array(0));
  const covered = Buffer.concat([body, ...(v2 ? [] : [zero]), tag, ...forgeBody(forgery, key, messageId)]);
  if (!signer) return new Uint8Array(covered);
  return new Uint8Array(Buffer.concat([covered, field(signer.sign(covered))]));
}

const TEXT = { regular: "Frame", final: "Final Frame", single: "Single Block" } as const;

/** Nonce, ciphertext and tag of one frame or body. */
export function forgeFrame(
  key: Uint8Array,
  messageId: Uint8Array,
  kind: keyof typeof TEXT,
  sequence: number,
  plaintext: Uint8Array,
): { nonce: Buffer; sealed: Buffer } {
  const text = `AWSKMSEncryptionClient ${TEXT[kind]}`;
  const aad = Buffer.concat([messageId, Buffer.from(text), int(sequence, 4), int(plaintext.length, 8)]);
  const nonce = int(sequence, 12);
  return { nonce, sealed: gcm(key, nonce, aad, plaintext) };
}

function forgeBody({ plaintext, frameBytes, emptyFinal }: Forgery, key: Uint8Array, messageId: Uint8Array): Buffer[] {
  if (frameBytes === 0) {
    const { nonce, sealed } = forgeFrame(key, messageId, "single", 1, plaintext);
    return [nonce, int(plaintext.length, 8), sealed];
  }
  const out: Buffer[] = [];
  let at = 0;
  let sequence = 1;
  for (; plaintext.length - at > frameBytes || (emptyFinal && plaintext.length - at === frameBytes); sequence++) {
    const piece = plaintext.subarray(at, at + frameBytes);
    const { nonce, sealed } = forgeFrame(key, messageId, "regular", sequence, piece);
    out.push(int(sequence, 4), nonce, sealed);
    at += frameBytes;
  }
  const last = plaintext.subarray(at);
  const { nonce, sealed } = forgeFrame(key, messageId, "final", sequence, last);
  out.push(int(0xffffffff, 4), int(sequence, 4), nonce, int(last.length, 4), sealed);
  return out;
}

function forgeSigner(curve: "p256" | "p384"): { publicKey: string; sign(bytes: Uint8Array): Buffer } {
  const [namedCurve, hash] =
    curve === "p256" ? (["prime256v1", "sha256"] as const) : (["secp384r1", "sha384"] as const);
  const pair: { privateKey: KeyObject; publicKey: KeyObject } = generateKeyPairSync("ec", { namedCurve });
  const { x, y } = pair.publicKey.export({ format: "jwk" });
  const point = Buffer.concat([Buffer.from([4]), Buffer.from(`${x}`, "base64url"), Buffer.from(`${y}`, "base64url")]);
  const compressed = ECDH.convertKey(point, namedCurve, undefined, undefined, "compressed") as Buffer;
  return {
    publicKey: compressed.toString("base64"),
    sign: (bytes) => createSign(hash).update(bytes).sign(pair.privateKey),
  };
}
