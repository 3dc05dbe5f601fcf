import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { selectEngine } from "../../../src/engine/select.js";

const INDEX = new URL("../../../dist/index.js", import.meta.url).href;
const native = selectEngine("auto").name === "native";
if (!native) console.warn("SKIPPED test/unit/pool/default: the native engine is not here");

/** What `engineInfo` says in a process with this environment, or what it ends in. */
function infoUnder(env: Record<string, string>): { info?: { threads: number; pool: { why: string } }; stderr: string } {
  const { KEYLADDER_POOL: _, ...clean } = process.env;
  const program = `import { engineInfo } from ${JSON.stringify(INDEX)}; console.log(JSON.stringify(engineInfo()));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    env: { ...clean, ...env },
    encoding: "utf8",
  });
  return stdout === "" ? { stderr } : { info: JSON.parse(stdout), stderr };
}

describe("the pool that all calls share", () => {
  test.runIf(native)("as many threads as KEYLADDER_POOL says, and the calling one", () => {
    expect(infoUnder({ KEYLADDER_POOL: "3" }).info).toMatchObject({
      threads: 4,
      pool: { threads: 3, inlineBelowBytes: 262_144, started: false, why: "there was not enough large work yet" },
    });
    expect(infoUnder({ KEYLADDER_POOL: "0" }).info).toMatchObject({ threads: 1, pool: { threads: 0, started: false } });
  });

  test("none behind an engine whose keys are of one thread", () => {
    const { info } = infoUnder({ KEYLADDER_POOL: "3", KEYLADDER_ENGINE: "openssl" });
    expect(info).toMatchObject({ threads: 1, pool: { threads: 0 } });
    expect(info?.pool.why).toContain("native engine");
  });

  test("a number that is none is refused", () => {
    expect(infoUnder({ KEYLADDER_POOL: "many" }).stderr).toContain(
      'KEYLADDER_POOL expected a number of threads, got "many"',
    );
  });
});
