// Builds the addon into build/Release, if something changed and this machine can. Where it cannot, one line says so: the
// package works without, over node:crypto. In CI a compiler that fails is a failure.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const addon = join(root, "build/Release/keyladder.node");
const listing = join(root, "build/sources.txt");
const sources = ["binding.gyp", ...readdirSync(join(root, "native"), { recursive: true }).map((f) => join("native", f))]
  .filter((file) => /\.(gyp|cc|h)$/.test(file))
  .sort();
const list = `${sources.join("\n")}\n`;

if (!isCurrent()) build();

/** Whether the addon was made of these sources, as they are. */
function isCurrent() {
  if (!existsSync(addon) || !existsSync(listing) || readFileSync(listing, "utf8") !== list) return false;
  const built = statSync(listing).mtimeMs;
  return sources.every((file) => statSync(join(root, file)).mtimeMs <= built);
}

function build() {
  const missing = missingTool();
  if (missing !== undefined) return goOn(`this machine has no ${missing}`);
  const begun = new Date();
  const nodeGyp = join(dirname(createRequire(import.meta.url).resolve("node-gyp/package.json")), "bin/node-gyp.js");
  // make compiles what changed; only a change of the list of files needs a new makefile, which `configure` writes.
  const made = spawnSync(
    process.execPath,
    [nodeGyp, "configure", "build", "--jobs=max", "--loglevel=warn", ...localHeaders()],
    {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 2 ** 26,
    },
  );
  if (made.status === 0) {
    writeFileSync(listing, list);
    return utimesSync(listing, begun, begun); // what changes from now on is newer
  }
  process.stderr.write(`${made.stdout ?? ""}${made.stderr ?? ""}`.split("\n").slice(-40).join("\n"));
  goOn("the compiler failed (above)");
  if (process.env.CI) process.exitCode = 1;
}

/** Node's headers where this node brought them along: node-gyp would download them otherwise. */
function localHeaders() {
  const prefix = join(dirname(process.execPath), "..");
  const known = process.env.npm_config_nodedir ?? process.env.npm_package_config_node_gyp_nodedir;
  return !known && existsSync(join(prefix, "include/node/node_api.h")) ? [`--nodedir=${prefix}`] : [];
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
