/** Encrypted data keys as people and scripts read them: which master wrapped them, as far as the message says. */

import { type EncryptedDataKey, ladderKeyOf } from "../index.js";

export interface DescribedDataKey {
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Nothing of this is authenticated. */
export function describeDataKey(key: EncryptedDataKey): DescribedDataKey {
  const { providerId, providerInfo, ciphertext } = key;
  const own = ladderKeyOf(key);
  if (own !== undefined) {
    const text = `${providerId}  ${own.keyId}  KEK ${own.kekId.slice(0, 8)} v${own.kekVersion}`;
    return { text, fields: { providerId, ...own } };
  }
  const name = printablePrefix(providerInfo);
  return {
    text: `${providerId}${name === "" ? "" : `  ${name}`}  (${ciphertext.length} bytes)`,
    fields: { providerId, ...(name === "" ? {} : { keyName: name }), providerInfo, ciphertextBytes: ciphertext.length },
  };
}

/** Most keyrings begin their provider info with the key's name or resource name, in ASCII. */
function printablePrefix(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    if (byte < 0x20 || byte > 0x7e) break;
    text += String.fromCharCode(byte);
  }
  return text;
}
