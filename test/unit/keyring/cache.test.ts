import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { copyOf, EMPTY } from "../../../src/bytes.js";
import type { Duration } from "../../../src/duration.js";
import { loadAddon } from "../../../src/engine/addon.js";
import { type DataKey, dataKeyHandle, useDataKey } from "../../../src/engine/data-key.js";
import { decrypt } from "../../../src/envelope/decrypt.js";
import { encrypt } from "../../../src/envelope/encrypt.js";
import { inspect } from "../../../src/envelope/inspect.js";
import { encryptStream } from "../../../src/envelope/stream.js";
import { type CacheOptions, cachingKeyring, DataKeyCache } from "../../../src/keyring/cache.js";
import type { Keyring, UnwrapRequest, WrapRequest } from "../../../src/keyring/port.js";
import { readContext, serializeContext } from "../../../src/message/context.js";
import { aesKeyring, expectCode, failureOf, pump } from "../../kit.js";

/** A keyring that counts, keeps what it handed out, and answers only when told where `gate` is set. */
class SpyKeyring implements Keyring {
  readonly inner = aesKeyring();
  generated = 0;
  unwrapped = 0;
  readonly keys: DataKey[] = [];
  readonly signals: (AbortSignal | undefined)[] = [];
  gate: Promise<void> = Promise.resolve();
  failure: unknown;

  async generateDataKey(request: WrapRequest) {
    this.generated++;
    this.signals.push(request.signal);
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const generated = await this.inner.generateDataKey(request);
    this.keys.push(generated.dataKey);
    return generated;
  }

  wrapDataKey(request: WrapRequest & { readonly dataKey: DataKey }) {
    return this.inner.wrapDataKey(request);
  }

  async unwrapDataKey(request: UnwrapRequest) {
    this.unwrapped++;
    await this.gate;
    const unwrapped = await this.inner.unwrapDataKey(request);
    if (unwrapped !== undefined) this.keys.push(unwrapped.dataKey);
    return unwrapped;
  }
}

function requestOf(context: Record<string, string> = {}, more: Partial<WrapRequest> = {}): WrapRequest {
  const read = readContext(context);
  return {
    suite: 0x0478,
    dataKeyBytes: 32,
    context: read,
    contextBytes: serializeContext(read),
    plaintextBytes: 10,
    ...more,
  };
}

