/** The tree is the architecture: imports run one way, drivers stay in their rooms, files stay readable. */

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const SRC = join(import.meta.dirname, "..", "src");

/** What each room may import, besides itself and the ground everything stands on. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  "bytes.ts": ["errors.ts"],
  message: [],
  "atomic-file.ts": [],
  "duration.ts": [],
  "work.ts": [],
  engine: ["message"],
  pool: ["engine", "message"],
  keyring: ["message", "engine", "kms", "hsm/port.ts", "duration.ts"],
  hsm: ["work.ts", "atomic-file.ts"],
  store: ["atomic-file.ts"],
  kms: ["hsm/port.ts", "store/port.ts", "message", "engine", "duration.ts"],
  envelope: ["message", "engine", "keyring", "pool", "atomic-file.ts"],
  "ladder.ts": [
    "envelope",
    "keyring",
    "kms",
    "hsm/port.ts",
    "store/port.ts",
    "engine",
    "pool",
    "message",
    "duration.ts",
    "work.ts",
  ],
  "insecure.ts": ["engine", "envelope"],
  "index.ts": ["*"],
  "config.ts": ["cli"],
  cli: ["index.ts", "atomic-file.ts"],
};
const GROUND = ["errors.ts", "bytes.ts"];

/** Packages that only one room may name. */
const PACKAGES: Readonly<Record<string, string>> = {
  kysely: "store",
  libsql: "store",
  "proper-lockfile": "hsm",
  commander: "cli",
  "cli-progress": "cli",
  "cli-table3": "cli",
  "@clack/prompts": "cli",
  pkcs11js: "hsm",
  piscina: "pool",
  "node-gyp-build": "engine",
};

/** Files over the bound, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {};
const MAX_LINES = 400;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
  /** By `import()`: loaded when it runs, not when the file is. */
  readonly dynamic: boolean;
}

function sources(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
}

/** Static and dynamic imports and re-exports; relative ones as paths below src. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  const statement =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?[^;"']*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g;
  for (const match of text.matchAll(statement)) {
    const specifier = match[3] ?? match[4] ?? match[5] ?? "";
    const target = specifier.startsWith(".")
      ? relative(SRC, join(SRC, dirname(file), specifier)).replace(/\.js$/, ".ts")
      : specifier;
    found.push({ file, target, typeOnly: match[2] !== undefined, dynamic: match[4] !== undefined });
  }
  return found;
}

const roomOf = (file: string): string => (file.includes("/") ? (file.split("/")[0] as string) : file);

describe("architecture", () => {
  const files = sources();
  const imports = files.flatMap(importsOf);

  it("knows every room", () => {
    expect(files.length).toBeGreaterThan(30);
    expect(imports.length).toBeGreaterThan(100);
    expect([...new Set(files.map(roomOf))].filter((room) => !(room in MAY_IMPORT))).toEqual([]);
  });

  it("imports run one way", () => {
    const against = imports.filter(({ file, target }) => {
      if (!target.endsWith(".ts")) return false;
      const room = roomOf(file);
      const allowed = MAY_IMPORT[room] ?? [];
      if (room === roomOf(target) || GROUND.includes(target) || allowed.includes("*")) return room === "errors.ts";
      return !allowed.some((place) => target === place || target.startsWith(`${place}/`));
    });
    expect(against).toEqual([]);
  });

  it("has no cycle between files", () => {
    const graph = new Map<string, string[]>(files.map((file) => [file, []]));
    for (const { file, target, typeOnly } of imports) if (!typeOnly) graph.get(file)?.push(target);
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") return void cycles.push([...path, file].join(" -> "));
      state.set(file, "open");
      for (const target of graph.get(file) ?? []) if (graph.has(target)) visit(target, [...path, file]);
      state.set(file, "done");
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it("loads no dependency for whoever only imports the index", () => {
    const reached = new Set(["index.ts"]);
    for (const file of reached) {
      if (!file.endsWith(".ts")) continue;
      for (const { target, typeOnly, dynamic } of importsOf(file)) if (!typeOnly && !dynamic) reached.add(target);
    }
    expect(reached.size).toBeGreaterThan(20);
    expect([...reached].filter((target) => !target.endsWith(".ts") && !target.startsWith("node:"))).toEqual([]);
  });

  it("keeps each driver in one room", () => {
    const strays = imports.filter(({ file, target }) => target in PACKAGES && PACKAGES[target] !== roomOf(file));
    expect(strays).toEqual([]);
  });

  it("keeps the wire format free of keys, engines and platforms", () => {
    const foreign = imports.filter(({ file, target }) => roomOf(file) === "message" && target.startsWith("node:"));
    expect(foreign).toEqual([]);
  });

  it("ports are types only", () => {
    for (const port of files.filter((file) => file.endsWith("/port.ts"))) {
      const text = readFileSync(join(SRC, port), "utf8");
      expect(text.match(/^export (?!type |interface |declare )/gm), port).toBeNull();
      expect(
        importsOf(port).filter(({ typeOnly }) => !typeOnly),
        port,
      ).toEqual([]);
    }
  });

  it("no file is longer than a reader's patience", () => {
    const long = files.filter((file) => {
      const lines = readFileSync(join(SRC, file), "utf8").split("\n").length;
      return lines > MAX_LINES && !(file in LONG_FILES);
    });
    expect(long).toEqual([]);
  });
});
