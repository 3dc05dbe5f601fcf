/** `keyladder/insecure`: what shows raw key bytes, or takes them. Needed by whoever writes a keyring or leaves Tink; by nobody else. */

import { type DataKey, useDataKey } from "./engine/data-key.js";
import { defaultEngine } from "./engine/select.js";
import { openCleartextRecords } from "./envelope/open-records.js";
import type { OpenedRecords } from "./envelope/records.js";

/**
 * Lends the plaintext of a data key to `use`, for wrapping it under a master of your own. The array is the key itself:
 * do not keep it, change it or let it outlive the call.
 * @returns what `use` returns
 */
export function exposeDataKey<T>(dataKey: DataKey, use: (key: Uint8Array) => T): T {
  return useDataKey(dataKey, use);
}

/**
 * Records under a Tink keyset in the clear: its keys were seen by whatever stored them and handed them here. For tests,
 * and for reading what such a keyset sealed while it is sealed anew.
 * @param keyset the protobuf of a Keyset, borrowed; or its JSON
 * @param options.maxRecords as for `openRecords`
 * @throws FormatError · InputError ERR_INPUT
 */
export function insecureRecords(
  keyset: Uint8Array | string,
  options: { readonly maxRecords?: number } = {},
): OpenedRecords {
  return openCleartextRecords(keyset, options.maxRecords, defaultEngine());
}
