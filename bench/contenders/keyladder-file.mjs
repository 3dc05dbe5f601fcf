/** One file sealed or opened by a process of its own, which then says how much memory it held at most. */

import { readFileSync } from "node:fs";
import { decryptFile, encryptFile, rawAesKeyring } from "../../dist/index.js";
import { CONTEXT, KEY, KEY_NAME } from "../harness/input.mjs";

/** This program's own: what getrusage says begins, on Linux, with what the parent held when it made this process. */
function peakRssMb() {
  if (process.platform !== "linux") return process.resourceUsage().maxRSS / 1024;
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
}

const [verb, from = "", to = ""] = process.argv.slice(2);
const keyring = rawAesKeyring({ ...KEY_NAME, key: KEY });
if (verb === "encrypt") await encryptFile(from, to, { keyring, context: CONTEXT });
else await decryptFile(from, to, { keyring });
console.log(JSON.stringify({ peakRssMb: peakRssMb() }));
