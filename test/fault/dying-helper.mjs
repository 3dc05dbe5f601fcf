/** A thread of the pool that dies as `KEYLADDER_TEST_DEATH` says, in the middle of its work. */

import { closeSync, existsSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import help from "../../dist/pool/worker.js";

/** @param {{ control: Int32Array, seat: number }} task */
export default function dieOrHelp(task) {
  const { KEYLADDER_TEST_DEATH: how, KEYLADDER_TEST_MARK: mark = "" } = process.env;
  if (how === "once" && existsSync(mark)) return help(task);
  if (how === "once") closeSync(openSync(mark, "w"));
  const addon = createRequire(import.meta.url)("node-gyp-build")(fileURLToPath(new URL("../..", import.meta.url)));
  addon.help(5000);
  if (how === "throw") throw new TypeError("no such function");
  return process.exit(3);
}
