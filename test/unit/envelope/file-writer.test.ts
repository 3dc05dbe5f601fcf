import type { FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { FileWriter } from "../../../src/envelope/file-writer.js";
import { countingBytes, expectBytes, expectCode } from "../../kit.js";

const MIB = 1024 * 1024;

/** A file in memory whose calls can be made short, slow or wrong. */
class FakeFile {
  readonly bytes = new Uint8Array(80 * MIB);
  /** Calls under way, at most. */
  most = 0;
  flushes = 0;
  #underWay = 0;
  readonly #shortestWrite: number;
  readonly #fails: "write" | "datasync" | undefined;

  constructor(shortestWrite = Number.POSITIVE_INFINITY, fails?: "write" | "datasync") {
    this.#shortestWrite = shortestWrite;
    this.#fails = fails;
  }

  async write(array: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    this.most = Math.max(this.most, ++this.#underWay);
    const bytesWritten = Math.min(length, this.#shortestWrite);
    await setImmediate();
    this.#underWay--;
    if (this.#fails === "write" && position >= MIB) throw Object.assign(new Error("full"), { code: "ENOSPC" });
    this.bytes.set(array.subarray(offset, offset + bytesWritten), position);
    return { bytesWritten };
  }

  async datasync(): Promise<void> {
    this.flushes++;
    await setImmediate();
    if (this.#fails === "datasync") throw Object.assign(new Error("device"), { code: "EIO" });
  }

  get handle(): FileHandle {
    return this as unknown as FileHandle;
  }
}

/** Writes `count` chunks of a MiB from arrays of the writer's, and tells how many different ones it lent. */
async function fill(writer: FileWriter, count: number): Promise<number> {
  const lent = new Set<ArrayBufferLike>();
  for (let i = 0; i < count; i++) {
    const chunk = writer.take(MIB);
    lent.add(chunk.buffer);
    chunk.fill(i + 1);
    await writer.write(chunk);
  }
  return lent.size;
}

describe("FileWriter", () => {
  test("writes in order, two at a time, from arrays that come back", async () => {
    const file = new FakeFile();
    const writer = new FileWriter(file.handle, "f");
    expect(await fill(writer, 10)).toBeLessThanOrEqual(3);
    await writer.write(countingBytes(777)); // one that is not of the writer's
    await writer.finish();
    expect(writer.writtenBytes).toBe(10 * MIB + 777);
    for (let i = 0; i < 10; i++)
      expectBytes(file.bytes.subarray(i * MIB, (i + 1) * MIB), new Uint8Array(MIB).fill(i + 1));
    expectBytes(file.bytes.subarray(10 * MIB, 10 * MIB + 777), countingBytes(777));
    expect(file.most).toBe(2);
  });

  test("goes on where a write was short", async () => {
    const file = new FakeFile(100_000);
    const writer = new FileWriter(file.handle, "f");
    await fill(writer, 3);
    await writer.finish();
    for (let i = 0; i < 3; i++)
      expectBytes(file.bytes.subarray(i * MIB, (i + 1) * MIB), new Uint8Array(MIB).fill(i + 1));
  });

  test("sends what was written to the disk every 64 MiB", async () => {
    const file = new FakeFile();
    const writer = new FileWriter(file.handle, "f");
    await fill(writer, 63);
    expect(file.flushes).toBe(0);
    await fill(writer, 2);
    await writer.finish();
    expect(file.flushes).toBe(1);
  });

  test.each(["write", "datasync"] as const)("a %s that fails on the way fails the file", async (fails) => {
    const writer = new FileWriter(new FakeFile(undefined, fails).handle, "f");
    const error = await expectCode(
      fill(writer, 65).then(() => writer.finish()),
      "ERR_IO",
    );
    expect(error.message).toContain("write f");
    await writer.settle();
  });

  test("zeroes its arrays in the end", async () => {
    const writer = new FileWriter(new FakeFile().handle, "f");
    const [written, kept] = [writer.take(MIB).fill(1), writer.take(100).fill(2)];
    await writer.write(written);
    await writer.settle();
    expect(written.every((byte) => byte === 0) && kept.every((byte) => byte === 0)).toBe(true);
  });
});