function gate(): { promise: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

const bytesOf = (key: DataKey) => useDataKey(key, (bytes) => Buffer.from(bytes).toString("hex"));
const isWiped = (key: DataKey | undefined) => failureOf(() => key?.byteLength).then((error) => error !== undefined);

let spy: SpyKeyring;
beforeEach(() => {
  spy = new SpyKeyring();
});

function cached(options: Partial<CacheOptions> = {}) {
  const cache = new DataKeyCache({ maxAge: "60s", ...options });
  const generateDataKey = (request: WrapRequest, identity = EMPTY) =>
    cache.generate(identity, request, (shared) => spy.generateDataKey(shared));
  return { cache, generateDataKey };
}

describe("sealing", () => {
  test("messages share a data key, and each has an id and a message key of its own", async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    const messages = await Promise.all(["a", "b", "c"].map((text) => encrypt(text, { keyring })));
    expect(spy.generated).toBe(1);
    const headers = messages.map(inspect);
    expect(new Set(headers.map(({ messageId }) => String(messageId))).size).toBe(3);
    expect(new Set(headers.map(({ encryptedDataKeys }) => String(encryptedDataKeys[0]?.ciphertext))).size).toBe(1);
    for (const message of messages) await decrypt(message, { keyring: spy.inner });
  });

  test("100 concurrent misses ask once", async () => {
    const { promise, open } = gate();
    spy.gate = promise;
    const { generateDataKey, cache } = cached();
    const waiting = Array.from({ length: 100 }, () => generateDataKey(requestOf()));
    open();
    const results = await Promise.all(waiting);
    expect(spy.generated).toBe(1);
    expect(new Set(results.map(({ dataKey }) => bytesOf(dataKey))).size).toBe(1);
    expect(cache.stats).toEqual({ hits: 0, misses: 100 });
    await generateDataKey(requestOf());
    expect(cache.stats).toEqual({ hits: 1, misses: 100 });
  });

  test("a failed request is not kept, and fails all who waited", async () => {
    const { promise, open } = gate();
    spy.gate = promise;
    spy.failure = new RangeError("the HSM is away");
    const { generateDataKey } = cached();
    const waiting = [generateDataKey(requestOf()), generateDataKey(requestOf())];
    open();
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome).toMatchObject({ reason: spy.failure });
    expect(spy.generated).toBe(1);
    spy.failure = undefined;
    await generateDataKey(requestOf());
    expect(spy.generated).toBe(2);
  });

  test("another context, suite or identity is another data key", async () => {
    const { generateDataKey } = cached();
    await generateDataKey(requestOf({ a: "1" }));
    await generateDataKey(requestOf({ a: "1" }));
    expect(spy.generated).toBe(1);
    await generateDataKey(requestOf({ a: "2" }));
    await generateDataKey(requestOf({ a: "1" }, { suite: 0x0578 }));
    expect(spy.generated).toBe(3);
    await generateDataKey(requestOf({ a: "1" }), Uint8Array.of(2));
    expect(spy.generated).toBe(4);
  });

  test("signed messages and lengths not known ahead are not cached", async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    for (let i = 0; i < 3; i++) await encrypt("x", { keyring, suite: 0x0578 });
    expect(spy.generated).toBe(3);
    for (let i = 0; i < 3; i++) await pump(encryptStream({ keyring }), [Uint8Array.of(1)]);
    expect(spy.generated).toBe(6);
    for (let i = 0; i < 3; i++) await pump(encryptStream({ keyring, plaintextBytes: 10 }), [Uint8Array.of(1)]);
    expect(spy.generated).toBe(7);
  });

  test("maxMessages: exactly so many, also when they come at once", async () => {
    const { generateDataKey } = cached({ maxMessages: 3 });
    const keys: string[] = [];
    for (let i = 0; i < 7; i++) keys.push(bytesOf((await generateDataKey(requestOf())).dataKey));
    expect(keys.map((key) => keys.indexOf(key))).toEqual([0, 0, 0, 3, 3, 3, 6]);
    const many = cached({ maxMessages: 3 });
    const made = await Promise.all(Array.from({ length: 50 }, () => many.generateDataKey(requestOf())));
    const uses = new Map<string, number>();
    for (const { dataKey } of made) uses.set(bytesOf(dataKey), (uses.get(bytesOf(dataKey)) ?? 0) + 1);
    expect(Math.max(...uses.values())).toBeLessThanOrEqual(3);
  });

  test("maxBytes: never more under one data key; a single larger message gets its own", async () => {
    const { generateDataKey } = cached({ maxBytes: 25 });
    const keys: string[] = [];
    for (const plaintextBytes of [10, 10, 10, 15, 26]) {
      keys.push(bytesOf((await generateDataKey(requestOf({}, { plaintextBytes }))).dataKey));
    }
    expect(keys.map((key) => keys.indexOf(key))).toEqual([0, 0, 2, 2, 4]);
  });

  test("entries: the least recently used goes first, and is wiped", async () => {
    const { generateDataKey } = cached({ entries: 2 });
    for (const a of ["1", "2", "1", "3"]) (await generateDataKey(requestOf({ a }))).dataKey[Symbol.dispose]();
    expect(spy.generated).toBe(3);
    expect(await Promise.all(spy.keys.map(isWiped))).toEqual([false, true, false]);
    await generateDataKey(requestOf({ a: "1" }));
    expect(spy.generated).toBe(3);
    await generateDataKey(requestOf({ a: "2" }));
    expect(spy.generated).toBe(4);
  });

  test("a share outlives the entry, and the last one wipes", async () => {
    const { generateDataKey, cache } = cached();
    const { dataKey } = await generateDataKey(requestOf());
    const handle = dataKeyHandle(dataKey);
    cache.purge();
    expect(await isWiped(spy.keys[0])).toBe(true);
    expect(useDataKey(dataKey, (bytes) => bytes.some((byte) => byte !== 0))).toBe(true);
    dataKey[Symbol.dispose]();
    await expectCode(() => useDataKey(dataKey, copyOf), "ERR_CLOSED");
    const { addon } = loadAddon();
    if (addon === undefined || handle === undefined) return; // the bytes were this thread's own, and are wiped with it
    expect(addon.keyExport(handle, new Uint8Array(32))).toBeLessThan(0);
  });
});

