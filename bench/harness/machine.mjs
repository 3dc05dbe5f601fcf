/** What the figures were measured on. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { arch, cpus, platform, release, totalmem } from "node:os";

/** The first line a command prints; undefined where it is not here. @param {string} command @param {readonly string[]} args */
export function firstLine(command, args) {
  try {
    const text = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return text.split("\n", 1)[0]?.trim();
  } catch {
    return undefined;
  }
}

/** The CPU's features as Linux names them; empty elsewhere. @returns {ReadonlySet<string>} */
export function cpuFeatures() {
  try {
    return new Set(/^flags\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1]?.split(" "));
  } catch {
    return new Set();
  }
}

/**
 * The kernel this CPU should get, told from its features alone: what dispatch chooses is what is being checked.
 * @returns {"avx512" | "avx2" | "aesni" | "none"}
 */
export function bestKernel() {
  const has = cpuFeatures();
  const all = (/** @type {string[]} */ ...names) => names.every((name) => has.has(name));
  if (!all("aes", "pclmulqdq", "sse4_1")) return "none";
  if (!all("vaes", "vpclmulqdq", "avx2")) return "aesni";
  return all("avx512f", "avx512bw", "avx512vl", "avx512dq") ? "avx512" : "avx2";
}

export function describeMachine() {
  const has = cpuFeatures();
  const interesting = ["aes", "pclmulqdq", "vaes", "vpclmulqdq", "avx2", "avx512f", "sha_ni", "gfni"];
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    features: interesting.filter((feature) => has.has(feature)),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    nodeOpenssl: process.versions.openssl,
    openssl: firstLine("openssl", ["version"]),
    compiler: firstLine("g++", ["--version"]),
    age: firstLine("age", ["--version"]),
    commit: firstLine("git", ["describe", "--always", "--dirty", "--abbrev=10"]),
  };
}
