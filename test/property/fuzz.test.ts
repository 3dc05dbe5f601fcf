/**
 * The parser against mutated messages: bit flips, splices, edited lengths, truncations, fed in random chunks. What comes
 * out is one of our errors or well-formed parts, the same whole and in chunks, within bounded steps and memory.
 * 20,000 inputs by default, 1,000,000 with SLOW=1; `FUZZ_SEED` repeats a run, `FUZZ_COUNT` sets the number.
 */

import { expect, test } from "vitest";
import { concat, writeU16, writeU32 } from "../../src/bytes.js";
import { KeyladderError } from "../../src/errors.js";
import { MessageParser, type ParserLimits } from "../../src/message/parser.js";
import { ALL_SUITES, type Suite } from "../../src/message/suites.js";
import { type Forgery, forge } from "../forge.js";
import { countingBytes, SeededRandom, SLOW } from "../kit.js";

const COUNT = Number(process.env.FUZZ_COUNT ?? (SLOW ? 1_000_000 : 20_000));
const SEED = Number(process.env.FUZZ_SEED ?? Date.now());
const LIMITS: ParserLimits = { maxEncryptedDataKeys: 64, maxHeldBytes: 1 << 16, batchBytes: 64 };

const SHAPES: readonly Omit<Forgery, "suite">[] = [
  { plaintext: countingBytes(0), frameBytes: 16 },
  { plaintext: countingBytes(40), frameBytes: 16, context: { tenant: "acme", ü: "🔑" } },
  { plaintext: countingBytes(64), frameBytes: 16, emptyFinal: true },
  { plaintext: countingBytes(9), frameBytes: 1 },
  { plaintext: countingBytes(33), frameBytes: 0, context: { a: "" } },
  { plaintext: countingBytes(10), frameBytes: 0xffff_ffff },
  {
    plaintext: countingBytes(5),
    frameBytes: 4096,
    dataKeys: [
      ["a", "", new Uint8Array(0)],
      ["é", "key", countingBytes(300)],
      ["", "x", countingBytes(16)],
    ],
  },
];
const CORPUS = ALL_SUITES.flatMap((suite: Suite) => SHAPES.map((shape) => forge({ suite, ...shape })));

/** One to four changes to a message of the corpus. */
function mutate(random: SeededRandom): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(random.pick(CORPUS));
  for (let changes = 1 + random.below(4); changes > 0 && bytes.length > 8; changes--) {
    const at = random.below(bytes.length - 4);
    switch (random.below(9)) {
      case 0:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        break;
      case 1:
        bytes[at] = random.u32();
        break;
      case 2:
        bytes = bytes.slice(0, at + random.below(4));
        break;
      case 3:
        bytes = concat(bytes.subarray(0, at), random.pick(CORPUS).subarray(random.below(100)));
        break;
      case 4:
        writeU16(bytes, at, random.pick([0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff]));
        break;
      case 5:
        writeU32(bytes, at, random.pick([0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]));
        break;
      case 6:
        bytes = concat(bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at));
        break;
      case 7:
        bytes = concat(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(40)));
        break;
      default:
        bytes = concat(bytes, random.pick(CORPUS).subarray(0, random.below(60)));
    }
  }
  return bytes;
}

interface Outcome {
  /** What was yielded, as text to compare, frame by frame: batches differ with the chunks. */
  readonly parts: string;
  readonly error: string | undefined;
}

function parse(bytes: Uint8Array, lengths: () => number): Outcome {
  const parser = new MessageParser(LIMITS);
  let parts = "";
  let steps = 0;
  // Each step yields a part of at least one byte, or waits for a chunk.
  const mostSteps = 2 * bytes.length + 16;
  const take = (): void => {
    for (let part = parser.next(); part !== undefined; part = parser.next()) {
      if (++steps > mostSteps) throw new Error("more steps than bytes: the parser does not end");
      if (part.kind === "header") {
        const { wire, context, encryptedDataKeys, frameBytes } = part.header;
        parts += `header ${wire.length} ${JSON.stringify(context)} ${encryptedDataKeys.length} ${frameBytes};`;
      } else if (part.kind === "frames") {
        for (let i = 0; i < part.regularFrames; i++) parts += `frame ${part.firstSequence + i};`;
        if (part.finalBytes !== undefined) {
          parts += `final ${part.firstSequence + part.regularFrames} ${part.finalBytes};`;
        }
      } else {
        parts += `${part.kind} ${part.kind === "body" ? part.ciphertext.length : part.signature.length};`;
      }
    }
  };
  try {
    for (let at = 0; at < bytes.length; ) {
      const length = lengths();
      parser.push(bytes.subarray(at, at + length));
      at += length;
      take();
    }
    parser.end();
    take();
    expect(parser.done).toBe(true);
    return { parts, error: undefined };
  } catch (error) {
    if (!(error instanceof KeyladderError)) throw error;
    return { parts, error: `${error.code} ${error.offset} ${error.message}` };
  }
}

test(`${COUNT} mutated messages`, { timeout: 3_600_000 }, () => {
  console.log(`test/property/fuzz: FUZZ_SEED=${SEED}`);
  const random = new SeededRandom(SEED);
  const codes = new Map<string, number>();
  const before = process.memoryUsage().arrayBuffers;
  let mostMemory = 0;
  for (let i = 0; i < COUNT; i++) {
    const bytes = mutate(random);
    const whole = parse(bytes, () => bytes.length);
    const most = random.pick([1, 2, 16, 200]);
    const chunked = parse(bytes, () => 1 + random.below(most));
    // A batch that holds a bad frame is not yielded: what came out before an error depends on where batches end.
    const prefix = whole.parts.startsWith(chunked.parts) || chunked.parts.startsWith(whole.parts);
    const sameParts = whole.error === undefined ? whole.parts === chunked.parts : prefix;
    if (!sameParts || whole.error !== chunked.error) {
      const shown = Buffer.from(bytes).toString("hex");
      expect(chunked, `input ${i} of FUZZ_SEED=${SEED}: ${shown}`).toEqual(whole);
    }
    const code = whole.error?.split(" ")[0] ?? "well-formed";
    codes.set(code, (codes.get(code) ?? 0) + 1);
    if (i % 1000 === 0) mostMemory = Math.max(mostMemory, process.memoryUsage().arrayBuffers - before);
  }
  console.log(`test/property/fuzz: ${COUNT} inputs, ${JSON.stringify(Object.fromEntries(codes))}`);
  console.log(`test/property/fuzz: at most ${(mostMemory / 2 ** 20).toFixed(1)} MiB of buffers`);
  expect(codes.get("well-formed")).toBeGreaterThan(0);
  for (const code of [
    "ERR_FORMAT",
    "ERR_TRUNCATED",
    "ERR_TRAILING_BYTES",
    "ERR_LIMIT_DATA_KEYS",
    "ERR_LIMIT_PLAINTEXT",
  ]) {
    expect(codes.get(code), code).toBeGreaterThan(0);
  }
  expect(mostMemory).toBeLessThan(256 * 2 ** 20);
});

test("the corpus itself is well-formed", () => {
  for (const message of CORPUS) {
    const { parts, error } = parse(message, () => 3);
    expect([error, parts.startsWith("header ")]).toEqual([undefined, true]);
  }
});
