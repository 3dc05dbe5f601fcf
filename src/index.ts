/** What Node users import. Re-exports only. */

export type { Bytes } from "./bytes.js";
export type { Duration } from "./duration.js";
export { DataKey } from "./engine/data-key.js";
export type { EngineName } from "./engine/port.js";
export { type DecryptResult, decrypt } from "./envelope/decrypt.js";
export { encrypt } from "./envelope/encrypt.js";
export { decryptFile, encryptFile, type FileOptions, type FileResult } from "./envelope/file.js";
export { inspect } from "./envelope/inspect.js";
export type { RecordCipher } from "./envelope/keyset.js";
export { type OpenRecordsOptions, openRecords } from "./envelope/open-records.js";
export type { CommitmentPolicy, CommonOptions, DecryptOptions, EncryptOptions } from "./envelope/options.js";
export { decryptRange, openRange } from "./envelope/range.js";
export type { RangeSource } from "./envelope/range-source.js";
export type { Arena } from "./envelope/record-arena.js";
export type {
  BatchOptions,
  OneOptions,
  OpenArenaOptions,
  OpenedRecords,
  Records,
  RecordsInfo,
  SealArenaOptions,
} from "./envelope/records.js";
export { type ReencryptOptions, reencrypt } from "./envelope/reencrypt.js";
export { decryptStream, encryptStream } from "./envelope/stream.js";
export * as errors from "./errors.js";
export { type ErrorCode, KeyladderError } from "./errors.js";
export type { Hsm } from "./hsm/port.js";
export { type SoftwareHsmOptions, softwareHsm } from "./hsm/software/driver.js";
export type { Secret } from "./hsm/software/secret.js";
export { type CacheOptions, cachingKeyring } from "./keyring/cache.js";
export { type LadderKeyName, ladderKeyOf } from "./keyring/ladder-edk.js";
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
export type { KeyInfo, KeyVersionInfo } from "./kms/info.js";
export type { Keys } from "./kms/keys.js";
export type { Listing } from "./kms/listing.js";
export type { CreateKey, KeyFilter, KeyRef } from "./kms/options.js";
export type { KeyState } from "./kms/state.js";
export type { KeyTree } from "./kms/tree.js";
export {
  type Ladder,
  type LadderInfo,
  type LadderKeys,
  type LadderOptions,
  openLadder,
  type RecordsOptions,
} from "./ladder.js";
export type { EncryptionContext } from "./message/context.js";
export type { EncryptedDataKey, MessageHeader } from "./message/header.js";
export type { SuiteId, WritableSuiteId } from "./message/suites.js";
export { type EngineInfo, engineInfo } from "./pool/default.js";
export type { PoolInfo, PoolOptions } from "./pool/pool.js";
export type { Store } from "./store/port.js";
export { type SqliteStoreOptions, sqliteStore } from "./store/sqlite.js";
