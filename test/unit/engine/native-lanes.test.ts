/** Lanes: a key bound to shared memory, called without arguments. */

import { expect, test } from "vitest";
import type { KeyHandle } from "../../../src/engine/addon.js";
import { addon, codeOf, describeNative, importKey, kernels, sealingKey } from "../../addon.js";
import { countingBytes, expectBytes } from "../../kit.js";

const NONE = new Uint8Array(0);

interface Texts {
  readonly nonceAt: number;
  readonly aadAt: number;
  readonly aadBytes: number;
  readonly srcAt: number;
  readonly bytes: number;
  readonly dstAt: number;
}

const GOOD: Texts = { nonceAt: 24, aadAt: 36, aadBytes: 20, srcAt: 64, bytes: 100, dstAt: 200 };

/** A lane over 400 bytes whose parts are filled. */
function laneOf(key: KeyHandle) {
  const memory = new Uint8Array(new SharedArrayBuffer(400));
  const words = new Uint32Array(memory.buffer, 0, 6);
  const lane = addon.laneBind(key, memory);
  expect(lane).toBeGreaterThan(0);
  const set = (texts: Partial<Texts>) => {
    const { nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt } = { ...GOOD, ...texts };
    words.set([nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt]);
  };
  const fill = () => memory.set(countingBytes(376), 24);
  fill();
  return { memory, lane, set, fill };
}

describeNative("lanes", () => {
  test.each(kernels)("%s: seal and open as `seal` and `open` do, apart and in place", (_name, number) => {
    const key = sealingKey(countingBytes(32), number);
    const { memory, lane, set, fill } = laneOf(key);
    const [nonce, aad, src] = [memory.slice(24, 36), memory.slice(36, 56), memory.slice(64, 164)];
    const expected = new Uint8Array(116);
    expect(addon.seal(key, nonce, aad, src, expected)).toBe(0);
    for (const dstAt of [GOOD.dstAt, GOOD.srcAt]) {
      fill();
      set({ dstAt });
      expect(addon.laneSeal(lane)).toBe(0);
      expectBytes(memory.slice(dstAt, dstAt + 116), expected);
      set({ srcAt: dstAt, dstAt: GOOD.srcAt });
      expect(addon.laneOpen(lane)).toBe(1);
      expectBytes(memory.slice(64, 164), src);
    }
    memory.set(expected, 200);
    memory[200] = (memory[200] as number) ^ 1;
    set({ srcAt: 200, dstAt: 64 });
    expect(addon.laneOpen(lane)).toBe(0);
    expectBytes(memory.slice(64, 164), new Uint8Array(100));
    expect(addon.laneFree(lane)).toBe(0);
    expect(addon.keyDispose(key)).toBe(0);
  });

  test("parts lie within the lane, and the output touches no input and none of the numbers", () => {
    const { memory, lane, set } = laneOf(sealingKey(countingBytes(32), 0));
    const before = memory.slice(24);
    const expectRefused = (texts: Partial<Texts>, sealing: string, opening = sealing) => {
      set(texts);
      expect([texts, codeOf(addon.laneSeal(lane))]).toEqual([texts, sealing]);
      expect([texts, codeOf(addon.laneOpen(lane))]).toEqual([texts, opening]);
      expectBytes(memory.slice(24), before);
    };
    for (const huge of [401, 2 ** 31, 2 ** 32 - 1]) {
      for (const name of ["nonceAt", "aadAt", "aadBytes", "srcAt", "bytes"])
        expectRefused({ [name]: huge }, "ERR_INPUT");
      expectRefused({ dstAt: huge }, "ERR_OUTPUT_TOO_SMALL");
    }
    expectRefused({ nonceAt: 389 }, "ERR_INPUT");
    for (const dstAt of [0, 23, 30, 40, 150]) expectRefused({ dstAt }, "ERR_OVERLAP");
    expectRefused({ nonceAt: 290 }, "ERR_OVERLAP");
    expectRefused({ aadAt: 181 }, "ERR_OVERLAP");
  });

  test("only over shared memory, at a whole word, with room for the numbers", () => {
    const key = sealingKey(countingBytes(32), 0);
    const buffer = new SharedArrayBuffer(64);
    expect(codeOf(addon.laneBind(key, new Uint8Array(64)))).toBe("ERR_INPUT");
    expect(codeOf(addon.laneBind(key, new Uint8Array(buffer, 1, 40)))).toBe("ERR_INPUT");
    expect(codeOf(addon.laneBind(key, new Uint8Array(buffer, 4, 23)))).toBe("ERR_OUTPUT_TOO_SMALL");
    expect(codeOf(addon.laneBind(key, NONE))).toBe("ERR_INPUT");
    expect(codeOf(addon.laneBind(importKey(countingBytes(32)), new Uint8Array(buffer)))).toBe("ERR_CLOSED");
    const lane = addon.laneBind(key, new Uint8Array(buffer, 4, 24));
    expect(addon.laneFree(lane)).toBe(0);
  });

  test("a lane whose key was disposed, or that was freed, does nothing more", () => {
    const before = addon.info().keys.sealing;
    const key = sealingKey(countingBytes(32), 0);
    const { lane, set } = laneOf(key);
    set({});
    expect(addon.keyDispose(key)).toBe(0);
    expect(codeOf(addon.keyDispose(key))).toBe("ERR_CLOSED");
    expect(addon.info().keys.sealing).toBe(before + 1);
    for (let i = 0; i < 2; i++) expect(codeOf(addon.laneSeal(lane))).toBe("ERR_CLOSED");
    expect(addon.info().keys.sealing).toBe(before);
    expect(codeOf(addon.laneFree(lane))).toBe("ERR_CLOSED");
    const other = sealingKey(countingBytes(32), 0);
    const second = laneOf(other);
    expect(second.lane).not.toBe(lane);
    expect(codeOf(addon.laneOpen(lane))).toBe("ERR_CLOSED");
    expect(addon.laneFree(second.lane)).toBe(0);
    expect(codeOf(addon.laneFree(second.lane))).toBe("ERR_CLOSED");
    expect(addon.keyDispose(other)).toBe(0);
  });

  test("a number that names no lane does nothing", () => {
    for (const wrong of [0, 1, 255, 256, 257, 2 ** 31, Number.MAX_SAFE_INTEGER]) {
      for (const call of [addon.laneSeal, addon.laneOpen, addon.laneFree])
        expect(codeOf(call(wrong))).toBe("ERR_CLOSED");
    }
  });

  test("a thread has 256 of them, each of which keeps its memory", () => {
    const key = sealingKey(countingBytes(32), 0);
    const lanes: number[] = [];
    for (let lane = 1; lane > 0; lanes.push(lane))
      lane = addon.laneBind(key, new Uint8Array(new SharedArrayBuffer(64)));
    expect(codeOf(lanes.pop() as number)).toBe("ERR_ENGINE_UNAVAILABLE");
    expect(lanes.length).toBeGreaterThan(200);
    for (const lane of lanes) expect(addon.laneFree(lane)).toBe(0);
  });
});
