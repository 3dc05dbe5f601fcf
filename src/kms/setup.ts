/** Opening a store with a token: the store's identity says which token made it, and nothing else may open it. */

import { compareBytes } from "../bytes.js";
import { HsmError, KeyladderError, KeyNotFoundError } from "../errors.js";
import type { HsmInfo, HsmSession } from "../hsm/port.js";
import type { StoredRecord, StoreSession } from "../store/port.js";
import { IDENTITY, TENANT } from "./fields.js";
import { STORE_WIDE, settingId } from "./ids.js";
import { decodeRecord, ID_BYTES, RECORD_TYPES, type RecordBody } from "./record.js";
import type { Sealer } from "./seal.js";
import { newRecord, openRow, tampered, Vault } from "./vault.js";

const IDENTITY_REF = { type: IDENTITY.type, tenantId: STORE_WIDE, recordId: settingId("identity") };

/**
 * The vault of a store, which is given an identity where it is empty and `create` is set.
 * @throws KeyNotFoundError ERR_LADDER_NOT_FOUND · HsmError ERR_HSM_REFUSED (another token made it) ·
 * StoreError ERR_STORE_TAMPERED
 */
export async function openVault(
  hsm: HsmSession,
  store: StoreSession,
  sealer: Sealer,
  create: boolean,
  now: number,
): Promise<Vault> {
  const token = await hsm.info();
  const row = (await store.get(IDENTITY_REF)) ?? (await identityMadeMeanwhile(store));
  if (row !== undefined) return openExisting(row, store, sealer, token);
  if (!create) {
    throw new KeyNotFoundError("ERR_LADDER_NOT_FOUND", 'the store is empty; to make a ladder: create: "if-missing"');
  }
  try {
    const vault = new Vault(store, sealer, await hsm.random(ID_BYTES));
    const values = { tokenKind: token.kind, tokenSerial: token.serial, createdAt: now };
    await vault.commit([newRecord(IDENTITY, STORE_WIDE, IDENTITY_REF.recordId, values)]);
    return vault;
  } catch (error) {
    // Another process made it first.
    const made = KeyladderError.is(error, "ERR_STORE_CONFLICT") ? await store.get(IDENTITY_REF) : undefined;
    if (made === undefined) throw error;
    return openExisting(made, store, sealer, token);
  }
}

async function openExisting(row: StoredRecord, store: StoreSession, sealer: Sealer, token: HsmInfo): Promise<Vault> {
  const { storeId, serial } = await readIdentity(row, sealer, token);
  if (serial !== token.serial) throw wrongToken();
  await refuseForeignRecords(store, storeId);
  return new Vault(store, sealer, storeId);
}

async function readIdentity(
  row: StoredRecord,
  sealer: Sealer,
  token: HsmInfo,
): Promise<{ storeId: Uint8Array; serial: string }> {
  try {
    const { body, values } = await openRow(sealer, row, IDENTITY);
    if (compareBytes(body.recordId, IDENTITY_REF.recordId) !== 0) throw tampered("a setting in the place of another");
    return { storeId: body.storeId, serial: values.tokenSerial };
  } catch (error) {
    // Another token's seal cannot be told from a broken one, but the serial number it claims can.
    const claimed = claimedSerial(row);
    throw claimed !== undefined && claimed !== token.serial ? wrongToken(error) : error;
  }
}

/** What a row says before it is verified. Good for the choice of an error, and nothing else. */
function claims(row: StoredRecord): RecordBody | undefined {
  try {
    return decodeRecord(row.body);
  } catch (error) {
    if (isMalformed(error)) return undefined;
    throw error;
  }
}

function claimedSerial(row: StoredRecord): string | undefined {
  const body = claims(row);
  try {
    return body === undefined ? undefined : IDENTITY.decode(body.fields).tokenSerial;
  } catch (error) {
    if (isMalformed(error)) return undefined;
    throw error;
  }
}

function isMalformed(error: unknown): boolean {
  return KeyladderError.is(error, "ERR_FORMAT") || KeyladderError.is(error, "ERR_UNSUPPORTED_VERSION");
}

function wrongToken(cause?: unknown): HsmError {
  const details = cause === undefined ? {} : { cause };
  return new HsmError("ERR_HSM_REFUSED", "this token did not make this store", details);
}

/** An identity taken from another store of the same token would make every key seem absent, not changed. */
async function refuseForeignRecords(store: StoreSession, storeId: Uint8Array): Promise<void> {
  for (const row of await store.list({ type: TENANT.type, limit: 1 })) {
    const claimed = claims(row)?.storeId;
    if (claimed !== undefined && compareBytes(claimed, storeId) !== 0) throw tampered("records of another store");
  }
}

/** A store with records has an identity, which was written first: made by another process just now, or else removed. */
async function identityMadeMeanwhile(store: StoreSession): Promise<StoredRecord | undefined> {
  for (const type of Object.values(RECORD_TYPES)) {
    if ((await store.list({ type, limit: 1 })).length === 0) continue;
    const row = await store.get(IDENTITY_REF);
    if (row === undefined) throw tampered("records but no identity");
    return row;
  }
  return undefined;
}
