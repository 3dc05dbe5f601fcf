/** `keyladder/insecure`: what shows raw key bytes. Needed by whoever writes a keyring; by nobody else. */

import { type DataKey, useDataKey } from "./engine/data-key.js";

/**
 * Lends the plaintext of a data key to `use`, for wrapping it under a master of your own. The array is the key itself:
 * do not keep it, change it or let it outlive the call.
 * @returns what `use` returns
 */
export function exposeDataKey<T>(dataKey: DataKey, use: (key: Uint8Array) => T): T {
  return useDataKey(dataKey, use);
}
