/** Key handles: stale, forged, of other threads and of threads that are gone; the memory they name. */

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import type { KeyHandle } from "../../../src/engine/addon.js";
import { addon, codeOf, describeNative, importKey, kernels, sealingKey } from "../../addon.js";
import { countingBytes, expectBytes, SeededRandom } from "../../kit.js";

const NONCE = new Uint8Array(12);
const NONE = new Uint8Array(0);
const root = join(import.meta.dirname, "../../..");

function sealWith(key: KeyHandle, plaintext: Uint8Array): { answer: number; dst: Uint8Array } {
  const dst = new Uint8Array(plaintext.length + 16);
  return { answer: addon.seal(key, NONCE, NONE, plaintext, dst), dst };
}

/** Every function that takes a handle must refuse this one. */
function expectClosed(handle: KeyHandle): void {
  const out = new Uint8Array(200);
  const calls: readonly (readonly [string, number])[] = [
    ["seal", sealWith(handle, countingBytes(10)).answer],
    ["open", addon.open(handle, NONCE, NONE, countingBytes(26), out)],
    ["sealAt", addon.sealAt(handle, out, 0, 0, 0, 12, 10, 100)],
    ["openAt", addon.openAt(handle, out, 0, 0, 0, 12, 10, 100)],
    ["sealHeader", addon.sealHeader(handle, NONCE, NONE, out)],
    ["openHeader", addon.openHeader(handle, NONCE, NONE, new Uint8Array(16))],
    ["sealFrames", addon.sealFrames(handle, new Uint8Array(16), 4, 1, 1, 0, countingBytes(4), out)],
    ["openFrames", addon.openFrames(handle, new Uint8Array(16), 4, 1, 1, 0, countingBytes(76), out)],
    ["ctr", addon.ctr(handle, NONCE, countingBytes(4), out)],
    [
      "sealRecords",
      addon.sealRecords(handle, 0, NONE, NONE, NONE, Uint32Array.of(0), undefined, undefined, out, new Uint32Array(1)),
    ],
    [
      "openRecords",
      addon.openRecords(handle, 0, NONE, NONE, Uint32Array.of(0), undefined, undefined, out, new Uint32Array(1), NONE),
    ],
    ["keyExport", addon.keyExport(handle, out)],
    ["gcmKey", addon.gcmKey(handle, 0)],
    ["messageKey", addon.messageKey(handle, 0, 512, 32, NONE, NONE, NONE, NONE)],
    ["keyDispose", addon.keyDispose(handle)],
  ];
  expect(calls.map(([name, answer]) => [name, codeOf(answer)])).toEqual(calls.map(([name]) => [name, "ERR_CLOSED"]));
}

async function inWorker<T>(task: string, data: object, onExit?: (code: number) => void): Promise<T> {
  const worker = new Worker(join(import.meta.dirname, "native-worker.mjs"), { workerData: { task, ...data } });
  const exited = once(worker, "exit");
  const [answer] = (await once(worker, "message")) as [T];
  const [code] = (await exited) as [number];
  onExit?.(code);
  return answer;
}

