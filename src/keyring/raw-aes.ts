/** A keyring over one AES key the caller holds (AWS Encryption SDK: raw AES keyring). Interoperable, bytes for bytes. */

import { type Bytes, compareBytes, concat, u32, utf8, wipe } from "../bytes.js";
import { DataKey, useDataKey } from "../engine/data-key.js";
import { gcmOpen, gcmSeal, randomBytes } from "../engine/primitives.js";
import { SecretBytes } from "../engine/secret-bytes.js";
import { decryptFailed, InputError } from "../errors.js";
import type { EncryptedDataKey } from "../message/header.js";
import { NONCE_BYTES, TAG_BYTES } from "../message/limits.js";
import type { GeneratedDataKey, Keyring, UnwrappedDataKey, UnwrapRequest, WrapRequest } from "./port.js";

export interface RawAesKeyringOptions {
  /** The provider id in messages; not "aws-kms…". */
  readonly namespace: string;
  /** Which key of the namespace. */
  readonly name: string;
  /** 16, 24 or 32 bytes; copied. */
  readonly key: Uint8Array;
}

/** Checks what names a raw key. @throws InputError ERR_INPUT */
export function checkKeyName(namespace: unknown, name: unknown): void {
  for (const [field, value] of Object.entries({ namespace, name })) {
    if (typeof value !== "string" || value.length === 0) {
      throw new InputError("ERR_INPUT", `"${field}" expected a non-empty string`);
    }
    if (utf8(value, `"${field}"`).length > 0xff00) throw new InputError("ERR_INPUT", `"${field}" is too long`);
  }
  if ((namespace as string).startsWith("aws-kms") || namespace === "keyladder") {
    throw new InputError("ERR_INPUT", `"namespace" must not be one of another kind of keyring, got "${namespace}"`);
  }
}

function checkKey(key: unknown): Uint8Array {
  if (typeof key === "string") {
    throw new InputError("ERR_INPUT", '"key" expected 16, 24 or 32 bytes, got text (hex or base64? decode it)');
  }
  if (!(key instanceof Uint8Array)) throw new InputError("ERR_INPUT", '"key" expected a Uint8Array');
  if (key.length === 16 || key.length === 24 || key.length === 32) return key;
  const hint = key.every((byte) => byte > 0x20 && byte < 0x7f) ? " (hex or base64 text? decode it)" : "";
  throw new InputError("ERR_INPUT", `"key" expected 16, 24 or 32 bytes, got ${key.length}${hint}`);
}

/**
 * Wraps data keys with AES-GCM under `key`, the encryption context as associated data.
 * @throws InputError ERR_INPUT
 */
export function rawAesKeyring(options: RawAesKeyringOptions): Keyring {
  const { namespace, name, key } = options ?? {};
  checkKeyName(namespace, name);
  return new RawAesKeyring(namespace, name, SecretBytes.copy(checkKey(key)));
}

class RawAesKeyring implements Keyring {
  readonly #namespace: string;
  readonly #keyId: string;
  /** Key name, tag bits, IV bytes: what precedes the IV in the provider info. */
  readonly #infoPrefix: Bytes;
  readonly #key: SecretBytes;

  constructor(namespace: string, name: string, key: SecretBytes) {
    this.#namespace = namespace;
    this.#keyId = `${namespace}/${name}`;
    this.#infoPrefix = concat(utf8(name, '"name"'), u32(8 * TAG_BYTES), u32(NONCE_BYTES));
    this.#key = key;
  }

  async generateDataKey(request: WrapRequest): Promise<GeneratedDataKey> {
    const dataKey = DataKey.fromBytes(randomBytes(request.dataKeyBytes));
    return { dataKey, encryptedDataKeys: [this.#wrap(dataKey, request.contextBytes)], keyId: this.#keyId };
  }

  async wrapDataKey(request: WrapRequest & { readonly dataKey: DataKey }): Promise<EncryptedDataKey> {
    return this.#wrap(request.dataKey, request.contextBytes);
  }

  async unwrapDataKey(request: UnwrapRequest): Promise<UnwrappedDataKey | undefined> {
    const mine = request.encryptedDataKeys.filter((edk) => this.#isMine(edk));
    for (const { providerInfo, ciphertext } of mine) {
      const nonce = providerInfo.subarray(this.#infoPrefix.length);
      const opened = gcmOpen(this.#key, nonce, request.contextBytes, ciphertext);
      if (opened?.length === request.dataKeyBytes) return { dataKey: DataKey.fromBytes(opened), keyId: this.#keyId };
      wipe(opened); // a data key of another suite's length
    }
    if (mine.length > 0) throw decryptFailed();
    return undefined;
  }

  #wrap(dataKey: DataKey, aad: Uint8Array): EncryptedDataKey {
    const nonce = randomBytes(NONCE_BYTES);
    const ciphertext = useDataKey(dataKey, (bytes) => gcmSeal(this.#key, nonce, aad, bytes));
    return { providerId: this.#namespace, providerInfo: concat(this.#infoPrefix, nonce), ciphertext };
  }

  #isMine({ providerId, providerInfo }: EncryptedDataKey): boolean {
    const prefix = this.#infoPrefix;
    return (
      providerId === this.#namespace &&
      providerInfo.length === prefix.length + NONCE_BYTES &&
      compareBytes(providerInfo.subarray(0, prefix.length), prefix) === 0
    );
  }
}
