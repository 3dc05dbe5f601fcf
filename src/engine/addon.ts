/** The only loader of the native addon, and the types of what it exports. */

import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { EngineError, type InputCode, InputError, type KeyladderError } from "../errors.js";
import type { Offsets } from "./port.js";

/** A key in the addon's locked memory: its slot, and how often the slot was handed out. Never 0. */
export type KeyHandle = number;

/** What one kernel needs, and whether this machine has it. */
export interface KernelVerdict {
  readonly name: string;
  /** The CPU has the instructions and the operating system saves their registers. */
  readonly can: boolean;
  /** And it pays. */
  readonly should: boolean;
  readonly why: string;
}

/** What the addon says of itself. */
export interface AddonInfo {
  readonly features: readonly string[];
  /** Fastest first; a kernel's place is its number. */
  readonly kernels: readonly KernelVerdict[];
  readonly keys: { readonly raw: number; readonly sealing: number };
  readonly memory: {
    readonly reservedBytes: number;
    readonly committedBytes: number;
    readonly lockedBytes: number;
    /** What the operating system refused, in words. */
    readonly refused: readonly string[];
  };
}

/**
 * The functions of native/addon/functions.h. Those that answer with a number answer below 0 for an error: pass it
 * through `checked`. Arrays are borrowed for the call.
 */
export interface Addon {
  readonly version: number;
  /** Error -1 first. */
  readonly errors: readonly {
    readonly code: InputCode | "ERR_INTERNAL" | "ERR_ENGINE_UNAVAILABLE";
    readonly message: string;
  }[];
  info(): AddonInfo;
  /** Undefined where the kernel runs here and answers rightly, else why not. */
  selfTest(kernel: number): string | undefined;
  keyImport(bytes: Uint8Array): number;
  keyExport(key: KeyHandle, out: Uint8Array): number;
  keyDispose(key: KeyHandle): number;
  messageKey(
    key: KeyHandle,
    kernel: number,
    hash: number,
    keyBytes: number,
    salt: Uint8Array,
    info: Uint8Array,
    commitInfo: Uint8Array,
    commitment: Uint8Array,
  ): number;
  gcmKey(key: KeyHandle, kernel: number): number;
  seal(key: KeyHandle, nonce: Uint8Array, aad: Uint8Array, src: Uint8Array, dst: Uint8Array): number;
  open(key: KeyHandle, nonce: Uint8Array, aad: Uint8Array, src: Uint8Array, dst: Uint8Array, tag?: Uint8Array): number;
  sealAt(
    key: KeyHandle,
    arena: Uint8Array,
    nonceAt: number,
    aadAt: number,
    aadBytes: number,
    srcAt: number,
    bytes: number,
    dstAt: number,
  ): number;
  openAt(
    key: KeyHandle,
    arena: Uint8Array,
    nonceAt: number,
    aadAt: number,
    aadBytes: number,
    srcAt: number,
    bytes: number,
    dstAt: number,
  ): number;
  /** Binds a key to shared memory; calls on the lane take their numbers from its first six words. */
  laneBind(key: KeyHandle, memory: Uint8Array): number;
  laneSeal(lane: number): number;
  laneOpen(lane: number): number;
  laneFree(lane: number): number;
  sealHeader(key: KeyHandle, nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): number;
  openHeader(key: KeyHandle, nonce: Uint8Array, aad: Uint8Array, tag: Uint8Array): number;
  sealFrames: FramesFunction;
  openFrames: FramesFunction;
  /** Works on batches that other threads seal or open in pieces, until there was none for so long. How many it joined. */
  help(spinMicros: number): number;
  sealRecords(
    key: KeyHandle,
    saltBytes: number,
    prefix: Uint8Array,
    nonces: Uint8Array,
    src: Uint8Array,
    srcOffsets: Offsets,
    aad: Uint8Array | undefined,
    aadOffsets: Offsets | undefined,
    dst: Uint8Array,
    dstOffsets: Offsets,
  ): number;
  openRecords(
    key: KeyHandle,
    saltBytes: number,
    prefix: Uint8Array,
    src: Uint8Array,
    srcOffsets: Offsets,
    aad: Uint8Array | undefined,
    aadOffsets: Offsets | undefined,
    dst: Uint8Array,
    dstOffsets: Offsets,
    status: Uint8Array,
  ): number;
  ctr(key: KeyHandle, nonce: Uint8Array, src: Uint8Array, dst: Uint8Array): number;
  /** Hooks of the tests. */
  readonly testing: {
    resetSelfTest(kernel: number, fail: boolean): void;
    judge(kernel: number, features: readonly string[]): KernelVerdict;
    /** The kernel that a sealing key was made for. */
    kernelOf(key: KeyHandle): string | undefined;
    /** What a forked child gets when it pins the key: 0 or an error. */
    afterFork(key: KeyHandle): number | undefined;
  };
}

type FramesFunction = (
  key: KeyHandle,
  messageId: Uint8Array,
  frameBytes: number,
  firstSequence: number,
  regularFrames: number,
  finalBytes: number | undefined,
  src: Uint8Array,
  dst: Uint8Array,
  /** Above 0: in pieces of about so much plaintext, which threads that call `help` join in. */
  pieceBytes?: number,
) => number;

/** Of the functions' signatures: an addon of another version is not called. */
const ADDON_VERSION = 2;

/** The addon, or why there is none. */
export type LoadedAddon =
  | { readonly addon: Addon; readonly why: undefined }
  | { readonly addon: undefined; readonly why: string };

let loaded: LoadedAddon | undefined;

/**
 * Loads the addon once: of this checkout's build, else the prebuilt one of this platform. Where `KEYLADDER_ENGINE` names
 * an engine that needs none, none is loaded: whoever distrusts native code on a machine keeps it out of the process.
 */
export function loadAddon(): LoadedAddon {
  loaded ??= load();
  return loaded;
}

function load(): LoadedAddon {
  const named = process.env.KEYLADDER_ENGINE ?? "auto";
  if (named !== "auto" && !named.startsWith("native")) {
    return { addon: undefined, why: `KEYLADDER_ENGINE=${named} keeps the addon out of this process` };
  }
  const require = createRequire(import.meta.url);
  try {
    const find = require("node-gyp-build") as (folder: string) => Addon;
    const addon = find(fileURLToPath(new URL("../..", import.meta.url)));
    if (addon.version !== ADDON_VERSION) {
      return { addon: undefined, why: `the addon is of version ${addon.version}, this package needs ${ADDON_VERSION}` };
    }
    const { refused } = addon.info().memory;
    if (refused.length > 0) warn(`keys are held in memory that is not fully guarded: ${refused.join("; ")}`);
    return { addon, why: undefined };
  } catch (error) {
    return { addon: undefined, why: `the addon did not load: ${firstLine(error)}` };
  }
}

/** Said once, where nobody asked: to the process's warnings. */
export function warn(message: string): void {
  process.emitWarning(message, "KeyladderWarning");
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0] as string;
}

/** What a native function answered, where that is no error. @throws InputError, EngineError */
export function checked(addon: Addon, answer: number): number {
  if (!(answer >= 0)) throw failureOf(addon, answer);
  return answer;
}

/** The error behind a negative answer. */
export function failureOf(addon: Addon, answer: number): KeyladderError {
  const { code, message } = addon.errors[-1 - answer] ?? {
    code: "ERR_INTERNAL",
    message: `the addon answered ${answer}`,
  };
  if (code === "ERR_INTERNAL" || code === "ERR_ENGINE_UNAVAILABLE") return new EngineError(code, message);
  return new InputError(code, message);
}
