import { describe, expect, test } from "vitest";
import { FormatError } from "../../../src/errors.js";
import { MessageInput } from "../../../src/message/input.js";
import { MessageParser, parseHeaderOf } from "../../../src/message/parser.js";
import { ALL_SUITES, suiteOf } from "../../../src/message/suites.js";
import { forge } from "../../forge.js";
import { countingBytes, expectBytes, expectCode } from "../../kit.js";

const LIMITS = { maxEncryptedDataKeys: 64, maxHeldBytes: 1 << 20, batchBytes: 100 };
const message = forge({ suite: suiteOf(0x0478), plaintext: countingBytes(100), frameBytes: 10 });

describe("MessageParser", () => {
  test("yields header, frames and footer; says undefined while it waits; is done at the end", () => {
    const signed = forge({ suite: suiteOf(0x0378), plaintext: countingBytes(25), frameBytes: 10 });
    const parser = new MessageParser(LIMITS);
    expect(parser.next()).toBeUndefined();
    const kinds: string[] = [];
    for (const byte of signed) {
      parser.push(Uint8Array.of(byte));
      for (let part = parser.next(); part !== undefined; part = parser.next()) kinds.push(part.kind);
      expect(parser.done).toBe(false);
    }
    parser.end();
    expect(parser.next()).toBeUndefined();
    expect(parser.done).toBe(true);
    expect(kinds).toEqual(["header", "frames", "frames", "frames", "footer"]);
  });

  test("batches frames by bytes", () => {
    const parser = new MessageParser(LIMITS);
    parser.push(message);
    const counts: unknown[] = [];
    for (let part = parser.next(); part !== undefined; part = parser.next()) {
      if (part.kind === "frames") counts.push([part.firstSequence, part.regularFrames, part.finalBytes]);
    }
    expect(counts).toEqual([
      [1, 3, undefined],
      [4, 3, undefined],
      [7, 3, 10],
    ]);
  });

  test("a failure stays", async () => {
    const parser = new MessageParser(LIMITS);
    parser.push(Uint8Array.of(9, 9));
    const first = await expectCode(() => parser.next(), "ERR_UNSUPPORTED_VERSION");
    parser.push(message);
    await expect(async () => parser.next()).rejects.toBe(first);
  });

  test("does not keep a chunk after it said undefined", () => {
    const parser = new MessageParser(LIMITS);
    const chunk = message.slice(0, 30);
    parser.push(chunk);
    expect(parser.next()).toBeUndefined();
    chunk.fill(0xff);
    parser.push(message.subarray(30));
    expect(parser.next()?.kind).toBe("header");
  });

  test("a header is a copy", () => {
    const source = new Uint8Array(message);
    const header = parseHeaderOf(source, 64);
    source.fill(0);
    expectBytes(header.wire, message.subarray(0, header.headerBytes));
    expect(header.encryptedDataKeys[0]?.providerId).toBe("forge");
  });

  test("errors carry the offset in the message, whatever was read before", async () => {
    const offsets: number[] = [];
    for (const lengths of [[message.length], [1]]) {
      const parser = new MessageParser(LIMITS);
      const bad = new Uint8Array(message);
      const at = parseHeaderOf(message, 64).headerBytes + 3 * 42;
      bad[at] = 1;
      try {
        for (let i = 0; i < bad.length; i += lengths[0] as number) {
          parser.push(bad.subarray(i, i + (lengths[0] as number)));
          for (let part = parser.next(); part !== undefined; part = parser.next());
        }
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
        offsets.push((error as FormatError).offset as number);
        expect((error as FormatError).offset).toBe(at);
      }
    }
    expect(offsets).toHaveLength(2);
  });
});

describe("suites", () => {
  test("eleven, and no other number is one", async () => {
    expect(ALL_SUITES).toHaveLength(11);
    const known = new Set<number>(ALL_SUITES.map(({ id }) => id));
    for (let id = 0; id <= 0xffff; id++) {
      if (known.has(id)) expect(suiteOf(id).id).toBe(id);
      else if (id % 97 === 0) await expectCode(() => suiteOf(id), "ERR_FORMAT");
    }
  });

  test("exactly those of version 2 commit", () => {
    expect(
      ALL_SUITES.filter(({ committing }) => committing).map(({ id, messageVersion }) => [id, messageVersion]),
    ).toEqual([
      [0x0478, 2],
      [0x0578, 2],
    ]);
  });
});

describe("MessageInput", () => {
  test("gives back what was pushed, in whatever pieces, and grows with what arrived", () => {
    const input = new MessageInput();
    const all = countingBytes(10_000);
    const out: number[] = [];
    let pushed = 0;
    for (let i = 1; pushed < all.length; i = (i * 7) % 1009) {
      input.push(all.slice(pushed, pushed + i));
      pushed = Math.min(pushed + i, all.length);
      if (i % 3 === 0) input.settle();
      if (i % 2 === 0) out.push(...input.takeCopy(Math.floor(input.available / 2)));
      expect(input.offset).toBe(out.length);
    }
    out.push(...input.take(input.available));
    expectBytes(Uint8Array.from(out), all);
  });

  test("reads integers across what was two chunks", () => {
    const input = new MessageInput();
    input.push(Uint8Array.of(0xff, 0xff));
    input.settle();
    input.push(Uint8Array.of(0xff, 0xfe));
    expect([input.u8(3), input.u16(1), input.u32(0)]).toEqual([0xfe, 0xffff, 0xfffffffe]);
  });
});
