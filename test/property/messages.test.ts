/** What holds for every message. `SLOW=1` runs more; `FUZZ_SEED` repeats a run. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { compareBytes } from "../../src/bytes.js";
import { decrypt } from "../../src/envelope/decrypt.js";
import { encrypt } from "../../src/envelope/encrypt.js";
import { openRange } from "../../src/envelope/range.js";
import { decryptStream, encryptStream } from "../../src/envelope/stream.js";
import { parseContext, readContext, serializeContext } from "../../src/message/context.js";
import { framesPlaintextBytes, framesWireBytes, wholeBody } from "../../src/message/frames.js";
import { ALL_SUITES } from "../../src/message/suites.js";
import { forge, forgeContext, forgeOptions } from "../forge.js";
import { aesKeyring, chunksOf, expectBytes, pump, rangeOf, SLOW } from "../kit.js";

const seed = Number(process.env.FUZZ_SEED ?? Date.now()) % 0x7fff_ffff;
console.log(`test/property/messages: FUZZ_SEED=${seed}`);
const runs = (few: number) => ({ seed, numRuns: SLOW ? 20 * few : few });

const keyring = aesKeyring();
const text = fc.string({ unit: "grapheme", maxLength: 12 });
const key = text.filter((name) => !name.startsWith("aws-crypto-") && !name.startsWith("keyladder:"));
const contexts = fc.dictionary(key, text, { maxKeys: 5, noNullPrototype: true });
const plaintexts = fc.uint8Array({ maxLength: 700 });
const frameLengths = fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constantFrom(128, 256, 4096, 0xffff_ffff));
const chunkings = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 8 });
const suites = fc.constantFrom(0x0478 as const, 0x0478 as const, 0x0578 as const);

test("sealed one-shot or streamed, opened one-shot or streamed: the same plaintext and context", async () => {
  await fc.assert(
    fc.asyncProperty(
      plaintexts,
      frameLengths,
      contexts,
      suites,
      chunkings,
      chunkings,
      async (plaintext, frameBytes, context, suite, sealing, opening) => {
        const options = { keyring, suite, frameBytes, context };
        const whole = await encrypt(plaintext, options);
        const streamed = await pump(encryptStream(options), chunksOf(plaintext, ...sealing));
        if (suite === 0x0478) expect(streamed.length).toBe(whole.length);
        for (const message of [whole, streamed]) {
          const opened = await decrypt(message, { keyring, context });
          expectBytes(opened.plaintext, plaintext);
          expect({ ...opened.context }).toEqual({ ...context });
          const stream = decryptStream({ keyring, context, signed: "verify-at-end" });
          expectBytes(await pump(stream, chunksOf(message, ...opening)), plaintext);
        }
      },
    ),
    runs(150),
  );
});

test("a range is the slice", async () => {
  const edge = fc.integer({ min: -800, max: 800 });
  await fc.assert(
    fc.asyncProperty(plaintexts, frameLengths, edge, fc.option(edge), async (plaintext, frameBytes, start, end) => {
      const range = await openRange(rangeOf(await encrypt(plaintext, { keyring, frameBytes })), { keyring });
      expectBytes(new Uint8Array(await range.slice(start, end ?? undefined)), plaintext.slice(start, end ?? undefined));
    }),
    runs(300),
  );
});

test("what another writer makes, of any suite and shape, opens", async () => {
  const shapes = fc.oneof(frameLengths, fc.constant(0));
  const anySuite = fc.constantFrom(...ALL_SUITES);
  await fc.assert(
    fc.asyncProperty(
      plaintexts,
      shapes,
      fc.boolean(),
      contexts,
      anySuite,
      chunkings,
      async (plaintext, frameBytes, emptyFinal, context, suite, opening) => {
        const message = forge({ suite, plaintext, frameBytes, emptyFinal, context });
        const opened = await decrypt(message, { ...forgeOptions, context });
        expectBytes(opened.plaintext, plaintext);
        const stream = decryptStream({ ...forgeOptions, signed: "verify-at-end" });
        expectBytes(await pump(stream, chunksOf(message, ...opening)), plaintext);
      },
    ),
    runs(200),
  );
});

test("required pairs open only with all of them", async () => {
  await fc.assert(
    fc.asyncProperty(contexts, fc.integer(), async (context, pick) => {
      const names = Object.keys(context).filter((_, i) => (pick >> i) & 1);
      const message = await encrypt("x", { keyring, context, requiredContext: names });
      expect((await decrypt(message, { keyring, context })).text()).toBe("x");
      const without = Object.fromEntries(Object.entries(context).filter(([name]) => name !== names[0]));
      if (names.length > 0) await expect(decrypt(message, { keyring, context: without })).rejects.toThrow();
    }),
    runs(200),
  );
});

test("a context's wire form is in byte order, whatever order it came in, and parses back", () => {
  fc.assert(
    fc.property(contexts, (given) => {
      const context = readContext(given);
      const wire = serializeContext(context);
      const parsed = parseContext(wire, 0);
      const keys = Object.keys(parsed).map((name) => new TextEncoder().encode(name));
      const wireKeys = Object.entries(given).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
      wireKeys.sort(([a], [b]) => Buffer.compare(a, b));
      expectBytes(wire, forgeContext(wireKeys));
      // Names that look like array indexes come first in an object: the wire decides, not the object.
      expect([...keys].sort(compareBytes).map(String)).toEqual(wireKeys.map(([name]) => String(new Uint8Array(name))));
      const reversed = Object.fromEntries(Object.entries(given).reverse());
      expectBytes(serializeContext(readContext(reversed)), wire);
      expect({ ...parsed }).toEqual({ ...given });
    }),
    runs(1000),
  );
});

test("a body is cut into whole frames and a last one, in one way only", () => {
  fc.assert(
    fc.property(
      fc.maxSafeInteger().map((n) => Math.abs(n) % 2 ** 47),
      fc.integer({ min: 1, max: 0xffff_ffff }),
      (plaintextBytes, frameBytes) => {
        const counts = wholeBody(plaintextBytes, frameBytes);
        expect(framesPlaintextBytes(counts)).toBe(plaintextBytes);
        expect(counts.finalBytes).toBeLessThanOrEqual(frameBytes);
        expect(counts.finalBytes > 0 || plaintextBytes === 0).toBe(true);
        expect(framesWireBytes(counts)).toBe(plaintextBytes + 32 * counts.regularFrames + 40);
      },
    ),
    {
      ...runs(1000),
      examples: [
        [0, 1],
        [1, 1],
        [4096, 4096],
        [4097, 4096],
      ],
    },
  );
});
