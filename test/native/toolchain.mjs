// Compiles C++ into build/native-tests/<variant>: what changed, all cores at once.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";

export const ROOT = join(import.meta.dirname, "../..");
export const OUT = join(ROOT, "build/native-tests");

/** As binding.gyp has them. */
export const SHIPPED = [
  "-std=c++17",
  "-O3",
  "-fomit-frame-pointer",
  "-fno-exceptions",
  "-fno-rtti",
  "-fstack-protector",
];
/** For builds that watch themselves: quick to make, the kernels' parts functions of their own. */
export const WATCHED = [
  "-std=c++17",
  "-O1",
  "-g1",
  "-fno-exceptions",
  "-fno-rtti",
  "-include",
  "test/native/not_inlined.h",
];
/** The tests themselves. */
export const TESTS = ["-std=c++17", "-O1"];
const WARNINGS = ["-Wall", "-Wextra"];

/** Whether a program is on the PATH. @param {string} name */
export function has(name) {
  return spawnSync(name, ["--version"]).status === 0;
}

/** A C++ compiler, or undefined. */
export const COMPILER = [process.env.CXX, "g++", "clang++"].find((name) => name && has(name));

/** Where node_api.h is, of the node that runs this; undefined where it brought no headers. */
export const NODE_HEADERS = [
  join(dirname(process.execPath), "../include/node"),
  join(process.env.npm_config_nodedir ?? "/usr", "include/node"),
].find((folder) => existsSync(join(folder, "node_api.h")));

/** Sources of a room. @param {string} folder below native/ */
export function sourcesOf(folder) {
  return readdirSync(join(ROOT, "native", folder))
    .filter((file) => file.endsWith(".cc"))
    .map((file) => join("native", folder, file));
}

/** Whether an object file is older than what it was made of, or was made in another way. */
function isStale(object, command) {
  if (!existsSync(object) || !existsSync(`${object}.command`) || readFileSync(`${object}.command`, "utf8") !== command)
    return true;
  const made = statSync(object).mtimeMs;
  const listed = readFileSync(object.replace(/o$/, "d"), "utf8")
    .split(/[\s\\]+/)
    .slice(1);
  return listed.some(
    (file) => file !== "" && !(statSync(join(ROOT, file), { throwIfNoEntry: false })?.mtimeMs <= made),
  );
}

/** Object files of kernels and dispatch as the addon is made of them. */
export async function shipped() {
  await run(process.execPath, ["native/build.mjs"], { env: { CI: "1" } });
  return [...sourcesOf("kernels"), ...sourcesOf("dispatch")].map((source) =>
    join(ROOT, "build/Release/obj.target/keyladder", source.replace(/\.cc$/, ".o")),
  );
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
  await run(COMPILER, [...objects, ...flags, "-pthread", "-Wl,-z,now", "-o", program]);
  return program;
}

/** Runs a program to its end; what it prints is shown. @throws where it fails or takes too long */
export function run(program, args = [], { env = {}, seconds = 240 } = {}) {
  return new Promise((resolve, reject) => {
    // A group of its own: a compiler's driver leaves its children behind.
    const child = spawn(program, args, {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, ...env },
      detached: true,
    });
    const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), seconds * 1000);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(undefined);
      else reject(new Error(`${basename(program)} ended with ${signal ?? code}`));
    });
  });
}
