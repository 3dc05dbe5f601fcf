/**
 * The HSM port. Everything that touches an HMK, a CMK or a KEK happens behind it. A request carries the *path* of
 * wrapped keys down from the HMK, never a handle, so that a restarted HSM needs nothing but the next request.
 * Types only. Every method rejects with HsmError: ERR_HSM_UNAVAILABLE (the token is away or closed; retryable where
 * said), ERR_HSM_REFUSED (the token will not do it: unknown key version, blob that does not unwrap, tag that fails).
 */

/** What users pass to `openLadder`: made by `softwareHsm` and later `pkcs11Hsm`. Opaque to them. */
export interface Hsm {
  readonly kind: string;
}

export interface HsmDriver extends Hsm {
  /**
   * Opens the token, making it and its master keys where there is none and `create` is set.
   * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · HsmError ERR_PASSPHRASE, ERR_HSM_REFUSED · StoreError ERR_IO
   */
  open(options: { readonly create: boolean }): Promise<HsmSession>;
}

/** HMK-WRAP wraps CMKs; HMK-SIGN signing and MAC keys; HMK-SEAL seals records; HMK-AUDIT seals the audit. */
export type HmkRole = "wrap" | "sign" | "seal" | "audit";

export interface HsmInfo {
  readonly kind: string;
  readonly label: string;
  /** Tells tokens apart: the token's own serial number. */
  readonly serial: string;
  /** False for anything that is not a tamper-resistant device; said wherever the token is named. */
  readonly hardware: boolean;
  /** The version each master key is used at for new work, from 1. */
  readonly hmkVersions: Readonly<Record<HmkRole, number>>;
  readonly warnings: readonly string[];
}

/** The key-wrap format a blob is in; never a mechanism number. */
export type WrapFormat = "rfc3394" | "rfc5649";

/** A key that left the HSM, wrapped. */
export interface WrappedKey {
  readonly wrapFormat: WrapFormat;
  readonly blob: Uint8Array;
}

/** Where a CMK version lives: wrapped under HMK-WRAP in the store, or resident in the token. */
export type CmkLocation =
  | ({ readonly residence: "wrapped"; readonly hmkVersion: number } & WrappedKey)
  | { readonly residence: "resident"; readonly serial: string /** CKA_ID, 16 bytes */; readonly objectId: Uint8Array };

/** The way down to a KEK: HMK (inside), CMK, KEK. */
export interface KekPath {
  readonly cmk: CmkLocation;
  readonly kek: WrappedKey;
}

/** AES-256-GCM under a KEK. The IV comes from the HSM. */
export interface SealedDataKey {
  /** 12 bytes, or 16 where a token forces it. */
  readonly iv: Uint8Array;
  /** Ciphertext, then a 16-byte tag. */
  readonly ciphertext: Uint8Array;
}

export type SigningAlgorithm = "ecdsa-p256" | "ecdsa-p384" | "rsa-pss-3072" | "ed25519";

/** A signing or MAC key under HMK-SIGN. */
export interface WrappedSigningKey extends WrappedKey {
  readonly hmkVersion: number;
}

export interface HsmSession {
  info(): Promise<HsmInfo>;
  /** A real operation with a master key, to tell a living token from one that only answers. */
  ping(): Promise<void>;
  /** From the token's random generator. */
  random(bytes: number): Promise<Uint8Array>;

  /** HMAC-SHA-256 under HMK-SEAL or HMK-AUDIT at its current version: a 32-byte tag. */
  mac(request: { role: "seal" | "audit"; data: Uint8Array }): Promise<{ version: number; tag: Uint8Array }>;
  /** Compared inside, in constant time. A retired version still verifies; an unknown one is ERR_HSM_REFUSED. */
  verifyMac(request: { role: "seal" | "audit"; version: number; data: Uint8Array; tag: Uint8Array }): Promise<boolean>;

  /** A new CMK (AES-256, wrap and unwrap only). */
  generateCmk(request: { residence: "wrapped" | "resident" }): Promise<CmkLocation>;
  /** Object ids of every resident CMK. */
  listResidentCmks(): Promise<Uint8Array[]>;
  /** Removes a resident CMK; no error where it is already gone. */
  destroyResidentCmk(objectId: Uint8Array): Promise<void>;

  /** A new KEK (AES-256, encrypt and decrypt only) under a CMK. */
  generateKek(request: { cmk: CmkLocation }): Promise<WrappedKey>;
  /** The same KEK under another CMK. Extractable only inside this request, and never cached. */
  rewrapKek(request: { from: KekPath; to: CmkLocation }): Promise<WrappedKey>;

  /** A fresh data key of `bytes` from the token's generator, and its sealed form. The caller wipes `dataKey`. */
  generateDataKey(request: {
    path: KekPath;
    bytes: 16 | 24 | 32;
    aad: Uint8Array;
  }): Promise<SealedDataKey & { dataKey: Uint8Array }>;
  wrapDataKey(request: { path: KekPath; dataKey: Uint8Array; aad: Uint8Array }): Promise<SealedDataKey>;
  /** Undefined where the tag does not verify. The caller wipes what returns. */
  unwrapDataKey(request: { path: KekPath; sealed: SealedDataKey; aad: Uint8Array }): Promise<Uint8Array | undefined>;

  /** `publicKey` is SubjectPublicKeyInfo, DER. */
  generateSigningKey(request: {
    algorithm: SigningAlgorithm;
  }): Promise<{ key: WrappedSigningKey; publicKey: Uint8Array }>;
  /**
   * Signs `data`: ECDSA as DER with the curve's SHA-2, RSA-PSS with SHA-256 and a 32-byte salt, Ed25519 (RFC 8032).
   */
  sign(request: { algorithm: SigningAlgorithm; key: WrappedSigningKey; data: Uint8Array }): Promise<Uint8Array>;
  /** An HMAC-SHA-256 key of 32 bytes. */
  generateMacKey(): Promise<WrappedSigningKey>;
  macWithKey(request: { key: WrappedSigningKey; data: Uint8Array }): Promise<Uint8Array>;
  verifyMacWithKey(request: { key: WrappedSigningKey; data: Uint8Array; tag: Uint8Array }): Promise<boolean>;

  /** Finishes what is under way and lets go of every key. Idempotent. */
  close(): Promise<void>;
}
