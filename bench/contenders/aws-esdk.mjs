import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";
import { CONTEXT, KEY } from "../cases.mjs";

const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

/** @param {{ key: Uint8Array, cached: boolean }} options */
export function contender({ key, cached }) {
  const keyring = new RawAesKeyringNode({
    keyNamespace: KEY.namespace,
    keyName: KEY.name,
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const materials = cached
    ? new NodeCachingMaterialsManager({
        backingMaterials: keyring,
        cache: getLocalCryptographicMaterialsCache(1000),
        maxAge: 600_000,
        maxMessagesEncrypted: 2 ** 20,
        partition: "bench",
      })
    : keyring;
  return {
    /** @param {Uint8Array} plaintext @returns {Promise<Uint8Array>} */
    async encrypt(plaintext) {
      const options = {
        suiteId,
        encryptionContext: { ...CONTEXT },
        frameLength: 4096,
        plaintextLength: plaintext.length,
      };
      return (await client.encrypt(materials, plaintext, options)).result;
    },
    /** @param {Uint8Array} message @returns {Promise<Uint8Array>} */
    decrypt: async (message) => (await client.decrypt(materials, message)).plaintext,
  };
}
