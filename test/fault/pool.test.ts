/** The pool's threads and the end of things: of the process, of a helper, of the thread that works. Runs the built package. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { selectEngine } from "../../src/engine/select.js";

const DIST = fileURLToPath(new URL("../../dist/", import.meta.url));
const native = selectEngine("auto").name === "native";
if (!native) console.warn("SKIPPED test/fault/pool: the native engine is not here");
beforeAll(() => {
  if (!existsSync(join(DIST, "pool", "worker.js"))) throw new Error("dist/ is missing: npm run build");
});

const PREAMBLE = `
  import { once } from "node:events";
  import { createHash } from "node:crypto";
  import { Worker, isMainThread } from "node:worker_threads";
  import { setTimeout as delay } from "node:timers/promises";
  const dist = ${JSON.stringify(DIST)};
  const { encrypt, decrypt, engineInfo, rawAesKeyring } = await import(dist + "index.js");
  const options = { keyring: rawAesKeyring({ namespace: "test", name: "key", key: new Uint8Array(32).fill(1) }) };
  const plaintext = new Uint8Array(100_000_000).fill(0x5a);
  const out = new Uint8Array(plaintext.length + 2_000_000);
  /** Until the shared pool's threads work, or for a minute. */
  const warm = async () => {
    for (let i = 0; engineInfo().pool.joined === 0 && i < 600; i++) {
      await encrypt(plaintext, { ...options, out });
      await delay(20);
    }
    if (engineInfo().pool.joined === 0) throw new Error("no helper joined");
  };`;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program with one helper thread; killed after a minute. */
async function run(program: string): Promise<Ended> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PREAMBLE + program], {
    env: { ...process.env, KEYLADDER_POOL: "1" },
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr })));
}

const ENDED = { code: 0, signal: null, stderr: "" };

describe.runIf(native)("the pool", { timeout: 90_000 }, () => {
  test("an idle pool does not keep the process", async () => {
    expect(await run(`await warm(); console.log("done");`)).toEqual({ ...ENDED, stdout: "done\n" });
  });

  test("nothing is started for small work", async () => {
    const program = `
      for (let i = 0; i < 3000; i++) await encrypt(plaintext.subarray(0, 200_000), { ...options, out });
      console.log(engineInfo().pool.started);`;
    expect(await run(program)).toEqual({ ...ENDED, stdout: "false\n" });
  });

  test("process.exit while it works", async () => {
    const program = `
      await warm();
      const work = encrypt(plaintext, { ...options, out });
      setImmediate(() => process.exit(7));
      await work;
      console.log("unreachable");`;
    for (let i = 0; i < 3; i++) expect(await run(program)).toEqual({ ...ENDED, code: 7, stdout: "" });
  });

  test("an uncaught error while it works ends the process with it", async () => {
    const program = `
      await warm();
      const work = encrypt(plaintext, { ...options, out });
      setImmediate(() => { throw new TypeError("mine"); });
      await work;`;
    const { code, stderr } = await run(program);
    expect(code).toBe(1);
    expect(stderr).toContain("TypeError: mine");
  });

  test("helpers killed in mid-batch: every message is right, no call hangs", async () => {
    const program = `
      const { loadAddon } = await import(dist + "engine/addon.js");
      const { addon } = loadAddon();
      const raw = addon.keyImport(new Uint8Array(32).fill(7));
      const key = addon.gcmKey(raw, 0);
      const id = new Uint8Array(32);
      const frames = 4000;
      const sealed = (pieceBytes) => {
        const dst = new Uint8Array(frames * (4096 + 32));
        if (addon.sealFrames(key, id, 4096, 1, frames, undefined, plaintext, dst, pieceBytes) !== 0) throw new Error("refused");
        return createHash("sha256").update(dst).digest("hex");
      };
      const expected = sealed(0);
      const helper = \`
        const { workerData, parentPort } = require("node:worker_threads");
        const addon = require("node-gyp-build")(workerData);
        parentPort.postMessage("ready");
        for (;;) addon.help(10_000);\`;
      for (let round = 0; round < 30; round++) {
        const worker = new Worker(helper, { eval: true, execArgv: [], workerData: new URL("..", "file://" + dist).pathname });
        await once(worker, "message");
        const gone = once(worker, "exit");
        if (round % 2 === 0) await delay(round / 10);
        worker.terminate();
        for (let i = 0; i < 4; i++) if (sealed(65_536) !== expected) throw new Error("wrong bytes");
        await gone;
      }
      console.log("right");`;
    expect(await run(program)).toEqual({ ...ENDED, stdout: "right\n" });
  });

  test("the thread that works is ended in mid-message: the process goes on, and so does the pool", async () => {
    const program = `
      await warm();
      const worker = \`
        const { workerData, parentPort } = require("node:worker_threads");
        (async () => {
          const { encrypt, rawAesKeyring } = await import(workerData + "index.js");
          const keyring = rawAesKeyring({ namespace: "test", name: "key", key: new Uint8Array(32).fill(1) });
          const out = new Uint8Array(60_000_000);
          parentPort.postMessage("ready");
          for (;;) await encrypt(new Uint8Array(50_000_000), { keyring, out });
        })();\`;
      for (let round = 0; round < 5; round++) {
        const other = new Worker(worker, { eval: true, execArgv: [], workerData: dist });
        await once(other, "message");
        await delay(20 * round);
        await other.terminate();
        const message = await encrypt(plaintext, { ...options, out });
        const opened = await decrypt(message, options);
        if (Buffer.compare(opened.plaintext, plaintext) !== 0) throw new Error("wrong bytes");
      }
      console.log("right");`;
    expect(await run(program)).toEqual({ ...ENDED, stdout: "right\n" });
  });
});
