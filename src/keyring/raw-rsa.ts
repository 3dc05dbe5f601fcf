/** A keyring over one RSA key pair, or half of one, the caller holds (AWS Encryption SDK: raw RSA keyring). Node only. */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { type Bytes, compareBytes, utf8, wipe } from "../bytes.js";
import { DataKey, useDataKey } from "../engine/data-key.js";
import { randomBytes, rsaOaepDecrypt, rsaOaepEncrypt, rsaPkcs1Decrypt } from "../engine/primitives.js";
import { decryptFailed, InputError } from "../errors.js";
import type { EncryptedDataKey } from "../message/header.js";
import type { GeneratedDataKey, Keyring, UnwrappedDataKey, UnwrapRequest, WrapRequest } from "./port.js";
import { checkKeyName } from "./raw-aes.js";

export type RsaPadding = "oaep-sha1" | "oaep-sha256" | "oaep-sha384" | "oaep-sha512" | "pkcs1";

export interface RawRsaKeyringOptions {
  readonly namespace: string;
  readonly name: string;
  /** SPKI PEM; needed to seal. Never derived from the private key. */
  readonly publicKey?: string;
  /** PKCS#8 PEM, not encrypted; needed to open. */
  readonly privateKey?: string;
  /**
   * OAEP uses MGF1 with the same hash and an empty label. "pkcs1" opens only: naming it is the opt-in. It cannot tell a
   * wrong key, whose message then fails at its commitment or tag: in a multi keyring put it last, one for each name.
   */
  readonly padding: RsaPadding;
}

const OAEP_HASH: Readonly<Record<Exclude<RsaPadding, "pkcs1">, string>> = {
  "oaep-sha1": "sha1",
  "oaep-sha256": "sha256",
  "oaep-sha384": "sha384",
  "oaep-sha512": "sha512",
};

/**
 * Wraps data keys with RSA. Whoever has the public key can seal: an opened message says nothing of its sender, and RSA
 * does not bind the encryption context (the message's header tag does).
 * @throws InputError ERR_INPUT
 */
export function rawRsaKeyring(options: RawRsaKeyringOptions): Keyring {
  const { namespace, name, publicKey, privateKey, padding } = options ?? {};
  checkKeyName(namespace, name);
  if (padding !== "pkcs1" && !Object.hasOwn(OAEP_HASH, padding)) {
    throw new InputError("ERR_INPUT", '"padding" expected oaep-sha1, oaep-sha256, oaep-sha384, oaep-sha512 or pkcs1');
  }
  if (publicKey === undefined && privateKey === undefined) {
    throw new InputError("ERR_INPUT", 'one of "publicKey" and "privateKey" is needed');
  }
  return new RawRsaKeyring(
    namespace,
    name,
    padding,
    readPem(publicKey, "publicKey"),
    readPem(privateKey, "privateKey"),
  );
}

function readPem(pem: unknown, field: "publicKey" | "privateKey"): KeyObject | undefined {
  if (pem === undefined) return undefined;
  const kind = field === "publicKey" ? "PUBLIC KEY" : "PRIVATE KEY";
  if (typeof pem !== "string" || !pem.includes(`-----BEGIN ${kind}-----`)) {
    throw new InputError("ERR_INPUT", `"${field}" expected a PEM text with BEGIN ${kind}`);
  }
  let key: KeyObject;
  try {
    key = field === "publicKey" ? createPublicKey(pem) : createPrivateKey(pem);
  } catch {
    // OpenSSL's own error may quote the input: it is not kept as the cause.
    throw new InputError("ERR_INPUT", `"${field}" is not a readable key`);
  }
  const bits = key.asymmetricKeyType === "rsa" ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : 0;
  if (bits < 2048) throw new InputError("ERR_INPUT", `"${field}" expected an RSA key of at least 2048 bits`);
  return key;
}

class RawRsaKeyring implements Keyring {
  readonly #namespace: string;
  readonly #keyId: string;
  /** The key's name: the provider info. */
  readonly #info: Bytes;
  readonly #padding: RsaPadding;
  readonly #publicKey: KeyObject | undefined;
  readonly #privateKey: KeyObject | undefined;
  /** Keys the answers to rejected PKCS#1 v1.5 ciphertexts. */
  readonly #rejection = randomBytes(32);

  constructor(
    namespace: string,
    name: string,
    padding: RsaPadding,
    publicKey: KeyObject | undefined,
    privateKey: KeyObject | undefined,
  ) {
    this.#namespace = namespace;
    this.#keyId = `${namespace}/${name}`;
    this.#info = utf8(name, '"name"');
    this.#padding = padding;
    this.#publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  async generateDataKey(request: WrapRequest): Promise<GeneratedDataKey> {
    const dataKey = DataKey.fromBytes(randomBytes(request.dataKeyBytes));
    try {
      return { dataKey, encryptedDataKeys: [this.#wrap(dataKey)], keyId: this.#keyId };
    } catch (error) {
      dataKey[Symbol.dispose]();
      throw error;
    }
  }

  async wrapDataKey(request: WrapRequest & { readonly dataKey: DataKey }): Promise<EncryptedDataKey> {
    return this.#wrap(request.dataKey);
  }

  async unwrapDataKey(request: UnwrapRequest): Promise<UnwrappedDataKey | undefined> {
    const key = this.#privateKey;
    if (key === undefined) return undefined;
    const mine = request.encryptedDataKeys.filter((edk) => this.#isMine(edk));
    for (const { ciphertext } of mine) {
      const opened = this.#open(key, ciphertext, request.dataKeyBytes);
      if (opened?.length === request.dataKeyBytes) return { dataKey: DataKey.fromBytes(opened), keyId: this.#keyId };
      wipe(opened); // a data key of another suite's length
    }
    if (mine.length > 0) throw decryptFailed();
    return undefined;
  }

  #wrap(dataKey: DataKey): EncryptedDataKey {
    if (this.#padding === "pkcs1") {
      throw new InputError("ERR_INPUT", 'padding "pkcs1" opens messages only; seal with an OAEP padding');
    }
    const key = this.#publicKey;
    if (key === undefined) throw new InputError("ERR_INPUT", 'this keyring has no "publicKey": it opens messages only');
    const hash = OAEP_HASH[this.#padding];
    const ciphertext = useDataKey(dataKey, (bytes) => rsaOaepEncrypt(key, hash, bytes));
    return { providerId: this.#namespace, providerInfo: this.#info, ciphertext };
  }

  #open(key: KeyObject, ciphertext: Uint8Array, bytes: number): Bytes | undefined {
    if (this.#padding === "pkcs1") return rsaPkcs1Decrypt(key, this.#rejection, ciphertext, bytes);
    return rsaOaepDecrypt(key, OAEP_HASH[this.#padding], ciphertext);
  }

  #isMine({ providerId, providerInfo }: EncryptedDataKey): boolean {
    return providerId === this.#namespace && compareBytes(providerInfo, this.#info) === 0;
  }
}
