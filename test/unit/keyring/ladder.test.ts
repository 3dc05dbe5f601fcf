import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DataKey, useDataKey } from "../../../src/engine/data-key.js";
import { parseInfo, parseSealed } from "../../../src/keyring/ladder-edk.js";
import { keyring, request, unwrapper, World } from "../kms/world.js";

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const raw = (dataKey: DataKey) => useDataKey(dataKey, (bytes) => Buffer.from(bytes).toString("hex"));

async function sealed(options: Parameters<World["open"]>[0] = {}) {
  const { kms, store, hsm } = await world.open(options);
  const key = await kms.keys("default").create({ alias: "orders" });
  const made = await keyring(kms, "orders").generateDataKey(request());
  return { kms, store, hsm, key, ...made };
}

describe("a data key under the ladder", () => {
  test("is generated, and opened by its keyring and by the tenant's", async () => {
    const { kms, key, dataKey, encryptedDataKeys, keyId, keyVersion } = await sealed();
    expect(keyId).toBe(key.keyId);
    expect(keyVersion).toBe(1);
    for (const opener of [keyring(kms, "orders"), keyring(kms, key.keyId), unwrapper(kms)]) {
      const opened = await opener.unwrapDataKey({ ...request(), encryptedDataKeys });
      expect(opened).toMatchObject({ keyId: key.keyId, keyVersion: 1 });
      expect(raw(opened?.dataKey as DataKey)).toBe(raw(dataKey));
    }
  });

  test("has the documented bytes", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const [edk] = encryptedDataKeys;
    expect(edk?.providerId).toBe("keyladder");
    expect(edk?.providerInfo.length).toBe(53);
    expect(edk?.providerInfo[0]).toBe(1);
    expect(edk?.providerInfo.slice(1, 17)).toEqual(kms.storeId);
    expect(edk?.providerInfo.slice(49)).toEqual(new Uint8Array([0, 0, 0, 1]));
    expect(edk?.ciphertext.length).toBe(2 + 12 + 32 + 16);
    expect(edk?.ciphertext.slice(0, 2)).toEqual(new Uint8Array([1, 12]));
  });

  test.each([16, 24, 32] as const)("of %i bytes", async (dataKeyBytes) => {
    const { kms } = await sealed();
    const ring = keyring(kms, "orders");
    const ask = request({}, { dataKeyBytes });
    const { dataKey, encryptedDataKeys } = await ring.generateDataKey(ask);
    expect(dataKey.byteLength).toBe(dataKeyBytes);
    const opened = await ring.unwrapDataKey({ ...ask, encryptedDataKeys });
    expect(raw(opened?.dataKey as DataKey)).toBe(raw(dataKey));
  });

  test("of another keyring is wrapped", async () => {
    const { kms } = await sealed();
    const ring = keyring(kms, "orders");
    const dataKey = DataKey.fromBytes(new Uint8Array(32).fill(5));
    const edk = await ring.wrapDataKey({ ...request(), dataKey });
    const opened = await ring.unwrapDataKey({ ...request(), encryptedDataKeys: [edk] });
    expect(raw(opened?.dataKey as DataKey)).toBe("05".repeat(32));
    expect(raw(dataKey)).toBe("05".repeat(32));
  });

  test("opens in a later process", async () => {
    const { encryptedDataKeys, dataKey } = await sealed();
    const later = await world.open({ create: false });
    const opened = await unwrapper(later.kms).unwrapDataKey({ ...request(), encryptedDataKeys });
    expect(raw(opened?.dataKey as DataKey)).toBe(raw(dataKey));
  });
});

describe("what is bound to a data key (one thing changed each)", () => {
  test("context", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const ask = { ...request({ tenant: "globex" }), encryptedDataKeys };
    await expect(keyring(kms, "orders").unwrapDataKey(ask)).rejects.toMatchObject({ code: "ERR_DECRYPT" });
  });

  test("suite", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const ask = { ...request(undefined, { suite: 0x0578 }), encryptedDataKeys };
    await expect(keyring(kms, "orders").unwrapDataKey(ask)).rejects.toMatchObject({ code: "ERR_DECRYPT" });
  });

  test("every bit of the ciphertext", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const [edk] = encryptedDataKeys;
    if (edk === undefined) throw new Error("no data key");
    for (let i = 0; i < edk.ciphertext.length; i++) {
      const ciphertext = edk.ciphertext.slice();
      ciphertext[i] = (ciphertext[i] as number) ^ (1 << (i % 8));
      const ask = { ...request(), encryptedDataKeys: [{ ...edk, ciphertext }] };
      await expect(unwrapper(kms).unwrapDataKey(ask)).rejects.toMatchObject({ code: "ERR_DECRYPT" });
    }
  });

  test("its length", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const ask = { ...request(undefined, { dataKeyBytes: 16 }), encryptedDataKeys };
    await expect(unwrapper(kms).unwrapDataKey(ask)).rejects.toMatchObject({ code: "ERR_DECRYPT" });
  });

  test("every byte of the provider info: not mine, or not authentic", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const [edk] = encryptedDataKeys;
    if (edk === undefined) throw new Error("no data key");
    for (let i = 0; i < edk.providerInfo.length; i++) {
      const providerInfo = edk.providerInfo.slice();
      providerInfo[i] = (providerInfo[i] as number) ^ 1;
      const opened = unwrapper(kms).unwrapDataKey({ ...request(), encryptedDataKeys: [{ ...edk, providerInfo }] });
      // Version, store and CMK decide whose it is; KEK and KEK version come after.
      if (i < 33) expect(await opened).toBeUndefined();
      else await expect(opened).rejects.toMatchObject({ code: "ERR_DECRYPT" });
    }
  });
});

