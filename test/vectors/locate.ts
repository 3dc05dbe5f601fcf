/**
 * Where the public test vectors are: the folder named by KEYLADDER_VECTORS, else `../shared/vectors` beside the project.
 * They are not part of the project; a set that is not there is skipped with one loud line.
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = process.env.KEYLADDER_VECTORS ?? fileURLToPath(new URL("../../../shared/vectors", import.meta.url));
const warned = new Set<string>();

/** The folder of the set `name` (such as "wycheproof" or "esdk/c-data"); undefined, and said once, where it is absent. */
export function vectorsDir(name: string): string | undefined {
  const folder = `${root}/${name}`;
  if (existsSync(folder)) return folder;
  if (!warned.has(name)) {
    warned.add(name);
    console.warn(
      `SKIPPED: no test vectors "${name}" at ${folder} (set KEYLADDER_VECTORS to the folder that holds them)`,
    );
  }
  return undefined;
}
