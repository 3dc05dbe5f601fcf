// No branch and no address depends on a key or a plaintext: memcheck with secrets marked as undefined.
//
// valgrind executes AES-NI and PCLMULQDQ: that kernel is the shipped source at the shipped optimisation. It knows neither
// VAES nor AVX-512: those kernels run from their own source too, each wide instruction replaced by narrow ones
// (emulated_vectors.h); of the shipped objects it is checked that they have no instruction that could give vectors away.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile, has, link, OUT, ROOT, run, SHIPPED, shipped, sourcesOf, TESTS, WATCHED } from "../toolchain.mjs";

const DECLASSIFY = ["-include", "test/native/declassify.h"];
const WIDE = ["gcm_avx2", "gcm_avx512", "sha512_avx512"];

export default async function ctgrind() {
  await vectorsKeepSecrets();
  if (!has("valgrind") || !existsSync("/usr/include/valgrind/memcheck.h")) {
    return console.log("SKIPPED ctgrind: no valgrind on this machine (Debian: apt-get install valgrind)");
  }
  const isWide = (source) => WIDE.some((name) => source.endsWith(`/${name}.cc`));
  const narrow = sourcesOf("kernels").filter((source) => !isWide(source));
  const objects = [
    ...(await compile("ctgrind", narrow, [...SHIPPED, ...DECLASSIFY])),
    ...(await compile("ctgrind", sourcesOf("kernels").filter(isWide).map(emulated), EMULATED)),
    ...(await compile(
      "ctgrind",
      ["constant_time", "reference", "reference_hash"].map((n) => `test/native/${n}.cc`),
      TESTS,
    )),
  ];
  const program = await link("ctgrind", "constant_time", objects);
  const memcheck = ["-q", "--error-exitcode=9", program];
  if (spawnSync("valgrind", [...memcheck, "leak"], { encoding: "utf8" }).status !== 9) {
    throw new Error("memcheck did not find a branch on a secret: it proves nothing here");
  }
  await run("valgrind", memcheck);
  console.log("  avx512 and avx2 ran with their wide instructions emulated: valgrind has no VAES and no AVX-512");
}

const EMULATED = [
  ...DECLASSIFY,
  ...WATCHED,
  "-include",
  "test/native/emulated_vectors.h",
  "-Inative/kernels",
  "-Wno-psabi",
];

/** A kernel's source with its target region lowered, and without the clearing of registers that are not there. */
function emulated(source) {
  const text = readFileSync(join(ROOT, source), "utf8")
    .replace(/target\("[^"]*"\)/g, 'target("aes,pclmul,sse4.1")')
    .replace(/(void clearRegisters\(\) \{)[\s\S]*?\n {2}\}/, "$1}");
  const folder = join(OUT, "ctgrind/emulated");
  const file = join(folder, source.split("/").at(-1));
  mkdirSync(folder, { recursive: true });
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) writeFileSync(file, text);
  return file.slice(ROOT.length + 1);
}

/** Instructions that branch on vectors, take addresses from them, or take longer for some values than for others. */
const FORBIDDEN = /^v?(p?gather|p?scatter|ptest|testp|u?comis|movmskp|pcompress|pexpand)|^(i?div|fdiv|sqrt)/;

/** No such instruction in what ships. */
async function vectorsKeepSecrets() {
  if (!has("objdump")) return console.log("SKIPPED the look at shipped instructions: no objdump on the PATH");
  for (const object of await shipped()) {
    const listing = spawnSync("objdump", ["-d", "--no-show-raw-insn", object], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    const mnemonics = [...listing.stdout.matchAll(/^\s+[0-9a-f]+:\t(\S+)/gm)].map(([, mnemonic]) => mnemonic);
    const found = mnemonics.filter((mnemonic) => FORBIDDEN.test(mnemonic));
    if (found.length > 0) throw new Error(`${object} has ${[...new Set(found)].join(", ")}`);
    if (listing.status !== 0 || mnemonics.length === 0) throw new Error(`objdump does not read ${object}`);
  }
  console.log("  ok  no shipped kernel has an instruction that branches on vectors, gathers by them, or divides");
}
