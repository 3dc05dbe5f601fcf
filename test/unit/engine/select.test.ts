/** Which engine is chosen, who may lower it, and what is said of the others. */

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { DataKey } from "../../../src/engine/data-key.js";
import { type EngineInfo, engineInfo, selectEngine } from "../../../src/engine/select.js";
import { suiteOf } from "../../../src/message/suites.js";
import { addon, codeOf, describeNative, importKey, kernels } from "../../addon.js";
import { countingBytes, expectCode } from "../../kit.js";

const root = join(import.meta.dirname, "../../..");
const work = mkdtempSync(join(tmpdir(), "keyladder-select-"));
afterAll(() => rmSync(work, { recursive: true }));

interface Answer {
  readonly info: EngineInfo;
  readonly failure?: { readonly code: string; readonly message: string };
}

/** What a fresh process with these variables says, after it encrypted and decrypted something. */
function inProcess(variables: Readonly<Record<string, string>>): Answer & { readonly stderr: string } {
  const script = `
    const { decrypt, encrypt, engineInfo, rawAesKeyring } = await import("./dist/index.js");
    const keyring = rawAesKeyring({ namespace: "n", name: "k", key: new Uint8Array(32) });
    try {
      const message = await encrypt("text", { keyring });
      if ((await decrypt(message, { keyring })).text() !== "text") throw new Error("not what was encrypted");
      console.log(JSON.stringify({ info: engineInfo() }));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ failure: { code, message } }));
    }`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, KEYLADDER_ENGINE: undefined, ...variables },
  });
  expect([run.status, run.signal]).toEqual([0, null]);
  return { ...JSON.parse(run.stdout), stderr: run.stderr };
}

/** A folder in which the addon is looked for. */
function folderWith(name: string, content?: Uint8Array | string): string {
  const folder = join(work, name);
  mkdirSync(join(folder, "build/Release"), { recursive: true });
  if (content !== undefined) writeFileSync(join(folder, "build/Release/keyladder.node"), content);
  return folder;
}

test("without the addon, node:crypto serves and says so", () => {
  const { info, stderr } = inProcess({ KEYLADDER_PREBUILD: folderWith("empty") });
  expect(info.engine).toBe("openssl");
  expect(info.kernel).toBeUndefined();
  expect(info.features).toEqual([]);
  expect(info.keyMemory.guarded).toBe(false);
  expect(info.candidates.map(({ name, usable }) => [name, usable])).toEqual([
    ["native", false],
    ["openssl", true],
  ]);
  expect(info.candidates[0]?.why).toMatch(/No native build was found/);
  expect(stderr).toBe("");
});

test.each([
  ["that is no library", "this is no library"],
  ["cut off", new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])],
  ["that is empty", ""],
])("with an addon file %s, node:crypto serves and says why", (what, content) => {
  const KEYLADDER_PREBUILD = folderWith(what.replaceAll(" ", "-"), content);
  const { info } = inProcess({ KEYLADDER_PREBUILD });
  expect(info.engine).toBe("openssl");
  expect(info.candidates[0]?.why).toMatch(/the addon did not load/);
  const named = inProcess({ KEYLADDER_PREBUILD, KEYLADDER_ENGINE: "native" });
  expect(named.failure?.code).toBe("ERR_ENGINE_UNAVAILABLE");
  expect(named.failure?.message).toMatch(/did not load/);
});

test("with an addon that is another's, node:crypto serves", () => {
  const others = join(root, "node_modules/@libsql");
  const [platform] = readdirSync(others).filter((name) => name.includes(process.platform));
  const folder = folderWith("foreign");
  cpSync(join(others, platform as string, "index.node"), join(folder, "build/Release/keyladder.node"));
  const { info } = inProcess({ KEYLADDER_PREBUILD: folder });
  expect(info.engine).toBe("openssl");
  expect(info.candidates[0]?.why).toMatch(/version undefined/);
});

test("a library path that leads nowhere changes nothing", () => {
  const { info, stderr } = inProcess({ LD_LIBRARY_PATH: `${folderWith("library-path", "no library")}:/nowhere` });
  const usual = inProcess({}).info;
  expect([info.engine, info.kernel, stderr]).toEqual([usual.engine, usual.kernel, ""]);
});

test("KEYLADDER_ENGINE=openssl keeps the addon out of the process", () => {
  const { info } = inProcess({ KEYLADDER_ENGINE: "openssl" });
  expect(info.engine).toBe("openssl");
  expect(info.keyMemory.guarded).toBe(false);
  expect(info.candidates[0]?.why).toMatch(/KEYLADDER_ENGINE=openssl/);
});

test.each(["wasm", "webcrypto"])("an engine that this build lacks is refused: %s", async (name) => {
  await expectCode(() => selectEngine(name), "ERR_ENGINE_UNAVAILABLE");
  expect(inProcess({ KEYLADDER_ENGINE: name }).failure?.code).toBe("ERR_ENGINE_UNAVAILABLE");
});

test.each(["", "avx512", "Native", "openssl:x", "auto:avx2", "native avx2"])("no engine is named %j", async (name) => {
  await expectCode(() => selectEngine(name), "ERR_INPUT");
});

