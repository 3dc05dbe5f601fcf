/**
 * The tests of the native code, which is C++ under test by C++: `node test/native/run.mjs [part ...]`, all parts by default.
 * A part that this machine has no tools for says so in one line.
 */

import { COMPILER } from "./toolchain.mjs";

const PARTS = {
  kernels: () => import("./parts/kernels.mjs"),
  sanitize: () => import("./parts/sanitize.mjs"),
  threads: () => import("./parts/threads.mjs"),
  ctgrind: () => import("./parts/ctgrind.mjs"),
};

const named = process.argv.slice(2);
for (const name of named.length > 0 ? named : Object.keys(PARTS)) {
  if (!(name in PARTS)) throw new Error(`no part ${name}: ${Object.keys(PARTS).join(", ")}`);
  if (COMPILER === undefined) {
    console.log(`SKIPPED native tests, ${name}: no C++ compiler on the PATH (CXX, g++, clang++)`);
    continue;
  }
  console.log(`--- ${name}`);
  const { default: part } = await PARTS[name]();
  await part();
}
