// Every kernel against the reference, and what it leaves behind.

import { compile, link, run, shipped, TESTS } from "../toolchain.mjs";

const REFERENCE = ["test/native/reference.cc", "test/native/reference_hash.cc"];
export const CHECKS = [
  ...["main", "known_answers", "one_shot", "frames", "records", "hashes"].map((name) => `test/native/${name}.cc`),
  ...REFERENCE,
];

export default async function kernels() {
  const native = await shipped();
  await run(await link("plain", "kernels", [...native, ...(await compile("plain", CHECKS, TESTS))]));
  const traces = await compile("plain", ["test/native/traces.cc", "test/native/observe.S", ...REFERENCE], TESTS);
  await run(await link("plain", "traces", [...native, ...traces]));
}
