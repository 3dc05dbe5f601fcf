/** Signing keys: made, signed with, and (with the public key alone) verified against. */

import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import { promisify } from "node:util";
import { type Bytes, wipe } from "../../bytes.js";
import { InputError } from "../../errors.js";
import type { SigningAlgorithm } from "../port.js";

const makePair = promisify(generateKeyPair);

interface Algorithm {
  /** Undefined where the algorithm hashes by itself. */
  readonly hash: "sha256" | "sha384" | undefined;
  readonly options: object;
  readonly make: () => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>;
  /** Whether a key, private or public, is one of this algorithm's. */
  readonly owns: (key: KeyObject) => boolean;
}

function ecdsa(namedCurve: string, hash: "sha256" | "sha384"): Algorithm {
  return {
    hash,
    options: { dsaEncoding: "der" },
    make: () => makePair("ec", { namedCurve }),
    owns: (key) => key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === namedCurve,
  };
}

const RSA_BYTES = 384;

const ALGORITHMS: Readonly<Record<SigningAlgorithm, Algorithm>> = {
  "ecdsa-p256": ecdsa("prime256v1", "sha256"), // FIPS 186-5 6
  "ecdsa-p384": ecdsa("secp384r1", "sha384"),
  // RFC 8017 8.1, MGF1 with the same hash
  "rsa-pss-3072": {
    hash: "sha256",
    options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
    make: () => makePair("rsa", { modulusLength: 8 * RSA_BYTES, publicExponent: 65537 }),
    owns: (key) => key.asymmetricKeyType === "rsa" && key.asymmetricKeyDetails?.modulusLength === 8 * RSA_BYTES,
  },
  // RFC 8032 5.1, pure
  ed25519: {
    hash: undefined,
    options: {},
    make: () => makePair("ed25519"),
    owns: (key) => key.asymmetricKeyType === "ed25519",
  },
};

function algorithmOf(name: SigningAlgorithm): Algorithm {
  if (!Object.hasOwn(ALGORITHMS, name)) {
    throw new InputError("ERR_INPUT", `"algorithm" expected one of ${Object.keys(ALGORITHMS).join(", ")}`);
  }
  return ALGORITHMS[name];
}

/** @throws InputError ERR_INPUT for an unknown algorithm */
export function checkAlgorithm(name: SigningAlgorithm): void {
  algorithmOf(name);
}

/**
 * A fresh key pair, off the event loop. The caller wipes `privateKey`.
 * @returns `privateKey` PKCS#8 (RFC 5958) and `publicKey` SubjectPublicKeyInfo (RFC 5280 4.1), both DER
 */
export async function makeSigningKey(name: SigningAlgorithm): Promise<{ privateKey: Uint8Array; publicKey: Bytes }> {
  const { privateKey, publicKey } = await algorithmOf(name).make();
  return {
    privateKey: privateKey.export({ format: "der", type: "pkcs8" }),
    publicKey: new Uint8Array(publicKey.export({ format: "der", type: "spki" })),
  };
}

/**
 * A private key of this very algorithm. Takes `pkcs8` over and wipes it.
 * @returns undefined where the bytes are no such key
 */
export function importSigningKey(name: SigningAlgorithm, pkcs8: Uint8Array): KeyObject | undefined {
  const { owns } = algorithmOf(name);
  // A view, not a copy: OpenSSL reads the caller's bytes, which are wiped below.
  const der = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength);
  try {
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    return owns(key) ? key : undefined;
  } catch {
    return undefined; // not PKCS#8: a key of another use
  } finally {
    wipe(pkcs8);
  }
}

/** ECDSA as DER; RSA-PSS 384 bytes; Ed25519 64 bytes. */
export function signWith(name: SigningAlgorithm, key: KeyObject, data: Uint8Array): Bytes {
  const { hash, options } = algorithmOf(name);
  return new Uint8Array(nodeSign(hash, data, { key, ...options }));
}

/** Whether `signature` is one over `data` by the owner of `key`; false for a malformed one. The key's size is not asked. */
export function signatureVerifies(
  name: SigningAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { hash, options } = algorithmOf(name);
  return nodeVerify(hash, data, { key, ...options }, signature);
}

/**
 * Whether `signature` is one over `data` under the public key: needs no HSM.
 * @param publicKey SubjectPublicKeyInfo, DER
 * @returns false for a signature that is wrong or malformed
 * @throws InputError ERR_INPUT where `publicKey` is no public key of the algorithm
 */
export function verifySignature(
  algorithm: SigningAlgorithm,
  publicKey: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { owns } = algorithmOf(algorithm);
  const wrongKey = (cause?: unknown) =>
    new InputError("ERR_INPUT", `"publicKey" expected SubjectPublicKeyInfo of an ${algorithm} key`, { cause });
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  } catch (cause) {
    throw wrongKey(cause);
  }
  if (!owns(key)) throw wrongKey();
  return signatureVerifies(algorithm, key, data, signature);
}
