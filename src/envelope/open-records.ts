/** Opens a keyset that was exported: anywhere, with a keyring, and no ladder. */

import { type Bytes, copyOf } from "../bytes.js";
import type { Engine } from "../engine/port.js";
import { defaultEngine } from "../engine/select.js";
import { InputError } from "../errors.js";
import type { Unwrapper } from "../keyring/port.js";
import { type EncryptionContext, readContext } from "../message/context.js";
import { parseKeyset, type TinkKeyset } from "../message/tink.js";
import { parseJsonKeyset } from "../message/tink-json.js";
import { openKeyset } from "./keyset.js";
import { GivenKeyset } from "./open-keyset.js";
import { checkOptions, wholeNumber } from "./options.js";
import { RecordKeys } from "./record-keys.js";
import { fixedQuota, MAX_RECORDS, unlimited } from "./record-quota.js";
import { KeysetRecords, type OpenedRecords } from "./records.js";

export interface OpenRecordsOptions {
  readonly keyring: Unwrapper;
  /** What `Records.export()` returned: a Tink EncryptedKeyset. */
  readonly keyset: Uint8Array;
  /** Demanded: each pair must be bound to the keyset. */
  readonly context?: EncryptionContext;
  /**
   * How many records this one may seal, at most 2^32. Nobody counts for you: what all holders of the keyset seal together
   * must stay below 2^32. Left out: none, unless the keyset's primary key is XAES-256-GCM, which needs no count.
   */
  readonly maxRecords?: number;
}

const OPTIONS: ReadonlySet<string> = new Set(["keyring", "keyset", "context", "maxRecords"]);

/**
 * Records under an exported keyset. It cannot be rotated from here: there is nowhere to save it.
 * @throws InputError ERR_INPUT · FormatError · DecryptError ERR_DECRYPT, ERR_CONTEXT_MISMATCH · KeyNotFoundError
 * ERR_NO_KEYRING_MATCHED · what the keyring throws
 */
export async function openRecords(options: OpenRecordsOptions): Promise<OpenedRecords> {
  return openGivenRecords(options, defaultEngine());
}

/** `openRecords` with a chosen engine. */
export async function openGivenRecords(given: OpenRecordsOptions, engine: Engine): Promise<OpenedRecords> {
  checkOptions(given, OPTIONS);
  const { keyring, keyset: sealed, maxRecords } = given;
  if (!(sealed instanceof Uint8Array)) throw new InputError("ERR_INPUT", '"keyset" expected a Uint8Array');
  const context = readContext(given.context);
  const most = checkMaxRecords(maxRecords, 0);
  const copy = copyOf(sealed);
  const { name, keyset } = await openKeyset(copy, { keyring, context, engine });
  return recordsOf({ name, sealed: copy, keyset, maxRecords: most, engine });
}

/** @throws InputError ERR_INPUT */
export function checkMaxRecords(maxRecords: unknown, fallback: number): number {
  return wholeNumber(maxRecords, "maxRecords", 0, MAX_RECORDS, fallback);
}

/**
 * A Tink keyset in the clear, such as a test or a migration has at hand.
 * @param keyset the protobuf of a Keyset (borrowed; it holds the keys, so wiping it is the caller's job), or its JSON
 * @throws FormatError · InputError ERR_INPUT
 */
export function openCleartextRecords(keyset: unknown, maxRecords: unknown, engine: Engine): OpenedRecords {
  const most = checkMaxRecords(maxRecords, 0);
  if (typeof keyset !== "string" && !(keyset instanceof Uint8Array)) {
    throw new InputError("ERR_INPUT", '"keyset" expected a Uint8Array, or JSON text');
  }
  const parsed = typeof keyset === "string" ? parseJsonKeyset(keyset) : parseKeyset(keyset);
  return recordsOf({ name: "", sealed: undefined, keyset: parsed, maxRecords: most, engine });
}

interface Given {
  readonly name: string;
  readonly sealed: Bytes | undefined;
  /** Taken over. */
  readonly keyset: TinkKeyset;
  readonly maxRecords: number;
  readonly engine: Engine;
}

/** Records over a keyset in the clear, whose keys are wiped here. */
function recordsOf({ name, sealed, keyset, maxRecords, engine }: Given): OpenedRecords {
  const keys = new RecordKeys(keyset, engine);
  const quota = keys.primary.algorithm.name === "aes-gcm" ? fixedQuota(maxRecords) : unlimited();
  return new KeysetRecords(new GivenKeyset(name, sealed, keys, quota));
}
