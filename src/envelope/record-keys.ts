/** The keys of an open keyset, ready to seal and open records. */

import type { Bytes } from "../bytes.js";
import { DataKey } from "../engine/data-key.js";
import type { Engine, RecordKey } from "../engine/port.js";
import { FormatError } from "../errors.js";
import { TAG_BYTES } from "../message/limits.js";
import { type TinkAlgorithm, type TinkKey, type TinkKeyset, wipeKeyset } from "../message/tink.js";

/** A key of the keyset that opens records, and seals them where it is the primary one. */
export interface UsableKey {
  readonly keyId: number;
  readonly algorithm: TinkAlgorithm;
  /** 5 bytes, or none. */
  readonly prefix: Bytes;
  readonly key: RecordKey;
  /** Bytes a record has more than its plaintext. */
  readonly overhead: number;
}

export class RecordKeys {
  readonly primary: UsableKey;
  /** Every enabled key of a type we know; those with a prefix first. */
  readonly keys: readonly UsableKey[];
  /** Of all keys of the keyset, in its order. */
  readonly keyIds: readonly number[];

  /**
   * Takes the keyset's secrets over: they are wiped when this returns.
   * @throws FormatError ERR_FORMAT where the primary key is of a type that is not known here
   */
  constructor(keyset: TinkKeyset, engine: Engine) {
    try {
      const keys = keyset.keys.flatMap((key) => usable(key, engine));
      const primary = keys.find(({ keyId }) => keyId === keyset.primaryKeyId);
      if (primary === undefined) {
        for (const { key } of keys) key.wipe();
        throw new FormatError("ERR_FORMAT", "keyset: the primary key is neither AES-GCM nor XAES-256-GCM");
      }
      this.primary = primary;
      this.keys = keys.sort((a, b) => b.prefix.length - a.prefix.length);
      this.keyIds = keyset.keys.map(({ keyId }) => keyId);
    } finally {
      wipeKeyset(keyset);
    }
  }

  /** The key a record names; the primary one where it names none of them. */
  likely(record: Uint8Array): UsableKey {
    const { primary } = this;
    if (this.keys.length === 1 || beginsWith(record, primary.prefix)) return primary;
    return this.keys.find(({ prefix }) => beginsWith(record, prefix)) ?? primary;
  }

  wipe(): void {
    for (const { key } of this.keys) key.wipe();
  }
}

export function beginsWith(record: Uint8Array, prefix: Uint8Array): boolean {
  if (record.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (record[i] !== prefix[i]) return false;
  return true;
}

/** Nothing for keys that are disabled, or of a type or prefix we do not know. */
function usable({ keyId, enabled, prefix, material }: TinkKey, engine: Engine): UsableKey[] {
  if (!enabled || prefix === undefined || material === undefined) return [];
  const dataKey = DataKey.fromBytes(material.key);
  try {
    const key = engine.recordKey(dataKey, material.algorithm);
    const overhead = prefix.length + key.nonceBytes + TAG_BYTES;
    return [{ keyId, algorithm: material.algorithm, prefix, key, overhead }];
  } finally {
    dataKey[Symbol.dispose]();
  }
}
