/**
 * A process that is killed while it works. `keys FOLDER` makes keys and acknowledges each on stdout once its promise
 * settled, with a message sealed under it; `file FOLDER` seals a large file over and over; `records FOLDER` makes
 * keysets, rotates them, and acknowledges each record it sealed.
 */

import { join } from "node:path";
import { encryptFile, openLadder, softwareHsm, sqliteStore } from "../../dist/index.js";

const [, , work = "", folder = ""] = process.argv;
const ladder = await openLadder({
  hsm: softwareHsm({ file: join(folder, "token"), keyFile: join(folder, "key") }),
  store: sqliteStore({ file: join(folder, "store.db") }),
  create: "if-missing",
});
process.stdout.write("ready\n");
if (work === "keys") {
  for (let i = 0; ; i++) {
    const { keyId } = await ladder.keys.create({ protection: i % 2 === 0 ? "wrapped" : "resident" });
    const message = await ladder.encrypt(keyId, { key: keyId });
    process.stdout.write(`${keyId} ${Buffer.from(message).toString("base64")}\n`);
    if (i % 3 === 2) await ladder.keys.rotate(keyId);
  }
}
if (work === "records") {
  await ladder.keys.create({ alias: "orders", ifExists: "return" });
  for (let i = 0; ; i++) {
    const keyset = `set-${i % 7}`;
    const records = await ladder.records({ key: "orders", keyset, maxRecords: 2 ** 32 });
    process.stdout.write(`${keyset} ${Buffer.from(records.seal(keyset)).toString("base64")}\n`);
    await records.rotate();
    process.stdout.write(`${keyset} ${Buffer.from(records.seal(keyset)).toString("base64")}\n`);
  }
}
await ladder.keys.create({ alias: "files", ifExists: "return" });
for (;;) {
  await encryptFile(join(folder, "plain"), join(folder, "sealed"), {
    keyring: ladder.keyring("files"),
    overwrite: true,
  });
  process.stdout.write("sealed\n");
}
