/** The AWS Encryption SDK for JavaScript. */

import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";
import { through } from "../harness/chunks.mjs";
import { packageVersion } from "../harness/dependencies.mjs";
import { CONTEXT, KEY, KEY_NAME } from "../harness/input.mjs";

export const version = packageVersion("@aws-crypto/client-node");

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);

/** @param {import("../harness/measure.mjs").Case} case_ */
const suiteOf = ({ options }) =>
  options?.suite === 0x0578
    ? AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
    : AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

/** @param {boolean} cached */
function materials(cached) {
  const keyring = new RawAesKeyringNode({
    keyNamespace: KEY_NAME.namespace,
    keyName: KEY_NAME.name,
    unencryptedMasterKey: new Uint8Array(KEY),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  if (!cached) return keyring;
  return new NodeCachingMaterialsManager({
    backingMaterials: keyring,
    cache: getLocalCryptographicMaterialsCache(1000),
    maxAge: 600_000,
    maxMessagesEncrypted: 2 ** 20,
    partition: "bench",
  });
}

/** @type {Record<string, import("../harness/worker.mjs").Maker>} */
export const subjects = {
  messages: (case_, plaintext) => {
    const keys = materials(case_.options?.cached === true);
    const suiteId = suiteOf(case_);
    return {
      seal: async () => {
        const encryptionContext = { ...CONTEXT };
        const settings = { suiteId, encryptionContext, frameLength: 4096, plaintextLength: case_.bytes };
        return (await client.encrypt(keys, plaintext, settings)).result;
      },
      open: async (message) => (await client.decrypt(keys, message)).plaintext,
    };
  },

  streams: (case_, plaintext) => {
    const keys = materials(false);
    const settings = { suiteId: suiteOf(case_), encryptionContext: { ...CONTEXT }, frameLength: 4096 };
    return {
      seal: () => through(plaintext, client.encryptStream(keys, settings)),
      open: (message) => through(message, client.decryptStream(keys)),
    };
  },
};
