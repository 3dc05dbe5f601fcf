/** The native addon as tests use it: directly, one key of each kernel, loud where it is missing. */

import { describe, expect } from "vitest";
import { type Addon, checked, type KeyHandle, loadAddon } from "../src/engine/addon.js";

const { addon: found, why } = loadAddon();

/** Only inside `describeNative`. */
export const addon = found as Addon;

/** The kernels that can run here: name and number. */
export const kernels: readonly (readonly [name: string, number: number])[] = (found?.info().kernels ?? []).flatMap(
  ({ name, can }, number) => (can ? [[name, number] as const] : []),
);

const missing = found === undefined ? why : kernels.length === 0 ? "no kernel of it can run on this CPU" : undefined;
if (missing !== undefined) console.warn(`SKIPPED: the tests of the native addon: ${missing}`);

/** Skipped, and said once, on a machine without the addon or without a CPU for it. */
export const describeNative: ReturnType<typeof describe.skipIf> = describe.skipIf(missing !== undefined);

/** A handle of a raw key. */
export function importKey(bytes: Uint8Array): KeyHandle {
  return checked(addon, addon.keyImport(bytes));
}

/** A handle of a sealing key, proven to be of that kernel. */
export function sealingKey(bytes: Uint8Array, kernel: number): KeyHandle {
  const raw = importKey(bytes);
  const key = checked(addon, addon.gcmKey(raw, kernel));
  expect(addon.keyDispose(raw)).toBe(0);
  expect([addon.testing.kernelOf(key), kernel]).toEqual([addon.info().kernels[kernel]?.name, kernel]);
  return key;
}

/** The code of a negative answer. */
export function codeOf(answer: number): string | undefined {
  return answer >= 0 ? undefined : addon.errors[-1 - answer]?.code;
}

/** `length` bytes that start at an odd address, between bytes that must stay as they are. */
export function unaligned(
  bytes: Uint8Array,
  before = 1 + (bytes.length % 15),
): { view: Uint8Array; intact(): boolean } {
  const all = new Uint8Array(before + bytes.length + 17).fill(0xa5);
  all.set(bytes, before);
  const outside = () => [...all.subarray(0, before), ...all.subarray(before + bytes.length)];
  return { view: all.subarray(before, before + bytes.length), intact: () => outside().every((byte) => byte === 0xa5) };
}

/** The same bytes in memory that other threads could write. */
export function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
