/** What Node users import. Re-exports only. */

export type { Bytes } from "./bytes.js";
export type { Duration } from "./duration.js";
export { DataKey } from "./engine/data-key.js";
export type { EngineName } from "./engine/port.js";
export { type EngineInfo, engineInfo } from "./engine/select.js";
export { type DecryptResult, decrypt } from "./envelope/decrypt.js";
export { encrypt } from "./envelope/encrypt.js";
export { decryptFile, encryptFile, type FileOptions, type FileResult } from "./envelope/file.js";
export { inspect } from "./envelope/inspect.js";
export type { CommitmentPolicy, CommonOptions, DecryptOptions, EncryptOptions } from "./envelope/options.js";
export { decryptRange, openRange, type RangeSource } from "./envelope/range.js";
export { type ReencryptOptions, reencrypt } from "./envelope/reencrypt.js";
export { decryptStream, encryptStream } from "./envelope/stream.js";
export * as errors from "./errors.js";
export { type ErrorCode, KeyladderError } from "./errors.js";
export { type CacheOptions, cachingKeyring } from "./keyring/cache.js";
export { multiKeyring } from "./keyring/multi.js";
export type {
  GeneratedDataKey,
  Keyring,
  UnwrappedDataKey,
  Unwrapper,
  UnwrapRequest,
  WrapRequest,
} from "./keyring/port.js";
export { type RawAesKeyringOptions, rawAesKeyring } from "./keyring/raw-aes.js";
export { type RawRsaKeyringOptions, type RsaPadding, rawRsaKeyring } from "./keyring/raw-rsa.js";
export type { EncryptionContext } from "./message/context.js";
export type { EncryptedDataKey, MessageHeader } from "./message/header.js";
export type { SuiteId, WritableSuiteId } from "./message/suites.js";