describe("signals", () => {
  test("one waiter's abort rejects that one alone, with its reason", async () => {
    const { promise, open } = gate();
    spy.gate = promise;
    const { generateDataKey } = cached();
    const controller = new AbortController();
    const reason = { why: "gone" };
    const leaving = generateDataKey(requestOf({}, { signal: controller.signal }));
    const staying = generateDataKey(requestOf());
    controller.abort(reason);
    expect(await failureOf(leaving)).toBe(reason);
    open();
    expect((await staying).dataKey.byteLength).toBe(32);
    expect([spy.generated, spy.signals]).toEqual([1, [undefined]]);
  });

  test("where all have left, what comes is kept for the next, or its failure ends nowhere", async () => {
    for (const failure of [undefined, new RangeError("away")]) {
      spy = new SpyKeyring();
      const { promise, open } = gate();
      spy.gate = promise;
      spy.failure = failure;
      const { generateDataKey } = cached();
      const controller = new AbortController();
      const leaving = generateDataKey(requestOf({}, { signal: controller.signal }));
      controller.abort();
      expect(await failureOf(leaving)).toBe(controller.signal.reason);
      open();
      await new Promise((resolve) => setImmediate(resolve));
      spy.failure = undefined;
      await generateDataKey(requestOf());
      expect(spy.generated).toBe(failure === undefined ? 1 : 2);
    }
  });
});