describeNative("key handles", () => {
  test("a key that was disposed, once or twice, does nothing more", () => {
    const [raw, key] = [importKey(countingBytes(32)), sealingKey(countingBytes(32), 0)];
    for (const handle of [raw, key]) {
      expect(addon.keyDispose(handle)).toBe(0);
      expectClosed(handle);
    }
  });

  test("its slot is used again under another handle", () => {
    const first = sealingKey(countingBytes(32), 0);
    expect(addon.keyDispose(first)).toBe(0);
    const second = sealingKey(countingBytes(16), 0);
    expect(second).not.toBe(first);
    expect(second % 2 ** 20).toBe(first % 2 ** 20);
    expectClosed(first);
    expect(sealWith(second, NONE).answer).toBe(0);
    expect(addon.keyDispose(second)).toBe(0);
  });

  test("a handle that nobody was given does nothing", () => {
    const key = sealingKey(countingBytes(32), 0);
    const live = new Set([key, importKey(countingBytes(32))]);
    const random = new SeededRandom(1);
    const forged = [
      0,
      1,
      2 ** 19,
      2 ** 20 - 1,
      2 ** 31,
      2 ** 52,
      Number.MAX_SAFE_INTEGER,
      key + 2 ** 20,
      key - 2 ** 20,
    ];
    for (let i = 0; i < 1000; i++) forged.push(random.u32() * 2 ** random.below(21));
    const wrong = forged.filter((handle) => !live.has(handle) && handle >= 0 && handle <= Number.MAX_SAFE_INTEGER);
    const answers = wrong.map((handle) => [sealWith(handle, NONE).answer, addon.keyDispose(handle)].map(codeOf));
    expect(new Set(answers.flat())).toEqual(new Set(["ERR_CLOSED"]));
    expect(sealWith(key, NONE).answer).toBe(0);
  });

  test("a raw key does not seal, a sealing key is not exported", () => {
    const [raw, key] = [importKey(countingBytes(32)), sealingKey(countingBytes(32), 0)];
    expect(codeOf(sealWith(raw, NONE).answer)).toBe("ERR_CLOSED");
    expect(codeOf(addon.keyExport(key, new Uint8Array(64)))).toBe("ERR_CLOSED");
    expect(codeOf(addon.gcmKey(key, 0))).toBe("ERR_CLOSED");
  });

  test("tens of thousands live at once, and all are given back", () => {
    const before = addon.info();
    const raw = importKey(countingBytes(32));
    const keys = Array.from({ length: 20_000 }, () => addon.gcmKey(raw, 0));
    expect(new Set(keys).size).toBe(keys.length);
    expect(Math.min(...keys)).toBeGreaterThan(0);
    const { keys: live, memory } = addon.info();
    expect(live.sealing).toBe(before.keys.sealing + keys.length);
    expect(memory.committedBytes).toBeGreaterThan(before.memory.committedBytes + keys.length * 1024);
    const expected = sealWith(keys[0] as number, countingBytes(40)).dst;
    for (const key of keys) expectBytes(sealWith(key, countingBytes(40)).dst, expected);
    for (const key of keys) addon.keyDispose(key);
    expect(addon.info().keys.sealing).toBe(before.keys.sealing);
    expect(addon.keyDispose(raw)).toBe(0);
  });

  test("where there is no room for another, a coded error; then room again", () => {
    const raw = importKey(countingBytes(32));
    const handles: number[] = [];
    let answer = addon.keyImport(NONCE);
    for (; answer > 0; answer = addon.keyImport(NONCE)) handles.push(answer);
    expect(codeOf(answer)).toBe("ERR_ENGINE_UNAVAILABLE");
    expect(handles.length).toBeGreaterThan(100_000);
    for (const handle of handles) addon.keyDispose(handle);
    expect(addon.keyDispose(raw)).toBe(0);
    expect(addon.keyImport(NONCE)).toBeGreaterThan(0);
  });

  test("a forked child finds its keys gone, and seals nothing under zeros", () => {
    const keys = [importKey(countingBytes(32)), ...kernels.map(([, number]) => sealingKey(countingBytes(32), number))];
    for (const key of keys) {
      const answer = addon.testing.afterFork(key) as number;
      expect(codeOf(answer)).toBe("ERR_CLOSED");
      expect(addon.errors[-1 - answer]?.message).toMatch(/fork/);
    }
    for (const key of keys.slice(1)) expect(sealWith(key, NONE).answer).toBe(0);
  });
});

