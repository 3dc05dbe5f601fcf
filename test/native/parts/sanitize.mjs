// AddressSanitizer and UndefinedBehaviorSanitizer over the kernels, over the table of keys and the jobs, and over the whole
// addon, which the engine's own tests drive inside node.
//
// Leaks are looked for in the C++ programs. Inside node they are not: it frees little of its own when it exits, and what
// the addon holds for the process's life (the slab of keys, each environment's scratch) is let go by environment.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { COMPILER, compile, link, NODE_HEADERS, OUT, ROOT, run, sourcesOf, TESTS, WATCHED } from "../toolchain.mjs";
import { CHECKS } from "./kernels.mjs";

// Without RTTI there is no vptr to check.
const SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize=vptr", "-fno-sanitize-recover=all"];
const OPTIONS = { UBSAN_OPTIONS: "print_stacktrace=1", KEYLADDER_NATIVE_EFFORT: "10" };
// AddressSanitizer makes mlock do nothing.
const WITHOUT = "^(?!.*(is locked, kept out of dumps|a limit on locked memory))";
const ENGINE_TESTS = ["native-arguments", "native-keys", "native-differential", "records"];

export default async function sanitize() {
  if (NODE_HEADERS === undefined) return console.log("SKIPPED sanitizers: this node brought no headers");
  const require = createRequire(import.meta.url);
  const flags = [
    ...[...WATCHED, ...SANITIZERS, "-fPIC", `-I${NODE_HEADERS}`],
    `-I${dirname(require.resolve("node-addon-api"))}`,
    ...["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"].map(
      (name) => `-D${name}`,
    ),
  ];
  const native = await compile("asan", [...sourcesOf("kernels"), ...sourcesOf("dispatch")], flags);
  const addon = await compile("asan", sourcesOf("addon"), flags);
  const table = addon.filter((object) => /\/(keys|slab|jobs)\.o$/.test(object));
  const tests = (names) => compile("asan/tests", names, [...TESTS, "-g1", ...SANITIZERS, `-I${NODE_HEADERS}`]);
  const reference = await tests(["test/native/reference.cc", "test/native/reference_hash.cc"]);

  await run(await link("asan", "kernels", [...native, ...(await tests(CHECKS))], SANITIZERS), [], { env: OPTIONS });
  for (const name of ["races", "handles"]) {
    const objects = [...native, ...table, ...(await tests([`test/native/${name}.cc`])), ...reference];
    await run(await link("asan", name, objects, SANITIZERS), [], { env: OPTIONS });
  }

  mkdirSync(join(OUT, "asan/build/Release"), { recursive: true });
  await link("asan", "build/Release/keyladder.node", [...native, ...addon], ["-shared", ...SANITIZERS]);
  const runtime = spawnSync(COMPILER, ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout.trim();
  if (!existsSync(runtime)) return console.log("SKIPPED the addon inside node: no libasan.so to load before it");
  const files = ENGINE_TESTS.map((name) => `test/unit/engine/${name}.test.ts`);
  const vitest = [join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--no-file-parallelism", "-t", WITHOUT];
  await run(process.execPath, [...vitest, ...files], {
    env: { ...OPTIONS, LD_PRELOAD: runtime, ASAN_OPTIONS: "detect_leaks=0", KEYLADDER_PREBUILD: join(OUT, "asan") },
  });
}
