/** Messages exchanged with the AWS Encryption SDK for JavaScript, both ways. `FUZZ_SEED` repeats a run. */

import { generateKeyPairSync } from "node:crypto";
import {
  buildClient,
  CommitmentPolicy,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
} from "@aws-crypto/client-node";
import { describe, expect, test } from "vitest";
import { decrypt } from "../../src/envelope/decrypt.js";
import { encrypt } from "../../src/envelope/encrypt.js";
import { inspect } from "../../src/envelope/inspect.js";
import { decryptStream } from "../../src/envelope/stream.js";
import { multiKeyring } from "../../src/keyring/multi.js";
import type { Keyring } from "../../src/keyring/port.js";
import { rawAesKeyring } from "../../src/keyring/raw-aes.js";
import { rawRsaKeyring } from "../../src/keyring/raw-rsa.js";
import { chunksOf, expectBytes, expectCode, pump, SeededRandom, SLOW } from "../kit.js";

const SEED = Number(process.env.FUZZ_SEED ?? Date.now());
const COUNT = SLOW ? 2000 : 200;
const client = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const oldClient = buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT);
type TheirKeyring = RawAesKeyringNode | RawRsaKeyringNode | MultiKeyringNode;

const rsaPair = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaKey = {
  publicKey: rsaPair.publicKey.export({ format: "pem", type: "spki" }) as string,
  privateKey: rsaPair.privateKey.export({ format: "pem", type: "pkcs8" }) as string,
};
const WRAPPING = {
  16: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  24: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  32: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
} as const;

/** The same masters, ours and theirs. */
interface Pair {
  readonly ours: Keyring;
  readonly theirs: TheirKeyring;
}

function aesPair(bytes: 16 | 24 | 32, name = `käy-${bytes}`): Pair {
  const key = new Uint8Array(bytes).fill(bytes);
  const theirs = new RawAesKeyringNode({
    keyNamespace: "interop",
    keyName: name,
    // Their keyring demands an isolated buffer; the sort makes it bind what the specification says.
    unencryptedMasterKey: new Uint8Array(key),
    wrappingSuite: WRAPPING[bytes],
    utf8Sorting: true,
  });
  return { ours: rawAesKeyring({ namespace: "interop", name, key }), theirs };
}

function rsaPairOf(hash: "sha1" | "sha256" | "sha384" | "sha512"): Pair {
  const named = { namespace: "interop", name: `rsa-${hash}` };
  return {
    ours: rawRsaKeyring({ ...named, ...rsaKey, padding: `oaep-${hash}` }),
    theirs: new RawRsaKeyringNode({ keyNamespace: named.namespace, keyName: named.name, rsaKey, oaepHash: hash }),
  };
}

const singles: readonly Pair[] = [
  ...([16, 24, 32] as const).map((bytes) => aesPair(bytes)),
  ...(["sha1", "sha256", "sha384", "sha512"] as const).map(rsaPairOf),
];

function multiPair(random: SeededRandom): Pair {
  const [generator, child, other] = [random.pick(singles), random.pick(singles), random.pick(singles)];
  return {
    ours: multiKeyring(generator.ours, child.ours, other.ours),
    theirs: new MultiKeyringNode({ generator: generator.theirs, children: [child.theirs, other.theirs] }),
  };
}

function contextOf(random: SeededRandom): Record<string, string> {
  const letters = ["a", "Z", "é", "ß", "ー", "\u{10000}", "\ue000", "🔑", " ", "\u0000", "-"];
  const word = () => Array.from({ length: 1 + random.below(5) }, () => random.pick(letters)).join("");
  return Object.fromEntries(Array.from({ length: random.below(6) }, () => [word(), word()]));
}

interface Case {
  readonly pair: Pair;
  readonly plaintext: Uint8Array;
  readonly context: Record<string, string>;
  readonly frameBytes: number;
  readonly suite: 0x0478 | 0x0578;
}

function caseOf(random: SeededRandom): Case {
  const most = random.pick([0, 10, 100, 5000, 5000, 60_000, 300_000]);
  const plaintext = random.bytes(random.below(most + 1));
  const least = Math.max(1, Math.floor(plaintext.length / 500));
  return {
    pair: random.below(3) === 0 ? multiPair(random) : random.pick(singles),
    plaintext,
    context: contextOf(random),
    frameBytes: random.pick([least, 1 + least + random.below(100), 4096, 4096, 65_536, Math.max(1, plaintext.length)]),
    suite: random.pick([0x0478, 0x0578] as const),
  };
}

describe("AWS Encryption SDK for JavaScript", () => {
  console.log(`test/interop/client-node: FUZZ_SEED=${SEED}`);

  test(`${COUNT} messages of ours open there`, { timeout: 600_000 }, async () => {
    const random = new SeededRandom(SEED);
    for (let i = 0; i < COUNT; i++) {
      const { pair, plaintext, context, frameBytes, suite } = caseOf(random);
      const message = await encrypt(plaintext, { keyring: pair.ours, suite, frameBytes, context });
      const opened = await client.decrypt(pair.theirs, message);
      expectBytes(opened.plaintext, plaintext);
      const { "aws-crypto-public-key": _signing, ...theirs } = opened.messageHeader.encryptionContext;
      expect([i, theirs]).toEqual([i, context]);
    }
  });

  test(`${COUNT} messages made there open here`, { timeout: 600_000 }, async () => {
    const random = new SeededRandom(SEED + 1);
    for (let i = 0; i < COUNT; i++) {
      const { pair, plaintext, context, frameBytes, suite } = caseOf(random);

      const { result } = await client.encrypt(pair.theirs, Buffer.from(plaintext), {
        encryptionContext: context,
        frameLength: frameBytes,
        suiteId: suite,
      });
      const opened = await decrypt(result, { keyring: pair.ours, context });
      expectBytes(opened.plaintext, plaintext);
      expect([i, { ...opened.context }]).toEqual([i, context]);
      if (i % 10 === 0) {
        const stream = decryptStream({ keyring: pair.ours, signed: "verify-at-end" });
        expectBytes(await pump(stream, chunksOf(result, 1 + random.below(5000))), plaintext);
      }
    }
  });

  test("messages of version 1 made there open here, under the policy that allows it", async () => {
    const plaintext = Buffer.from("version 1");
    for (const suiteId of [0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378]) {
      const { ours, theirs } = aesPair(32);
      const { result } = await oldClient.encrypt(theirs, plaintext, {
        suiteId,
        frameLength: 4,
        encryptionContext: { é: "1" },
      });
      expect(inspect(result).suite).toBe(suiteId);
      await expectCode(decrypt(result, { keyring: ours }), "ERR_COMMITMENT_POLICY");
      const opened = await decrypt(result, { keyring: ours, commitmentPolicy: "REQUIRE_ENCRYPT_ALLOW_DECRYPT" });
      expect(opened.text()).toBe("version 1");
    }
  });

  test("what they refuse we refuse: another key, a flipped bit", async () => {
    const { ours, theirs } = aesPair(32);
    const { result } = await client.encrypt(theirs, Buffer.from("x"));
    const damaged = new Uint8Array(result);
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    await expectCode(decrypt(damaged, { keyring: ours }), "ERR_DECRYPT");
    await expect(client.decrypt(theirs, damaged)).rejects.toThrow();
    await expectCode(decrypt(result, { keyring: aesPair(24).ours }), "ERR_NO_KEYRING_MATCHED");
  });
});