describeNative("the memory of keys", () => {
  test.skipIf(process.platform !== "linux")("is locked, kept out of dumps, wiped on fork, between guard pages", () => {
    importKey(countingBytes(32));
    const { committedBytes, lockedBytes, refused } = addon.info().memory;
    const maps = mapsOf(readFileSync("/proc/self/smaps", "utf8"));
    const wiped = maps.filter(({ flags }) => flags.includes("wf"));
    const used = wiped.filter(({ access }) => access === "rw-p");
    expect(used).toHaveLength(2);
    expect(used.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(committedBytes);
    for (const map of wiped) expect(map.flags).toContain("dd");
    if (refused.length === 0) {
      expect(lockedBytes).toBe(committedBytes);
      for (const { flags } of used) expect(flags).toContain("lo");
    }
    for (const { from, to } of used) {
      expect(wiped.find((map) => map.to === from)?.access).toBe("---p");
      expect(wiped.find((map) => map.from === to)?.access).toBe("---p");
    }
  });

  const limited = ["setpriv", "prlimit"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
  test.skipIf(!limited || process.getuid?.() !== 0)("a limit on locked memory is said once, and lived with", () => {
    const script = `
      const { engineInfo, DataKey } = await import("./dist/index.js");
      const keys = Array.from({ length: 2000 }, () => DataKey.fromBytes(new Uint8Array(32)));
      console.log(JSON.stringify(engineInfo().keyMemory), keys.every((key) => key.byteLength === 32));`;
    const unprivileged = [
      "--bounding-set",
      "-ipc_lock",
      "--inh-caps",
      "-ipc_lock",
      "--reuid",
      "65534",
      "--clear-groups",
    ];
    const node = [process.execPath, "--input-type=module", "-e", script];
    const flags = ["--memlock=65536:65536", "setpriv", ...unprivileged, ...node];
    const { stdout, stderr } = spawnSync("prlimit", flags, { cwd: root, encoding: "utf8" });
    if (stdout === "") return console.warn(`SKIPPED: the limit on locked memory: ${stderr.slice(0, 200)}`);
    expect(stdout).toMatch(/^\{"guarded":true,"lockedBytes":65536,"refused":\["mlock: .*RLIMIT_MEMLOCK\)"\]\} true\n$/);
    expect(stderr.match(/KeyladderWarning/g)).toHaveLength(1);
  });
});

/** The mappings of this process. */
function mapsOf(smaps: string): { from: number; to: number; access: string; flags: readonly string[] }[] {
  return smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/).map((entry) => {
    const [, from = "", to = "", access = ""] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(entry) ?? [];
    const flags = /VmFlags: (.*)/.exec(entry)?.[1]?.trim().split(" ") ?? [];
    return { from: Number.parseInt(from, 16), to: Number.parseInt(to, 16), access, flags };
  });
}

describeNative("keys and threads", () => {
  const plaintext = countingBytes(300);

  test("another thread seals with a handle of this one", async () => {
    for (const [, number] of kernels) {
      const key = sealingKey(countingBytes(32), number);
      const { answer, dst } = await inWorker<{ answer: number; dst: Uint8Array }>("seal", { key, plaintext });
      expect(answer).toBe(0);
      expectBytes(dst, sealWith(key, plaintext).dst);
    }
  });

  test("a thread that ends takes its keys with it, and no others", async () => {
    const own = sealingKey(countingBytes(32), 0);
    const bytes = countingBytes(32);
    for (const exit of [false, true]) {
      let exitCode = -1;
      const onExit = (code: number) => {
        exitCode = code;
      };
      const { raw, key } = await inWorker<{ raw: number; key: number }>("make", { bytes, exit }, onExit);
      expect(exitCode).toBe(0);
      expect([raw, key].map((handle) => handle > 0)).toEqual([true, true]);
      expectClosed(raw);
      expectClosed(key);
    }
    expect(sealWith(own, NONE).answer).toBe(0);
  });

  test("a thread that ends lets go of its lanes", async () => {
    const before = addon.info().keys.sealing;
    const key = sealingKey(countingBytes(32), 0);
    expect(await inWorker("bind", { key })).toBeGreaterThan(0);
    expect(sealWith(key, NONE).answer).toBe(0);
    expect(addon.keyDispose(key)).toBe(0);
    expect(addon.info().keys.sealing).toBe(before);
  });

  test("a key disposed while others seal: the right ciphertext until the end, then a coded error", async () => {
    for (let round = 0; round < 5; round++) {
      const key = sealingKey(countingBytes(32), round % kernels.length);
      const expected = sealWith(key, plaintext).dst;
      const flag = new Int32Array(new SharedArrayBuffer(4));
      const workers = [0, 1].map(() =>
        inWorker<{ sealed: number; code: string; wrong: number }>("sealUntilGone", { key, plaintext, expected, flag }),
      );
      for (let running = 0; running < workers.length; running = Atomics.load(flag, 0)) await turn();
      for (let i = 0; i < 20; i++) await turn();
      expect(addon.keyDispose(key)).toBe(0);
      // Its slot is at once somebody else's.
      const next = sealingKey(countingBytes(16), 0);
      for (const { code, wrong } of await Promise.all(workers)) expect([code, wrong]).toEqual(["ERR_CLOSED", 0]);
      expectClosed(key);
      expect(addon.keyDispose(next)).toBe(0);
    }
  });

  test("process.exit while threads seal ends the process in order", () => {
    const worker = JSON.stringify(join(import.meta.dirname, "native-worker.mjs"));
    const script = `
      const addon = require("node-gyp-build")(process.cwd());
      const { Worker } = require("node:worker_threads");
      const key = addon.gcmKey(addon.keyImport(new Uint8Array(32)), 0);
      const flag = new Int32Array(new SharedArrayBuffer(4));
      const plaintext = new Uint8Array(1 << 16);
      const expected = new Uint8Array(plaintext.length + 16);
      addon.seal(key, new Uint8Array(12), new Uint8Array(0), plaintext, expected);
      for (let i = 0; i < 2; i++) {
        new Worker(${worker}, { workerData: { task: "sealUntilGone", key, plaintext, expected, flag } })
          .on("message", () => process.exit(3));
      }
      setInterval(() => Atomics.load(flag, 0) === 2 && process.exit(7), 1);`;
    const { status, signal, stderr } = spawnSync(process.execPath, ["-e", script], { cwd: root, encoding: "utf8" });
    expect([status, signal, stderr]).toEqual([7, null, ""]);
  });
});

describeNative("secrets that nobody wiped", () => {
  const collected = (kind: "raw" | "sealing", make: string) => {
    const script = `
      const { DataKey, decryptStream, encrypt, encryptStream, openRange, rawAesKeyring } = await import("./dist/index.js");
      const { loadAddon } = await import("./dist/engine/addon.js");
      const { addon } = loadAddon();
      const keyring = rawAesKeyring({ namespace: "n", name: "k", key: new Uint8Array(32) });
      const message = await encrypt(new Uint8Array(9000), { keyring });
      const source = { byteLength: message.length, slice: async (from, to) => message.slice(from, to).buffer };
      const live = () => addon.info().keys.${kind};
      const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
      async function write(stream, bytes) {
        stream.readable.getReader().read();
        await stream.writable.getWriter().write(bytes);
      }
      const before = live();
      for (let i = 0; i < 200; i++) { ${make} }
      if (live() < before + 150) throw new Error("they are not in the addon's memory");
      for (let i = 0; i < 200 && live() > before + 20; i++) { gc(); await turn(); }
      console.log(live() - before <= 20 ? "freed" : "kept " + (live() - before));`;
    const flags = ["--expose-gc", "--input-type=module", "-e", script];
    return spawnSync(process.execPath, flags, { cwd: root, encoding: "utf8" });
  };

  test.each([
    ["data keys", "raw", "DataKey.fromBytes(new Uint8Array(32))"],
    [
      "streams that seal, before their first frame",
      "sealing",
      "await write(encryptStream({ keyring }), new Uint8Array(9))",
    ],
    ["streams that seal, after it", "sealing", "await write(encryptStream({ keyring }), new Uint8Array(9999))"],
    ["streams that open", "sealing", "await write(decryptStream({ keyring }), message.subarray(0, 5000))"],
    ["ranges", "sealing", "await openRange(source, { keyring })"],
  ] as const)("are freed when they are garbage: %s", (_what, kind, make) => {
    const { stdout, stderr } = collected(kind, make);
    expect([stdout, stderr]).toEqual(["freed\n", ""]);
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
