/** The contenders' packages: installed when they are first needed, so that nobody else downloads them. */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("..", import.meta.url));

/** @param {string} file */
const changedAt = (file) => (existsSync(`${folder}${file}`) ? statSync(`${folder}${file}`).mtimeMs : 0);

/** Runs `npm ci` in bench/ unless what is there is newer than the lock file. */
export function installContenders() {
  if (changedAt("node_modules/.package-lock.json") >= changedAt("package-lock.json")) return;
  console.error("bench: installing the contenders' packages into bench/node_modules (once)");
  const { status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--prefix", folder], {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`npm ci --prefix bench failed:\n${stderr}`);
}

/** The version of a contender's package, in bench/ or at the root. @param {string} name */
export function packageVersion(name) {
  const file = ["node_modules", "../node_modules"].map((at) => `${folder}${at}/${name}/package.json`).find(existsSync);
  return file === undefined ? undefined : JSON.parse(readFileSync(file, "utf8")).version;
}
