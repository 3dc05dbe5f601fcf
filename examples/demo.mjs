/**
 * `npm run demo`: a ladder in a temporary folder; the project's own sources sealed as one stream, a large file sealed and
 * opened, a key rotated, and a message opened by the AWS Encryption SDK. Everything made here is removed at the end.
 */

import { createHash, randomBytes } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import {
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";
import {
  decryptFile,
  decryptRange,
  decryptStream,
  encrypt,
  encryptFile,
  encryptStream,
  engineInfo,
  inspect,
  ladderKeyOf,
  multiKeyring,
  openLadder,
  rawAesKeyring,
  softwareHsm,
  sqliteStore,
} from "keyladder";

const LARGE_BYTES = 256 * 1024 * 1024;
const MIB = 1024 * 1024;

/** @param {string} text */
const say = (text = "") => process.stdout.write(`${text}\n`);
/** @param {number} bytes */
const size = (bytes) => (bytes < MIB ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`);
/** @param {string} what @param {string} detail */
const line = (what, detail) => say(`  ${what.padEnd(34)} ${detail}`);

/** Runs `work` and tells how fast it was. @template T @param {string} what @param {number} bytes @param {() => Promise<T>} work */
async function timed(what, bytes, work) {
  const start = performance.now();
  const result = await work();
  const seconds = (performance.now() - start) / 1000;
  line(what, `${size(bytes)} in ${seconds.toFixed(2)} s, ${(bytes / 1e6 / seconds).toFixed(0)} MB/s`);
  return result;
}

/** @param {unknown} condition @param {string} what */
function must(condition, what) {
  if (!condition) throw new Error(`the demo failed: ${what}`);
}

/** Every file below `folder` in one stream: path, size, content. @param {string} folder @param {(chunk: Buffer) => void} see */
async function* archive(folder, see) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort()) {
    const content = await readFile(file);
    for (const chunk of [Buffer.from(`${relative(folder, file)}\n${content.length}\n`), content]) {
      see(chunk);
      yield chunk;
    }
  }
}

/** @param {string} file */
async function digestOf(file) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest("hex");
}

/** A file of pseudo-random content. @param {string} file @param {number} bytes */
async function generate(file, bytes) {
  const handle = await open(file, "wx", 0o600);
  const block = randomBytes(MIB);
  for (let at = 0; at < bytes; at += block.length) {
    block.writeUInt32BE(at / block.length, 0);
    await handle.write(block);
  }
  await handle.close();
}

/** The KEK a message is under. @param {Uint8Array} message */
function kekOf(message) {
  const [mine] = inspect(message).encryptedDataKeys.flatMap((edk) => ladderKeyOf(edk) ?? []);
  return `${mine?.kekId} v${mine?.kekVersion}`;
}

/** @param {string} folder */
async function demo(folder) {
  const source = fileURLToPath(new URL("../src", import.meta.url));
  const path = (/** @type {string} */ name) => join(folder, name);
  const ladder = await openLadder({
    hsm: softwareHsm({ file: path("token"), passphrase: randomBytes(24) }),
    store: sqliteStore({ file: path("store.db") }),
    create: "if-missing",
  });
  try {
    const sources = await ladder.keys.create({ alias: "sources" });
    const large = await ladder.keys.create({ alias: "large", protection: "resident" });
    const info = await ladder.info();
    say(`token   ${info.hsm[0]?.label}`);
    say(`engine  ${engineInfo().engine}`);

    say("\nThe project's own sources, as one stream");
    const sent = createHash("sha256");
    let sourceBytes = 0;
    const tree = archive(source, (chunk) => {
      sent.update(chunk);
      sourceBytes += chunk.length;
    });
    const start = performance.now();
    await pipeline(
      tree,
      encryptStream({ keyring: ladder.keyring("sources"), context: { what: "sources" } }),
      createWriteStream(path("sources.encrypted")),
    );
    line("sealed", `${size(sourceBytes)} in ${((performance.now() - start) / 1000).toFixed(2)} s`);
    const received = createHash("sha256");
    await pipeline(createReadStream(path("sources.encrypted")), decryptStream({ keyring: ladder.keyring() }), received);
    must(received.digest("hex") === sent.digest("hex"), "the sources came back changed");
    line("opened and compared", "the same");

    say("\nOne large file");
    await generate(path("large"), LARGE_BYTES);
    const sealed = await timed("sealed", LARGE_BYTES, () =>
      encryptFile(path("large"), path("large.encrypted"), { keyring: ladder.keyring("large") }),
    );
    await timed("opened", LARGE_BYTES, () =>
      decryptFile(path("large.encrypted"), path("opened"), { keyring: ladder.keyring() }),
    );
    must((await digestOf(path("large"))) === (await digestOf(path("opened"))), "the large file came back changed");
    line("compared", `the same; ${size(sealed.messageBytes - sealed.plaintextBytes)} of message around it`);
    const middle = await decryptRange(path("large.encrypted"), LARGE_BYTES / 2, 16, { keyring: ladder.keyring() });
    line("16 bytes from its middle", Buffer.from(middle).toString("hex"));

    say("\nA rotation");
    const before = await ladder.encrypt("sealed before", { key: "sources" });
    const rotated = await ladder.keys.rotate("sources");
    const after = await ladder.encrypt("sealed after", { key: "sources" });
    const [old, fresh] = [await ladder.decrypt(before), await ladder.decrypt(after)];
    must(
      old.text() === "sealed before" && fresh.text() === "sealed after",
      "a message did not open after the rotation",
    );
    line(
      "sources",
      `v${sources.keyVersion} -> v${rotated.keyVersion}; the old message opens under v${old.keyVersion}, the new under v${fresh.keyVersion}`,
    );

    say("\nThe AWS Encryption SDK opens what the ladder sealed, by a second master both know");
    const shared = randomBytes(32);
    const text = "sealed by keyladder, opened by the AWS Encryption SDK";
    const both = multiKeyring(
      ladder.keyring("sources"),
      rawAesKeyring({ namespace: "demo", name: "shared", key: shared }),
    );
    const message = await encrypt(text, { keyring: both, context: { purpose: "interop" } });
    const aws = new RawAesKeyringNode({
      keyNamespace: "demo",
      keyName: "shared",
      unencryptedMasterKey: new Uint8Array(shared),
      wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    });
    const { plaintext } = await buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT).decrypt(aws, message);
    must(plaintext.toString() === text && (await ladder.decrypt(message)).text() === text, "the two do not agree");
    line("@aws-crypto/client-node", JSON.stringify(plaintext.toString()));

    say("\nThe ladder");
    const dek = (/** @type {Uint8Array} */ sealedMessage) =>
      `dek  of message ${Buffer.from(inspect(sealedMessage).messageId).toString("hex").slice(0, 16)}…`;
    const head = async (/** @type {string} */ name) => (await readFile(path(name))).subarray(0, 4096);
    say(`hmk  ${info.hsm[0]?.label}`);
    for (const [key, messages] of /** @type {const} */ ([
      [rotated, [await head("sources.encrypted"), before, after, message]],
      [large, [await head("large.encrypted")]],
    ])) {
      say(`└─ cmk  ${key.keyId}  ${key.alias}  v${key.keyVersion}  ${key.protection}`);
      for (const kek of (await ladder.keys.tree(key.keyId)).keks) {
        say(`   └─ kek  ${kek.kekId}  v${kek.version}  ${kek.state}`);
        const name = `${kek.kekId} v${kek.version}`;
        for (const one of messages.filter((sealedMessage) => kekOf(sealedMessage) === name))
          say(`      └─ ${dek(one)}`);
      }
    }
    const files = await Promise.all(["store.db", "store.db-wal"].map((name) => stat(path(name))));
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    say(`\n${size(bytes)} of store, no key in it readable without the token`);
  } finally {
    await ladder.close();
  }
}

const folder = await mkdtemp(join(tmpdir(), "keyladder-demo-"));
try {
  await demo(folder);
} finally {
  await rm(folder, { recursive: true, force: true });
}
