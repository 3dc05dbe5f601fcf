/** What one writes without keyladder: NDJSON on stdin, the field sealed or opened row by row, NDJSON on stdout. */

import { createCipheriv, createDecipheriv, randomFillSync } from "node:crypto";
import { pipeline } from "node:stream/promises";
import { KEY } from "../harness/input.mjs";

const [NONCE_BYTES, TAG_BYTES] = [12, 16];
const NONCES = 4096;
const pool = Buffer.alloc(NONCES * NONCE_BYTES);
let drawn = NONCES;

function nextNonce() {
  if (drawn === NONCES) {
    randomFillSync(pool);
    drawn = 0;
  }
  return pool.subarray(drawn * NONCE_BYTES, ++drawn * NONCE_BYTES);
}

/** The row's id is bound. @param {number} id */
const aadOf = (id) => Buffer.from(`users.email\0email\0${id}`);

/** @param {{ id: number, email: string }} row */
function seal(row) {
  const nonce = nextNonce();
  const cipher = createCipheriv("aes-256-gcm", KEY, nonce).setAAD(aadOf(row.id));
  const sealed = Buffer.concat([nonce, cipher.update(row.email, "utf8"), cipher.final(), cipher.getAuthTag()]);
  row.email = sealed.toString("base64");
}

/** @param {{ id: number, email: string }} row */
function open(row) {
  const sealed = Buffer.from(row.email, "base64");
  const tagAt = sealed.length - TAG_BYTES;
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv("aes-256-gcm", KEY, sealed.subarray(0, NONCE_BYTES), options);
  decipher.setAAD(aadOf(row.id)).setAuthTag(sealed.subarray(tagAt));
  row.email = decipher.update(sealed.subarray(NONCE_BYTES, tagAt), undefined, "utf8") + decipher.final("utf8");
}

const work = process.argv[2] === "seal" ? seal : open;
await pipeline(
  process.stdin.setEncoding("utf8"),
  async function* (/** @type {AsyncIterable<string>} */ chunks) {
    let rest = "";
    for await (const chunk of chunks) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      let out = "";
      for (const line of lines) {
        const row = JSON.parse(line);
        work(row);
        out += `${JSON.stringify(row)}\n`;
      }
      yield out;
    }
  },
  process.stdout,
);
