/** What each type of record holds: tags, types, and the index columns a store may sort by. Tags are on disk: never reused. */

import { concat, u32 } from "../bytes.js";
import {
  bytes,
  type Codec,
  field,
  fieldTable,
  flag,
  id,
  listOf,
  oneOf,
  optional,
  pairs,
  text,
  uint32,
  uint64,
} from "./codecs.js";
import { ID_BYTES, RECORD_TYPES } from "./record.js";

/** Index columns, recomputed from the values at each write and compared at each load. */
export interface RecordIndex {
  readonly parentId?: Uint8Array;
  readonly createdAt: number;
}

/** One type of record: its number, its name for errors, its fields and its index. */
export interface RecordKind<V> {
  readonly type: number;
  readonly name: string;
  encode(values: V): Map<number, Uint8Array>;
  decode(map: ReadonlyMap<number, Uint8Array>): V;
  index(values: V): RecordIndex;
}

/** SP 800-57 part 1, section 7. What time alone decides (pre-active, expired) is worked out, not stored. */
const keyStates = oneOf({
  "pre-active": 1,
  active: 2,
  suspended: 3,
  deactivated: 4,
  compromised: 5,
  destroyed: 6,
});
const algorithms = oneOf({ "aes-256": 1 });
const origins = oneOf({ hsm: 1, external: 2 });

/** A KEK and the number of its versions, from 1. */
export interface KekLine {
  readonly kekId: Uint8Array;
  readonly versions: number;
}

/** kekId 16 | versions u32. */
const kekLine: Codec<KekLine> = {
  encode: ({ kekId, versions }) => concat(id.encode(kekId), u32(versions)),
  decode: (value) => ({
    kekId: id.decode(value.subarray(0, ID_BYTES)),
    versions: uint32.decode(value.subarray(ID_BYTES)),
  }),
};

const tenantFields = fieldTable({ name: field(1, text), createdAt: field(2, uint64) });
export type TenantValues = ReturnType<typeof tenantFields.decode>;
export const TENANT: RecordKind<TenantValues> = {
  type: RECORD_TYPES.tenant,
  name: "tenant",
  ...tenantFields,
  index: ({ createdAt }) => ({ createdAt }),
};

const keyFields = fieldTable({
  usage: field(1, oneOf({ encrypt: 1 })),
  algorithm: field(2, algorithms),
  protection: field(3, oneOf({ wrapped: 1, resident: 2 })),
  origin: field(4, origins),
  managedBy: field(5, oneOf({ customer: 1, provider: 2 })),
  exportable: field(6, flag),
  /** The token that made it: kind and serial number. */
  issuer: field(7, text),
  owner: optional(8, text),
  description: optional(9, text),
  tags: optional(10, pairs),
  /** ms. */
  rotationPeriod: optional(11, uint64),
  createdAt: field(12, uint64),
  activatesAt: optional(13, uint64),
  expiresAt: optional(14, uint64),
  contextKeys: optional(15, listOf(text)),
  state: field(16, keyStates),
  stateReason: optional(17, text),
  stateChangedAt: field(18, uint64),
  /** The newest CMK version; its predecessors, from 1, are kept. Every KEK is wrapped by this one. */
  currentVersion: field(19, uint32),
  rotatedAt: field(20, uint64),
  /** The KEK that wraps new data keys. */
  kekId: field(21, id),
  kekVersion: field(22, uint32),
  /** Every KEK of this key, oldest first: id, and how many versions exist. */
  keks: field(23, listOf(kekLine)),
});
export type KeyValues = ReturnType<typeof keyFields.decode>;
export const KEY: RecordKind<KeyValues> = {
  type: RECORD_TYPES.key,
  name: "key",
  ...keyFields,
  index: ({ createdAt }) => ({ createdAt }),
};

const versionFields = fieldTable({
  keyId: field(1, id),
  version: field(2, uint32),
  rung: field(3, oneOf({ cmk: 1, kek: 2, sign: 3, mac: 4 })),
  algorithm: field(4, algorithms),
  usage: field(5, oneOf({ wrap: 1, encrypt: 2 })),
  /** What wraps it: the CMK and its version; for a CMK, 16 zero bytes and the version of HMK-WRAP (0 where resident). */
  parentId: field(6, id),
  parentVersion: field(7, uint32),
  wrapFormat: optional(8, oneOf({ rfc3394: 1, rfc5649: 2 })),
  blob: optional(9, bytes),
  residentSerial: optional(10, text),
  residentObjectId: optional(11, bytes),
  origin: field(12, origins),
  exportable: field(13, flag),
  state: field(14, keyStates),
  createdAt: field(15, uint64),
  activatedAt: optional(16, uint64),
  /** When it stopped wrapping new keys. */
  originatorEnd: optional(17, uint64),
  /** Of a KEK: the CMK version it was made under, which a message sealed under it reports as its key version. */
  originVersion: optional(18, uint32),
  // 19 to 22 are taken by what is to come: canary, recipient-end, recovery, policy.
});
export type VersionValues = ReturnType<typeof versionFields.decode>;
export const KEY_VERSION: RecordKind<VersionValues> = {
  type: RECORD_TYPES.keyVersion,
  name: "key version",
  ...versionFields,
  index: ({ rung, keyId, parentId, createdAt }) => ({ parentId: rung === "kek" ? parentId : keyId, createdAt }),
};

/** A removed alias stays, without a key: its revisions go on, so that an older row is told from a new one. */
const aliasFields = fieldTable({ name: field(1, text), keyId: optional(2, id), createdAt: field(3, uint64) });
export type AliasValues = ReturnType<typeof aliasFields.decode>;
export const ALIAS: RecordKind<AliasValues> = {
  type: RECORD_TYPES.alias,
  name: "alias",
  ...aliasFields,
  index: ({ keyId, createdAt }) => (keyId === undefined ? { createdAt } : { parentId: keyId, createdAt }),
};

/** How many wraps of one KEK version, or records under one key of a keyset, were handed out to processes. */
const leaseFields = fieldTable({
  /** The KEK, and its version below; of a keyset, its record id, and the key's id. */
  lineId: field(1, id),
  version: field(2, uint32),
  leased: field(3, uint64),
  createdAt: field(4, uint64),
});
export type LeaseValues = ReturnType<typeof leaseFields.decode>;
export const LEASE: RecordKind<LeaseValues> = {
  type: RECORD_TYPES.lease,
  name: "lease",
  ...leaseFields,
  index: ({ lineId, createdAt }) => ({ parentId: lineId, createdAt }),
};

/** A named keyset for records: sealed under a key, and named in what seals it. */
const keysetFields = fieldTable({
  name: field(1, text),
  keyId: field(2, id),
  /** A Tink encrypted keyset. */
  sealed: field(3, bytes),
  createdAt: field(4, uint64),
  changedAt: field(5, uint64),
});
export type KeysetValues = ReturnType<typeof keysetFields.decode>;
export const KEYSET: RecordKind<KeysetValues> = {
  type: RECORD_TYPES.keyset,
  name: "keyset",
  ...keysetFields,
  index: ({ keyId, createdAt }) => ({ parentId: keyId, createdAt }),
};

/** Which token made this store, and when. */
const identityFields = fieldTable({
  tokenKind: field(1, text),
  tokenSerial: field(2, text),
  createdAt: field(3, uint64),
});
export type IdentityValues = ReturnType<typeof identityFields.decode>;
export const IDENTITY: RecordKind<IdentityValues> = {
  type: RECORD_TYPES.setting,
  name: "store identity",
  ...identityFields,
  index: ({ createdAt }) => ({ createdAt }),
};
