/** Google's own Tink for JavaScript (tink-crypto 0.1.1) and our records: each opens what the other sealed. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bytes, utf8 } from "../../src/bytes.js";
import { selectEngine } from "../../src/engine/select.js";
import { openMessage } from "../../src/envelope/decrypt.js";
import { type Ladder, openLadder, type Records, softwareHsm, sqliteStore } from "../../src/index.js";
import { insecureRecords } from "../../src/insecure.js";
import { KEYSET_PURPOSE } from "../../src/message/limits.js";
import { parseEncryptedKeyset } from "../../src/message/tink.js";
import { expectBytes } from "../kit.js";

/** What of the package is used here; its own types are written for a browser. */
interface Aead {
  encrypt(plaintext: Uint8Array, aad: Uint8Array): Promise<Uint8Array>;
  decrypt(ciphertext: Uint8Array, aad: Uint8Array): Promise<Uint8Array>;
}
interface Handle {
  getPrimitive(type: unknown): Promise<Aead>;
}
interface Tink {
  readonly aead: { readonly Aead: unknown; register(): void; aes256GcmKeyTemplate(): unknown };
  readonly binaryInsecure: {
    deserializeKeyset(keyset: Uint8Array): Handle;
    serializeKeyset(handle: Handle): Uint8Array;
  };
  generateNewKeysetHandle(template: unknown): Promise<Handle>;
}

const AAD = utf8("row 17", "aad");
const text = (value: string) => utf8(value, "text");
let folder: string;
let tink: Tink;
let ladder: Ladder;
let records: Records;
let theirs: Aead;
let old: Bytes;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "keyladder-tink-"));
  // The package looks for WebCrypto where a browser has it.
  Object.assign(globalThis, { self: globalThis });
  tink = ((await import("tink-crypto")) as { default: unknown }).default as Tink;
  tink.aead.register();
  ladder = await openLadder({
    hsm: softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") }),
    store: sqliteStore({ file: join(folder, "store.db") }),
    create: "if-missing",
  });
  await ladder.keys.create({ alias: "orders" });
  records = await ladder.records({ key: "orders", keyset: "users.email" });
  old = records.seal("before the rotation", { aad: AAD });
  await records.rotate();
  const message = parseEncryptedKeyset(await records.export());
  const opened = await openMessage(message, { keyring: ladder.keyring("orders") }, selectEngine(), KEYSET_PURPOSE);
  theirs = await tink.binaryInsecure.deserializeKeyset(opened.plaintext).getPrimitive(tink.aead.Aead);
});
afterAll(async () => {
  await ladder.close();
  rmSync(folder, { recursive: true });
});

describe("tink-crypto", () => {
  it("opens what we sealed under an exported keyset, older keys included", async () => {
    expectBytes(await theirs.decrypt(old, AAD), text("before the rotation"));
    expectBytes(await theirs.decrypt(records.seal("after it", { aad: AAD }), AAD), text("after it"));
    await expect(theirs.decrypt(records.seal("bound", { aad: AAD }), text("row 18"))).rejects.toThrow();
  });

  it("seals what we open", async () => {
    for (const plaintext of ["", "x", "a longer one".repeat(40)]) {
      expectBytes(records.open(await theirs.encrypt(text(plaintext), AAD), { aad: AAD }), text(plaintext));
    }
  });

  it("makes keysets that we read", async () => {
    const handle = await tink.generateNewKeysetHandle(tink.aead.aes256GcmKeyTemplate());
    const ours = insecureRecords(tink.binaryInsecure.serializeKeyset(handle), { maxRecords: 10 });
    const aead = await handle.getPrimitive(tink.aead.Aead);
    expectBytes(ours.open(await aead.encrypt(text("hello"), AAD), { aad: AAD }), text("hello"));
    expectBytes(await aead.decrypt(ours.seal("back", { aad: AAD }), AAD), text("back"));
  });
});