describe("whose a data key is (rule 2)", () => {
  test("another key's is not mine", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    await kms.keys("default").create({ alias: "other" });
    expect(await keyring(kms, "other").unwrapDataKey({ ...request(), encryptedDataKeys })).toBeUndefined();
  });

  test("another tenant's is not mine; named, it is", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    await kms.keys("globex").create({ alias: "orders" });
    expect(await unwrapper(kms, "globex").unwrapDataKey({ ...request(), encryptedDataKeys })).toBeUndefined();
    expect(await keyring(kms, "orders", "globex").unwrapDataKey({ ...request(), encryptedDataKeys })).toBeUndefined();
    const named = keyring(kms, "default:orders", "globex");
    expect(await named.unwrapDataKey({ ...request(), encryptedDataKeys })).toMatchObject({ keyVersion: 1 });
  });

  test("another store's is not mine", async () => {
    const { encryptedDataKeys } = await sealed();
    const other = await world.open({ file: `${world.file}.other` });
    await other.kms.keys("default").create({ alias: "orders" });
    expect(await unwrapper(other.kms).unwrapDataKey({ ...request(), encryptedDataKeys })).toBeUndefined();
  });

  test("unknown keys", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const ring = keyring(kms, "nobody");
    await expect(ring.generateDataKey(request())).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(ring.authoriseGenerate(request())).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(ring.unwrapDataKey({ ...request(), encryptedDataKeys })).rejects.toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
    });
  });

  test("at most 4 of ours are tried (rule 12)", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const [edk] = encryptedDataKeys;
    if (edk === undefined) throw new Error("no data key");
    const broken = { ...edk, ciphertext: edk.ciphertext.map((byte, i) => (i === 20 ? byte ^ 1 : byte)) };
    const ask = (before: number) => ({ ...request(), encryptedDataKeys: [...Array(before).fill(broken), edk] });
    expect(await unwrapper(kms).unwrapDataKey(ask(3))).toMatchObject({ keyVersion: 1 });
    await expect(unwrapper(kms).unwrapDataKey(ask(4))).rejects.toMatchObject({ code: "ERR_DECRYPT" });
    await expect(keyring(kms, "orders").unwrapDataKey(ask(4))).rejects.toMatchObject({ code: "ERR_DECRYPT" });
  });
});

describe("authorisation before a cache (rule 3)", () => {
  test("asks neither HSM nor more than whether the store changed", async () => {
    const { kms, store, hsm, encryptedDataKeys } = await sealed();
    const ring = keyring(kms, "orders");
    await ring.authoriseGenerate(request());
    await ring.authoriseUnwrap({ ...request(), encryptedDataKeys });
    const refuse = () => {
      throw new Error("asked");
    };
    Object.assign(store, { get: refuse, list: refuse });
    Object.assign(hsm, { verifyMac: refuse, unwrapDataKey: refuse, generateDataKey: refuse });
    await ring.authoriseGenerate(request());
    await ring.authoriseUnwrap({ ...request(), encryptedDataKeys });
  });

  test("a change of the key changes the identity; asking again does not", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const ring = keyring(kms, "orders");
    const ids = async () => [
      await ring.authoriseGenerate(request()),
      await ring.authoriseUnwrap({ ...request(), encryptedDataKeys }),
      await unwrapper(kms).authoriseUnwrap({ ...request(), encryptedDataKeys }),
    ];
    const before = await ids();
    expect(await ids()).toEqual(before);
    await kms.keys("default").rotate("orders");
    const after = await ids();
    for (const [i, id] of after.entries()) expect(id).not.toEqual(before[i]);
  });

  test("what is not mine has no identity", async () => {
    const { kms } = await sealed();
    const foreign = { providerId: "aws-kms", providerInfo: new Uint8Array(53), ciphertext: new Uint8Array(62) };
    expect(await unwrapper(kms).authoriseUnwrap({ ...request(), encryptedDataKeys: [foreign] })).toBeUndefined();
  });

  test("an aborted request reaches no key", async () => {
    const { kms, encryptedDataKeys } = await sealed();
    const signal = AbortSignal.abort(new Error("enough"));
    const ring = keyring(kms, "orders");
    await expect(ring.generateDataKey(request(undefined, { signal }))).rejects.toThrow("enough");
    await expect(ring.unwrapDataKey({ ...request(undefined, { signal }), encryptedDataKeys })).rejects.toThrow(
      "enough",
    );
  });
});

test("parsing an encrypted data key is exact", () => {
  const storeId = new Uint8Array(16).fill(3);
  const providerInfo = new Uint8Array(53);
  providerInfo[0] = 1;
  providerInfo.set(storeId, 1);
  const edk = { providerId: "keyladder", providerInfo, ciphertext: new Uint8Array() };
  expect(parseInfo(storeId, edk)).toMatchObject({ kekVersion: 0 });
  expect(parseInfo(storeId, { ...edk, providerInfo: providerInfo.slice(0, 52) })).toBeUndefined();
  expect(parseInfo(storeId, { ...edk, providerInfo: new Uint8Array([...providerInfo, 0]) })).toBeUndefined();
  expect(parseInfo(storeId, { ...edk, providerId: "Keyladder" })).toBeUndefined();
  const body = (iv: number, rest: number) => new Uint8Array([1, iv, ...new Uint8Array(rest)]);
  expect(parseSealed(body(12, 60), 32)?.iv.length).toBe(12);
  expect(parseSealed(body(16, 64), 32)?.iv.length).toBe(16);
  for (const [iv, rest] of [
    [12, 61],
    [12, 59],
    [16, 60],
    [13, 61],
    [0, 48],
  ] as const) {
    expect(parseSealed(body(iv, rest), 32)).toBeUndefined();
  }
  expect(parseSealed(new Uint8Array(0), 32)).toBeUndefined();
});
