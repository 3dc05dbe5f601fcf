// Compiles C++ into build/native-tests/<variant>: what changed, all cores at once.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
export const OUT = join(ROOT, "build/native-tests");

/** As binding.gyp has them, so that what is tested is what ships. */
export const SHIPPED = ["-std=c++17", "-O3", "-fomit-frame-pointer", "-fno-exceptions", "-fno-rtti", "-fstack-protector"];
/** The tests themselves. */
export const TESTS = ["-std=c++17", "-O1"];
const WARNINGS = ["-Wall", "-Wextra"];

/** Whether a program is on the PATH. @param {string} name */
export function has(name) {
  return spawnSync(name, ["--version"]).status === 0;
}

/** A C++ compiler, or undefined. */
export const COMPILER = [process.env.CXX, "g++", "clang++"].find((name) => name && has(name));

/** Kernels and dispatch. @param {string} folder below native/ */
export function sourcesOf(folder) {
  return readdirSync(join(ROOT, "native", folder))
    .filter((file) => file.endsWith(".cc"))
    .map((file) => join("native", folder, file));
}

/** Whether an object file is older than what it was made of, or was made in another way. */
function isStale(object, command) {
  if (!existsSync(object) || !existsSync(`${object}.command`) || readFileSync(`${object}.command`, "utf8") !== command) return true;
  const made = statSync(object).mtimeMs;
  const listed = readFileSync(object.replace(/o$/, "d"), "utf8").split(/[\s\\]+/).slice(1);
  return listed.some((file) => file !== "" && !(statSync(join(ROOT, file), { throwIfNoEntry: false })?.mtimeMs <= made));
}

/**
 * Object files of sources, paths below the root, in their order. @param {string} variant @param {readonly string[]} sources
 * @param {readonly string[]} flags
 */
export async function compile(variant, sources, flags) {
  const folder = join(OUT, variant);
  mkdirSync(folder, { recursive: true });
  const jobs = sources.map((source) => {
    const object = join(folder, basename(source).replace(/\.[^.]*$/, ".o"));
    const args = [...WARNINGS, ...flags, "-MMD", "-MF", object.replace(/o$/, "d"), "-c", source, "-o", object];
    return { object, args, command: [COMPILER, ...args].join(" ") };
  });
  const stale = jobs.filter(({ object, command }) => isStale(object, command));
  const worker = async () => {
    for (let job = stale.pop(); job !== undefined; job = stale.pop()) {
      await run(COMPILER, job.args);
      writeFileSync(`${job.object}.command`, job.command);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return jobs.map(({ object }) => object);
}

/** A program or, with -shared among the flags, a library. @returns its path */
export async function link(variant, name, objects, flags = []) {
  const program = join(OUT, variant, name);
  await run(COMPILER, [...objects, ...flags, "-pthread", "-o", program]);
  return program;
}

/** Runs a program to its end; what it prints is shown. @throws where it fails or takes too long */
export function run(program, args = [], { env = {}, seconds = 240 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
    const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(undefined);
      else reject(new Error(`${basename(program)} ended with ${signal ?? code}`));
    });
  });
}
