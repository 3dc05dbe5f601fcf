// Builds the addon into build/Release, if something changed and this machine can; with --prebuilt also into prebuilds/,
// where an installed package looks for it. Where the machine cannot, one line says so: the package works without, over
// node:crypto. In CI a compiler that fails is a failure.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const sources = ["binding.gyp", ...readdirSync(join(root, "native"), { recursive: true }).map((f) => join("native", f))]
  .filter((file) => /\.(gyp|cc|h)$/.test(file))
  .sort();
const list = `${sources.join("\n")}\n`;

/** What can be made: where it is, the record of what it was made of, and the command. */
const BUILT = {
  file: join(root, "build/Release/keyladder.node"),
  listing: join(root, "build/sources.txt"),
  // make compiles what changed; only a change of the list of files needs a new makefile, which `configure` writes.
  command: [binOf("node-gyp", "bin/node-gyp.js"), "configure", "build", "--jobs=max", "--loglevel=warn"],
};
const PREBUILT = {
  file: join(root, `prebuilds/${process.platform}-${process.arch}`),
  listing: join(root, "build/prebuilt-sources.txt"),
  command: [binOf("prebuildify", "bin.js"), "--napi", "--strip", "--tag-libc"], // builds anew, in build/ too
};

if (process.argv.includes("--prebuilt") && !isCurrent(PREBUILT)) build(PREBUILT, BUILT);
else if (!isCurrent(BUILT)) build(BUILT);

function binOf(name, path) {
  return join(dirname(require.resolve(`${name}/package.json`)), path);
}

/** Whether it was made of these sources, as they are. */
function isCurrent({ file, listing }) {
  if (!existsSync(file) || !existsSync(listing) || readFileSync(listing, "utf8") !== list) return false;
  const built = statSync(listing).mtimeMs;
  return sources.every((source) => statSync(join(root, source)).mtimeMs <= built);
}

function build(...made) {
  const missing = missingTool();
  if (missing !== undefined) return goOn(`this machine has no ${missing}`);
  console.error("keyladder: compiling the native engine, which takes about a minute");
  const begun = new Date();
  const options = {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    env: { JOBS: "max", ...localHeaders(), ...process.env },
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, made[0].command, options);
  if (status !== 0) {
    process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`.split("\n").slice(-40).join("\n"));
    if (process.env.CI) process.exitCode = 1;
    return goOn("the compiler failed (above)");
  }
  for (const { listing } of made) {
    writeFileSync(listing, list);
    utimesSync(listing, begun, begun); // what changes from now on is newer
  }
}

/** Node's headers where this node brought them along: node-gyp would download them otherwise. */
function localHeaders() {
  const prefix = join(dirname(process.execPath), "..");
  return existsSync(join(prefix, "include/node/node_api.h")) ? { npm_config_nodedir: prefix } : {};
}

/** The first of the tools that node-gyp needs and this machine lacks. Windows is searched by node-gyp itself. */
function missingTool() {
  if (process.platform === "win32") return undefined;
  const works = (...tools) => tools.some((tool) => tool && spawnSync(tool, ["--version"]).status === 0);
  if (!works(process.env.npm_config_python, process.env.PYTHON, "python3", "python"))
    return "Python, which node-gyp needs";
  if (!works("make", "gmake")) return "make";
  if (!works(process.env.CXX, "c++", "g++", "clang++")) return "C++ compiler";
  return undefined;
}

function goOn(why) {
  console.error(`keyladder: the native engine is not built: ${why}. All works without it, slower, over node:crypto.`);
}
