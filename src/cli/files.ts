/** Which file becomes which: names, trees, targets. Nothing is read or written here but folders and file kinds. */

import type { Dirent, Stats } from "node:fs";
import { lstat, mkdir, readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { errnoOf, ioError, isTemporary } from "../atomic-file.js";
import { errors } from "../index.js";
import { usageError } from "./exit-codes.js";

export const SUFFIX = ".encrypted";

export interface FileJob {
  readonly from: string;
  readonly to: string;
}

export interface Skipped {
  readonly path: string;
  readonly why: string;
}

export interface Plan {
  readonly jobs: readonly FileJob[];
  readonly skipped: readonly Skipped[];
}

export interface PlanOptions {
  readonly recursive: boolean;
  /** -o: the output file for one input, else a folder. */
  readonly output: string | undefined;
  /** The name a file becomes; undefined where its own name does not say. */
  readonly rename: (name: string) => string | undefined;
  /** Why a file found in a tree is left alone; undefined where it is taken. */
  readonly leaveAlone: (name: string) => string | undefined;
}

async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw ioError(error, `read ${path}`);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw ioError(error, `read ${path}`);
  }
}

/** Regular files below `root`, in order, relative to it. Symbolic links are not followed. */
async function walk(root: string, skipped: Skipped[], below = ""): Promise<string[]> {
  const found: string[] = [];
  let entries: Dirent[];
  try {
    entries = await readdir(join(root, below), { withFileTypes: true });
  } catch (error) {
    throw ioError(error, `read ${join(root, below)}`);
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) found.push(...(await walk(root, skipped, path)));
    else if (entry.isFile() && !isTemporary(entry.name)) found.push(path);
    else {
      const other = entry.isSymbolicLink() ? "a symbolic link, not followed" : "not a regular file";
      const why = entry.isFile() ? "being written, or left by a process that was killed" : other;
      skipped.push({ path: join(root, path), why });
    }
  }
  return found;
}

/** What to do with the files named. @throws InputError ERR_INPUT · StoreError ERR_IO */
export async function planFiles(names: readonly string[], options: PlanOptions): Promise<Plan> {
  const { recursive, output } = options;
  const jobs: FileJob[] = [];
  const skipped: Skipped[] = [];
  const outputIsFolder = output !== undefined && (names.length > 1 || recursive || (await isFolder(output)));
  for (const name of names) {
    const info = await statOf(name);
    if (info.isDirectory()) {
      if (!recursive) throw usageError(`${name} is a folder`, "-r takes every file in it, a message per file");
      const root = output === undefined ? name : names.length > 1 ? join(output, basename(resolve(name))) : output;
      await planTree(name, root, options, jobs, skipped);
    } else {
      jobs.push({ from: name, to: targetOf(name, output, outputIsFolder, options) });
    }
  }
  refuseCollisions(jobs);
  return { jobs, skipped };
}

async function planTree(
  root: string,
  target: string,
  options: PlanOptions,
  jobs: FileJob[],
  skipped: Skipped[],
): Promise<void> {
  for (const path of await walk(root, skipped)) {
    const why = options.leaveAlone(path);
    const renamed = options.rename(path);
    if (why === undefined && renamed !== undefined) jobs.push({ from: join(root, path), to: join(target, renamed) });
    else skipped.push({ path: join(root, path), why: why ?? "its name does not say what it becomes" });
  }
}

function targetOf(name: string, output: string | undefined, intoFolder: boolean, options: PlanOptions): string {
  if (output !== undefined && !intoFolder) return output;
  const renamed = options.rename(name);
  if (renamed === undefined) {
    throw usageError(
      `${name} does not end in ${SUFFIX}: what should the output be called?`,
      "-o OUT, or -o - for stdout",
    );
  }
  return output === undefined ? renamed : join(output, basename(renamed));
}

function refuseCollisions(jobs: readonly FileJob[]): void {
  const taken = new Map<string, string>();
  for (const { from, to } of jobs) {
    const target = resolve(to);
    const other = taken.get(target);
    if (other !== undefined) throw usageError(`${other} and ${from} would both become ${to}`);
    taken.set(target, from);
  }
}

/** What is at a path, a link not followed; undefined where nothing is. */
async function targetStat(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw ioError(error, `write ${path}`);
  }
}

/**
 * Refuses an existing target unless `force`, and with `force` anything but a regular file: a device or a link must not
 * be replaced by a file.
 */
export async function refuseTarget(path: string, force: boolean): Promise<void> {
  const target = await targetStat(path);
  if (target === undefined) return;
  if (!force) {
    throw new errors.InputError("ERR_FILE_EXISTS", `cannot write ${path}: it exists already`, {
      hint: "-f replaces it, -o names another",
    });
  }
  if (!target.isFile()) throw usageError(`${path} is not a regular file: it is not replaced`, "-o - writes to stdout");
}

/** Refuses a target that is the source itself, and as `refuseTarget`. Makes its folder unless `dryRun`. */
export async function prepareTarget(job: FileJob, options: { force: boolean; dryRun: boolean }): Promise<void> {
  const source = await statOf(job.from);
  const target = await targetStat(job.to);
  if (target !== undefined && target.dev === source.dev && target.ino === source.ino) {
    throw usageError(`${job.from}: input and output are the same file`);
  }
  await refuseTarget(job.to, options.force);
  if (target !== undefined || options.dryRun) return;
  try {
    await mkdir(dirname(job.to), { recursive: true });
  } catch (error) {
    throw ioError(error, `make the folder ${dirname(job.to)}`);
  }
}