describe("age", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("counts from the making, and is exact", async () => {
    const { generateDataKey } = cached({ maxAge: "10s" });
    await generateDataKey(requestOf());
    vi.advanceTimersByTime(9_999);
    await generateDataKey(requestOf());
    expect(spy.generated).toBe(1);
    vi.advanceTimersByTime(1);
    await generateDataKey(requestOf());
    expect(spy.generated).toBe(2);
  });

  test("is not stretched to when the next sweep comes", async () => {
    const { generateDataKey } = cached({ maxAge: "10s" });
    await generateDataKey(requestOf({ a: "1" }));
    vi.advanceTimersByTime(5_000);
    await generateDataKey(requestOf({ a: "2" }));
    vi.advanceTimersByTime(10_000);
    await generateDataKey(requestOf({ a: "2" }));
    expect(spy.generated).toBe(3);
  });

  test("what nobody asks for again is wiped", async () => {
    const { generateDataKey } = cached({ maxAge: "10s" });
    (await generateDataKey(requestOf({ a: "1" }))).dataKey[Symbol.dispose]();
    vi.advanceTimersByTime(5_000);
    (await generateDataKey(requestOf({ a: "2" }))).dataKey[Symbol.dispose]();
    expect(await Promise.all(spy.keys.map(isWiped))).toEqual([false, false]);
    vi.advanceTimersByTime(20_000);
    expect(await Promise.all(spy.keys.map(isWiped))).toEqual([true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("holds for opening too", async () => {
    const message = await encrypt("x", { keyring: spy.inner });
    const keyring = cachingKeyring(spy, { maxAge: "10s" });
    await decrypt(message, { keyring });
    vi.advanceTimersByTime(10_000);
    await decrypt(message, { keyring });
    expect(spy.unwrapped).toBe(2);
  });
});

describe("purge", () => {
  test("forgets, wipes, and stops the timer", async () => {
    const { generateDataKey, cache } = cached();
    (await generateDataKey(requestOf())).dataKey[Symbol.dispose]();
    cache.purge();
    expect(await isWiped(spy.keys[0])).toBe(true);
    await generateDataKey(requestOf());
    expect(spy.generated).toBe(2);
  });

  test("during a request: what was asked for before is not kept, and the waiter gets a newer key", async () => {
    const { promise, open } = gate();
    spy.gate = promise;
    const { generateDataKey, cache } = cached();
    const waiting = generateDataKey(requestOf());
    await new Promise((resolve) => setImmediate(resolve));
    cache.purge();
    open();
    const { dataKey } = await waiting;
    expect(spy.generated).toBe(2);
    expect(await isWiped(spy.keys[0])).toBe(true);
    expect(bytesOf(dataKey)).toBe(bytesOf(spy.keys[1] as DataKey));
    await generateDataKey(requestOf());
    expect(spy.generated).toBe(2);
  });
});

describe("opening", () => {
  test("a message opened twice is unwrapped once; another, another context or suite is not", async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    const seal = (context: Record<string, string>, requiredContext: string[] = []) =>
      encrypt("x", { keyring: spy.inner, context, requiredContext });
    const a = await seal({ t: "1" });
    for (let i = 0; i < 3; i++) expect((await decrypt(a, { keyring })).text()).toBe("x");
    expect(spy.unwrapped).toBe(1);
    await decrypt(await seal({ t: "1" }), { keyring });
    expect(spy.unwrapped).toBe(2);
    const bound = await seal({ t: "1" }, ["t"]);
    await decrypt(bound, { keyring, context: { t: "1" } });
    expect(spy.unwrapped).toBe(3);
    await expectCode(decrypt(bound, { keyring, context: { t: "2" } }), "ERR_DECRYPT");
    await expectCode(decrypt(bound, { keyring }), "ERR_DECRYPT");
    expect(spy.unwrapped).toBe(5);
  });

  test("a sealed entry does not answer an opening", async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    const message = await encrypt("x", { keyring });
    await decrypt(message, { keyring });
    expect([spy.generated, spy.unwrapped]).toEqual([1, 1]);
  });

  test('"not mine" and failures are not remembered', async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    const other = await encrypt("x", { keyring: aesKeyring(1, "other") });
    const wrong = await encrypt("x", { keyring: aesKeyring(2) });
    for (let i = 1; i <= 2; i++) {
      await expectCode(decrypt(other, { keyring }), "ERR_NO_KEYRING_MATCHED");
      await expectCode(decrypt(wrong, { keyring }), "ERR_DECRYPT");
      expect(spy.unwrapped).toBe(2 * i);
    }
  });

  test("concurrent openings of one message ask once", async () => {
    const keyring = cachingKeyring(spy, { maxAge: "60s" });
    const message = await encrypt("x", { keyring: spy.inner });
    await Promise.all(Array.from({ length: 20 }, () => decrypt(message, { keyring })));
    expect(spy.unwrapped).toBe(1);
  });
});

describe("options", () => {
  test.each<[string, object]>([
    ["no age", { maxAge: undefined }],
    ["an age without unit", { maxAge: "60" }],
    ["an age of zero", { maxAge: "0s" }],
    ["an age in weeks", { maxAge: "1w" }],
    ["a number as age", { maxAge: 60 }],
    ["no messages", { maxMessages: 0 }],
    ["more messages than 2^32", { maxMessages: 2 ** 32 + 1 }],
    ["half an entry", { entries: 0.5 }],
    ["no bytes", { maxBytes: 0 }],
  ])("%s: ERR_INPUT", async (_what, wrong) => {
    const options = { maxAge: "60s" as Duration, ...wrong } as CacheOptions;
    await expectCode(() => cachingKeyring(spy, options), "ERR_INPUT");
  });

  test("an undefined option is its default", async () => {
    const options = { maxAge: "60s", maxMessages: undefined, entries: undefined } as unknown as CacheOptions;
    const keyring = cachingKeyring(spy, options);
    await encrypt("x", { keyring });
    await encrypt("x", { keyring });
    expect(spy.generated).toBe(1);
  });

  test("none at all, or no keyring: ERR_INPUT", async () => {
    await expectCode(() => cachingKeyring(spy, undefined as unknown as CacheOptions), "ERR_INPUT");
    await expectCode(() => cachingKeyring(undefined as unknown as Keyring, { maxAge: "1s" }), "ERR_INPUT");
  });
});