test("an unknown kernel is refused", async () => {
  await expectCode(() => selectEngine("native:sse9"), "ERR_ENGINE_UNAVAILABLE");
});

describeNative("with the addon", () => {
  afterEach(() => {
    for (const [, number] of kernels) addon.testing.resetSelfTest(number, false);
    vi.restoreAllMocks();
  });

  test("the best kernel serves, and the others say why not", () => {
    const { info } = inProcess({});
    expect([info.engine, info.kernel]).toEqual(["native", kernels[0]?.[0]]);
    expect(info.features).toContain("aes");
    expect(info.keyMemory.guarded).toBe(true);
    expect(info.keyMemory.lockedBytes).toBeGreaterThan(0);
    expect(info.candidates.map(({ name }) => name)).toEqual([
      ...addon.info().kernels.map(({ name }) => `native:${name}`),
      "openssl",
    ]);
    expect(info.candidates.map(({ why }) => why.split(":")[0])).toEqual([
      "serves",
      ...info.candidates.slice(1).map(() => "a faster one serves"),
    ]);
  });

  test.each(kernels)("KEYLADDER_ENGINE lowers the choice to %s, and that kernel runs", (name) => {
    const { info } = inProcess({ KEYLADDER_ENGINE: `native:${name}` });
    expect([info.engine, info.kernel]).toEqual(["native", name]);
    expect(info.candidates.find((candidate) => candidate.name === `native:${name}`)?.why).toMatch(/^serves: /);
  });

  test.each(kernels)("an engine made by name makes keys for its kernel: %s", async (name) => {
    const engine = selectEngine(`native:${name}`);
    expect([engine.name, engine.kernel]).toEqual(["native", name]);
    using dataKey = DataKey.fromBytes(countingBytes(32));
    const key = (await engine.messageKey(dataKey, suiteOf(0x0478), countingBytes(32))) as unknown as { handle: number };
    expect(addon.testing.kernelOf(key.handle)).toBe(name);
  });

  test("a kernel that fails its self-test is passed over, with a warning; by name it is an error", async () => {
    engineInfo(); // this process makes its own choice once, now
    const emitted = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const raw = importKey(countingBytes(32));
    for (const [name, number] of kernels) {
      addon.testing.resetSelfTest(number, true);
      expect(addon.selfTest(number)).toMatch(/another tag/);
      expect(codeOf(addon.gcmKey(raw, number))).toBe("ERR_ENGINE_UNAVAILABLE");
      await expectCode(() => selectEngine(`native:${name}`), "ERR_ENGINE_SELF_TEST");
      const next = kernels.find(([, other]) => other > number);
      const chosen = selectEngine();
      expect([chosen.name, chosen.kernel]).toEqual(next === undefined ? ["openssl", undefined] : ["native", next[0]]);
      expect(emitted.mock.calls.at(-1)?.[0]).toMatch(new RegExp(`native:${name} is not used: its self-test failed`));
    }
    expect(emitted).toHaveBeenCalledTimes(kernels.length);
    await expectCode(() => selectEngine("native"), "ERR_ENGINE_SELF_TEST");
    expect(
      engineInfo()
        .candidates.filter(({ usable }) => usable)
        .map(({ name }) => name),
    ).toEqual(["openssl"]);
  });

  test("what a machine lacks keeps a kernel from it", () => {
    const features = addon.info().features;
    const judge = (number: number, without: readonly string[]) =>
      addon.testing.judge(
        number,
        features.filter((name) => !without.includes(name)),
      );
    addon.info().kernels.forEach(({ name, can, should, why }, number) => {
      expect([name, judge(number, [])]).toEqual([name, { name, can, should, why }]);
      const bare = addon.testing.judge(number, []);
      expect([bare.can, bare.should]).toEqual([false, false]);
      expect(bare.why).toMatch(/^this machine lacks .*pclmulqdq/);
    });
  });

  test.skipIf(kernels.length < 3)(
    "a kernel needs its instructions, and an operating system that saves their registers",
    () => {
      const features = addon.info().features;
      const can = (...without: readonly string[]) =>
        kernels
          .filter(
            ([, number]) =>
              addon.testing.judge(
                number,
                features.filter((name) => !without.includes(name)),
              ).can,
          )
          .map(([name]) => name);
      expect(can()).toEqual(["avx512", "avx2", "aesni"]);
      for (const feature of ["avx512f", "avx512bw", "avx512vl", "avx512dq", "os-zmm"]) {
        expect([feature, can(feature)]).toEqual([feature, ["avx2", "aesni"]]);
      }
      for (const feature of ["avx2", "vaes", "vpclmulqdq", "os-ymm"]) {
        expect([feature, can(feature)]).toEqual([feature, ["aesni"]]);
      }
      for (const feature of ["aes", "pclmulqdq", "sse4.1", "ssse3"])
        expect([feature, can(feature)]).toEqual([feature, []]);
      const old = addon.testing.judge(2, ["sse2", "ssse3", "sse4.1", "pclmulqdq", "aes"]);
      expect([old.can, old.should]).toEqual([true, false]);
      expect(old.why).toMatch(/before AVX/);
    },
  );
});
