// ThreadSanitizer over the table of keys and the jobs of frames; and, without it, threads that race for the caller's own
// memory, which is no fault of ours and would be reported as one.

import { compile, link, NODE_HEADERS, run, shipped, TESTS, WATCHED } from "../toolchain.mjs";

const REFERENCE = ["test/native/reference.cc", "test/native/reference_hash.cc"];
const ADDON = ["native/addon/keys.cc", "native/addon/slab.cc", "native/addon/jobs.cc"];
const TSAN = ["-fsanitize=thread"];

export default async function threads() {
  const native = await shipped();
  const races = await compile("plain", ["test/native/races.cc", ...REFERENCE], TESTS);
  await run(await link("plain", "races", [...native, ...races]));

  if (NODE_HEADERS === undefined) return console.log("SKIPPED ThreadSanitizer: this node brought no headers");
  // What reads keys must be watched too: one kernel is, the others are not run.
  const watched = ["native/kernels/gcm_aesni.cc", ...ADDON];
  const headers = `-I${NODE_HEADERS}`;
  const objects = [
    ...native.filter((object) => !object.endsWith("gcm_aesni.o")),
    ...(await compile("tsan", watched, [...WATCHED, ...TSAN, headers])),
    ...(await compile("tsan", ["test/native/handles.cc", ...REFERENCE], [...TESTS, "-g1", ...TSAN, headers])),
  ];
  const program = await link("tsan", "handles", objects, TSAN);
  await run(program, [], { env: { TSAN_OPTIONS: "halt_on_error=1 exitcode=66" } });
}
