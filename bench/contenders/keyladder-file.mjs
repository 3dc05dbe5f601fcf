/** One file sealed or opened by a process of its own, which then says how much memory it held at most. */

import { decryptFile, encryptFile, rawAesKeyring } from "../../dist/index.js";
import { CONTEXT, KEY, KEY_NAME } from "../harness/input.mjs";

const [verb, from = "", to = ""] = process.argv.slice(2);
const keyring = rawAesKeyring({ ...KEY_NAME, key: KEY });
if (verb === "encrypt") await encryptFile(from, to, { keyring, context: CONTEXT });
else await decryptFile(from, to, { keyring });
console.log(JSON.stringify({ peakRssMb: process.resourceUsage().maxRSS / 1024 }));
