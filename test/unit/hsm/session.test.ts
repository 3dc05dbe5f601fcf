import { createHmac, createPublicKey, createSecretKey } from "node:crypto";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import type { CmkLocation, HsmSession, KekPath, SigningAlgorithm, WrappedKey } from "../../../src/hsm/port.js";
import { softwareDriver } from "../../../src/hsm/software/driver.js";
import { wrapKey } from "../../../src/hsm/software/key-wrap.js";
import { hmacSha256 } from "../../../src/hsm/software/secret-key.js";
import { verifySignature } from "../../../src/hsm/software/signing.js";
import {
  freshContents,
  freshKey,
  type MasterKey,
  type TokenContents,
} from "../../../src/hsm/software/token-contents.js";
import { flipBit, freshSession, openSession, temporaryFolder, writeToken } from "./fixtures.js";

const aad = Buffer.from("aad");
const coded = (code: string) => expect.objectContaining({ code });
const refused = coded("ERR_HSM_REFUSED");
const badInput = coded("ERR_INPUT");

async function freshPath(session: HsmSession, residence: "wrapped" | "resident" = "wrapped"): Promise<KekPath> {
  const cmk = await session.generateCmk({ residence });
  return { cmk, kek: await session.generateKek({ cmk }) };
}

type Wrapped = Extract<CmkLocation, { residence: "wrapped" }>;

describe("info", () => {
  it("says plainly that this is not hardware", async () => {
    const info = await (await freshSession()).info();
    expect(info).toMatchObject({
      kind: "software",
      hardware: false,
      label: "SOFTWARE, not an HSM",
      serial: expect.stringMatching(/^[0-9a-f]{32}$/),
      hmkVersions: { wrap: 1, sign: 1, seal: 1, audit: 1 },
    });
    expect(info.warnings.join(" ")).toMatch(/not an HSM.*memory.*passphrase/s);
  });

  it("answers a ping, and gives random bytes of the length asked for", async () => {
    const session = await freshSession();
    await expect(session.ping()).resolves.toBeUndefined();
    const first = await session.random(32);
    expect(first).toHaveLength(32);
    expect(await session.random(32)).not.toEqual(first);
    for (const bytes of [0, -1, 1.5, Number.NaN, 2 ** 30])
      await expect(session.random(bytes)).rejects.toEqual(badInput);
  });
});

describe.each(["wrapped", "resident"] as const)("a ladder with a %s CMK", (residence) => {
  it("seals and opens data keys of 16, 24 and 32 bytes", async () => {
    const session = await freshSession();
    const path = await freshPath(session, residence);
    for (const bytes of [16, 24, 32] as const) {
      const { dataKey, iv, ciphertext } = await session.generateDataKey({ path, bytes, aad });
      expect(dataKey).toHaveLength(bytes);
      expect(iv).toHaveLength(12);
      expect(ciphertext).toHaveLength(bytes + 16);
      expect(await session.unwrapDataKey({ path, sealed: { iv, ciphertext }, aad })).toEqual(dataKey);
      const again = await session.wrapDataKey({ path, dataKey, aad });
      expect(again.iv).not.toEqual(iv);
      expect(await session.unwrapDataKey({ path, sealed: again, aad })).toEqual(dataKey);
    }
  });

  it("opens nothing under a changed aad, iv or ciphertext, or another KEK", async () => {
    const session = await freshSession();
    const path = await freshPath(session, residence);
    const other = { cmk: path.cmk, kek: await session.generateKek({ cmk: path.cmk }) };
    const { iv, ciphertext } = await session.generateDataKey({ path, bytes: 32, aad });
    const open = (sealed: { iv: Uint8Array; ciphertext: Uint8Array }, context: Uint8Array = aad) =>
      session.unwrapDataKey({ path, sealed, aad: context });
    expect(await open({ iv, ciphertext }, flipBit(aad, 0))).toBeUndefined();
    for (let at = 0; at < iv.length; at++) expect(await open({ iv: flipBit(iv, at), ciphertext })).toBeUndefined();
    for (let bit = 0; bit < ciphertext.length * 8; bit++) {
      expect(await open({ iv, ciphertext: flipBit(ciphertext, bit >> 3, bit & 7) })).toBeUndefined();
    }
    expect(await session.unwrapDataKey({ path: other, sealed: { iv, ciphertext }, aad })).toBeUndefined();
    for (let length = 0; length < ciphertext.length; length++) {
      expect(await open({ iv, ciphertext: ciphertext.subarray(0, length) })).toBeUndefined();
    }
    for (const length of [0, 11, 13, 16])
      expect(await open({ iv: new Uint8Array(length), ciphertext })).toBeUndefined();
  });

  it("moves a KEK under another CMK: it opens what it sealed before", async () => {
    const session = await freshSession();
    const from = await freshPath(session, residence);
    const { dataKey, ...sealed } = await session.generateDataKey({ path: from, bytes: 32, aad });
    const to = await session.generateCmk({ residence: "wrapped" });
    const moved = { cmk: to, kek: await session.rewrapKek({ from, to }) };
    expect(await session.unwrapDataKey({ path: moved, sealed, aad })).toEqual(dataKey);
    await expect(session.unwrapDataKey({ path: { ...moved, cmk: from.cmk }, sealed, aad })).rejects.toEqual(refused);
  });
});

describe("paths that lead nowhere", () => {
  it("refuses every bit flip of the CMK's and of the KEK's blob", async () => {
    const session = await freshSession();
    const path = await freshPath(session);
    const cmk = path.cmk as Wrapped;
    const use = (changed: KekPath) => session.wrapDataKey({ path: changed, dataKey: new Uint8Array(32), aad });
    await use(path); // the honest path is in the cache: the changed ones must not find it
    for (let bit = 0; bit < 40 * 8; bit++) {
      const flip = (key: WrappedKey) => flipBit(key.blob, bit >> 3, bit & 7);
      await expect(use({ ...path, cmk: { ...cmk, blob: flip(cmk) } })).rejects.toEqual(refused);
      await expect(use({ ...path, kek: { ...path.kek, blob: flip(path.kek) } })).rejects.toEqual(refused);
    }
  });

  it("refuses blobs of other lengths, another format, another HMK version, another token", async () => {
    const session = await freshSession();
    const path = await freshPath(session);
    const cmk = path.cmk as Wrapped;
    const use = (changed: KekPath) => session.wrapDataKey({ path: changed, dataKey: new Uint8Array(32), aad });
    for (const length of [0, 8, 16, 24, 32, 39]) {
      const blob = path.kek.blob.subarray(0, length);
      await expect(use({ ...path, kek: { ...path.kek, blob } })).rejects.toEqual(refused);
    }
    await expect(use({ ...path, cmk: { ...cmk, wrapFormat: "rfc3394" } })).rejects.toEqual(refused);
    await expect(use({ ...path, kek: { ...path.kek, wrapFormat: "rfc3394" } })).rejects.toEqual(refused);
    await expect(use({ ...path, cmk: { ...cmk, hmkVersion: 2 } })).rejects.toEqual(refused);
    const stranger = await freshSession();
    await expect(stranger.wrapDataKey({ path, dataKey: new Uint8Array(32), aad })).rejects.toEqual(refused);
    const resident = await freshPath(session, "resident");
    await expect(stranger.wrapDataKey({ path: resident, dataKey: new Uint8Array(32), aad })).rejects.toEqual(refused);
  });

  it("keeps rungs apart: a blob serves only the use it was made for", async () => {
    const session = await freshSession();
    const path = await freshPath(session);
    const cmk = path.cmk as Wrapped;
    const mac = await session.generateMacKey();
    const { key: signing } = await session.generateSigningKey({ algorithm: "ed25519" });
    const wrap = (changed: KekPath) => session.wrapDataKey({ path: changed, dataKey: new Uint8Array(32), aad });
    const data = new Uint8Array(1);
    // a CMK as KEK, a KEK as CMK
    await expect(wrap({ ...path, kek: { wrapFormat: cmk.wrapFormat, blob: cmk.blob } })).rejects.toEqual(refused);
    await expect(session.generateKek({ cmk: { ...cmk, ...path.kek } })).rejects.toEqual(refused);
    // signing and MAC keys as CMK or KEK, and the reverse
    for (const key of [mac, signing]) {
      await expect(session.generateKek({ cmk: { ...cmk, blob: key.blob } })).rejects.toEqual(refused);
      await expect(wrap({ ...path, kek: { ...path.kek, blob: key.blob } })).rejects.toEqual(refused);
    }
    await expect(session.macWithKey({ key: { ...mac, blob: cmk.blob }, data })).rejects.toEqual(refused);
    await expect(session.macWithKey({ key: { ...mac, blob: path.kek.blob }, data })).rejects.toEqual(refused);
    // a MAC key signs nothing, a signing key makes no MAC
    await expect(session.sign({ algorithm: "ed25519", key: mac, data })).rejects.toEqual(refused);
    await expect(session.macWithKey({ key: signing, data })).rejects.toEqual(refused);
  });

  it("refuses a key of another length than 32 bytes under a good wrap", async () => {
    const folder = await temporaryFolder();
    const contents = freshContents("t");
    await writeToken(join(folder, "token"), "p", contents);
    const session = await openSession(softwareDriver({ file: join(folder, "token"), passphrase: "p" }), false);
    const hmk = contents.masterKeys.find(({ role }) => role === "wrap") as MasterKey;
    const blob = wrapKey("rfc5649", hmk.key, new Uint8Array(31));
    const cmk = { residence: "wrapped", hmkVersion: 1, wrapFormat: "rfc5649", blob } as const;
    await expect(session.generateKek({ cmk })).rejects.toEqual(refused);
  });
});

describe("master key versions and formats", () => {
  async function rotated(): Promise<{ session: HsmSession; old: MasterKey; contents: TokenContents }> {
    const fresh = freshContents("t");
    const masterKeys = fresh.masterKeys.flatMap((key): MasterKey[] => [
      { ...key, state: "retired", wrapFormat: key.wrapFormat && "rfc3394" },
      { ...key, version: 2, key: freshKey() },
    ]);
    const contents = { ...fresh, masterKeys };
    const file = join(await temporaryFolder(), "token");
    await writeToken(file, "p", contents);
    const session = await openSession(softwareDriver({ file, passphrase: "p" }), false);
    return { session, old: masterKeys[0] as MasterKey, contents };
  }

  it("a retired version still unwraps, in its own format (RFC 3394) alone; new work uses the current one", async () => {
    const { session, old } = await rotated();
    const blob = wrapKey("rfc3394", old.key, new Uint8Array(32).fill(1));
    const cmk = { residence: "wrapped", hmkVersion: 1, wrapFormat: "rfc3394", blob } as const;
    const kek = await session.generateKek({ cmk });
    expect(kek.wrapFormat).toBe("rfc5649");
    // a KEK in the other format reads as well
    const cmkKey = createSecretKey(new Uint8Array(32).fill(1));
    const kek3394 = { wrapFormat: "rfc3394", blob: wrapKey("rfc3394", cmkKey, new Uint8Array(32).fill(2)) } as const;
    const sealed = await session.wrapDataKey({ path: { cmk, kek: kek3394 }, dataKey: new Uint8Array(16), aad });
    expect(await session.unwrapDataKey({ path: { cmk, kek: kek3394 }, sealed, aad })).toEqual(new Uint8Array(16));
    const wrongFormat = {
      ...cmk,
      wrapFormat: "rfc5649",
      blob: wrapKey("rfc5649", old.key, new Uint8Array(32)),
    } as const;
    await expect(session.generateKek({ cmk: wrongFormat })).rejects.toEqual(refused);
    expect(await session.generateCmk({ residence: "wrapped" })).toMatchObject({ hmkVersion: 2, wrapFormat: "rfc5649" });
  });

  it("a signing or MAC key in another format than its version's is refused", async () => {
    const { session, contents } = await rotated();
    const [old, current] = contents.masterKeys.filter(({ role }) => role === "sign") as [MasterKey, MasterKey];
    const data = new Uint8Array(1);
    const mac = (hmk: MasterKey, wrapFormat: "rfc3394" | "rfc5649") =>
      session.macWithKey({
        key: { hmkVersion: hmk.version, wrapFormat, blob: wrapKey(wrapFormat, hmk.key, new Uint8Array(32)) },
        data,
      });
    expect(await mac(old, "rfc3394")).toEqual(await mac(current, "rfc5649"));
    await expect(mac(old, "rfc5649")).rejects.toEqual(refused);
    await expect(mac(current, "rfc3394")).rejects.toEqual(refused);
  });

  it("a retired seal key verifies; an unknown version is refused", async () => {
    const { session, contents } = await rotated();
    const data = Buffer.from("record");
    const old = contents.masterKeys.find(({ role, version }) => role === "seal" && version === 1) as MasterKey;
    const tag = hmacSha256(old.key, data);
    expect(await session.verifyMac({ role: "seal", version: 1, data, tag })).toBe(true);
    expect(await session.verifyMac({ role: "seal", version: 2, data, tag })).toBe(false);
    expect((await session.mac({ role: "seal", data })).version).toBe(2);
    await expect(session.verifyMac({ role: "seal", version: 3, data, tag })).rejects.toEqual(refused);
  });
});

describe("MACs", () => {
  it("RFC 4231 4.2, 4.3 and 4.7: HMAC-SHA-256", () => {
    const mac = (key: Uint8Array, data: string) =>
      Buffer.from(hmacSha256(createSecretKey(key), Buffer.from(data))).toString("hex");
    expect(mac(Buffer.alloc(20, 0x0b), "Hi There")).toBe(
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    expect(mac(Buffer.from("Jefe"), "what do ya want for nothing?")).toBe(
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    expect(mac(Buffer.alloc(131, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First")).toBe(
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    );
  });

  it("seal and audit have keys of their own; any flipped bit of a tag is refused", async () => {
    const session = await freshSession();
    const data = Buffer.from("record");
    const { version, tag } = await session.mac({ role: "seal", data });
    expect(tag).toHaveLength(32);
    expect(await session.verifyMac({ role: "seal", version, data, tag })).toBe(true);
    expect(await session.verifyMac({ role: "audit", version, data, tag })).toBe(false);
    expect(await session.verifyMac({ role: "seal", version, data: flipBit(data, 0), tag })).toBe(false);
    for (let bit = 0; bit < 256; bit++) {
      const flipped = flipBit(tag, bit >> 3, bit & 7);
      expect(await session.verifyMac({ role: "seal", version, data, tag: flipped })).toBe(false);
    }
    for (const length of [0, 16, 31]) {
      expect(await session.verifyMac({ role: "seal", version, data, tag: tag.subarray(0, length) })).toBe(false);
    }
  });

  it("a wrapped MAC key makes and verifies tags; its blob flipped anywhere is refused", async () => {
    const session = await freshSession();
    const key = await session.generateMacKey();
    const data = Buffer.from("data");
    const tag = await session.macWithKey({ key, data });
    expect(await session.verifyMacWithKey({ key, data, tag })).toBe(true);
    expect(await session.verifyMacWithKey({ key, data, tag: flipBit(tag, 31) })).toBe(false);
    expect(await session.verifyMacWithKey({ key: await session.generateMacKey(), data, tag })).toBe(false);
    for (let bit = 0; bit < key.blob.length * 8; bit++) {
      const blob = flipBit(key.blob, bit >> 3, bit & 7);
      await expect(session.macWithKey({ key: { ...key, blob }, data })).rejects.toEqual(refused);
    }
    await expect(session.macWithKey({ key: { ...key, hmkVersion: 9 }, data })).rejects.toEqual(refused);
    await expect(session.macWithKey({ key: { ...key, wrapFormat: "rfc3394" }, data })).rejects.toEqual(refused);
  });
});

const ALGORITHMS: SigningAlgorithm[] = ["ecdsa-p256", "ecdsa-p384", "rsa-pss-3072", "ed25519"];

describe.each(ALGORITHMS)("signing with %s", (algorithm) => {
  it("verifies, and only for that key, data and algorithm", async () => {
    const session = await freshSession();
    const { key, publicKey } = await session.generateSigningKey({ algorithm });
    const data = Buffer.from("what is signed");
    const signature = await session.sign({ algorithm, key, data });
    expect(createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" }).type).toBe("public");
    expect(verifySignature(algorithm, publicKey, data, signature)).toBe(true);
    expect(verifySignature(algorithm, publicKey, flipBit(data, 0), signature)).toBe(false);
    expect(verifySignature(algorithm, publicKey, data, flipBit(signature, signature.length - 1))).toBe(false);
    expect(verifySignature(algorithm, publicKey, data, signature.subarray(1))).toBe(false);
    expect(verifySignature(algorithm, publicKey, data, new Uint8Array(0))).toBe(false);
    for (const other of ALGORITHMS.filter((name) => name !== algorithm)) {
      await expect(session.sign({ algorithm: other, key, data })).rejects.toEqual(refused);
      expect(() => verifySignature(other, publicKey, data, signature)).toThrow(badInput);
    }
    await expect(session.sign({ algorithm, key: { ...key, blob: flipBit(key.blob, 20) }, data })).rejects.toEqual(
      refused,
    );
    expect(() => verifySignature(algorithm, publicKey.subarray(1), data, signature)).toThrow(badInput);
  });
});

describe("arguments", () => {
  it("are refused with ERR_INPUT where they cannot be right", async () => {
    const session = await freshSession();
    const path = await freshPath(session);
    const cmk = path.cmk as Wrapped;
    const wrong = <T>(value: unknown) => value as T;
    const calls: (() => Promise<unknown>)[] = [
      () => session.mac({ role: wrong("wrap"), data: aad }),
      () => session.mac({ role: "seal", data: wrong("text") }),
      () => session.generateCmk({ residence: wrong("nowhere") }),
      () => session.generateKek({ cmk: wrong({}) }),
      () => session.generateKek({ cmk: wrong(undefined) }),
      () => session.generateKek({ cmk: { ...cmk, hmkVersion: 0 } }),
      () => session.generateKek({ cmk: { ...cmk, wrapFormat: wrong("des") } }),
      () => session.generateKek({ cmk: { residence: "resident", serial: "00", objectId: new Uint8Array(15) } }),
      () => session.generateDataKey({ path, bytes: wrong(31), aad }),
      () => session.wrapDataKey({ path, dataKey: new Uint8Array(33), aad }),
      () => session.unwrapDataKey({ path, sealed: wrong(undefined), aad }),
      () => session.destroyResidentCmk(new Uint8Array(17)),
      () => session.generateSigningKey({ algorithm: wrong("toString") }),
      () => session.sign({ algorithm: wrong("dsa"), key: wrong({}), data: aad }),
    ];
    for (const call of calls) await expect(call()).rejects.toEqual(badInput);
  });

  it("are copied on entry: a path changed while the call runs changes nothing", async () => {
    const session = await freshSession();
    const path = await freshPath(session, "resident");
    const sealed = await session.generateDataKey({ path, bytes: 32, aad });
    const lent = { cmk: path.cmk, kek: { wrapFormat: "rfc5649" as const, blob: path.kek.blob.slice() } };
    const opening = session.unwrapDataKey({ path: lent, sealed, aad });
    lent.kek.blob.fill(0);
    expect(await opening).toEqual(sealed.dataKey);
  });
});

describe("closing", () => {
  it("waits for what is under way, refuses what comes after, and may be called again", async () => {
    const session = await freshSession();
    const path = await freshPath(session);
    let made = false;
    const underWay = session.generateSigningKey({ algorithm: "ecdsa-p256" }).then(() => {
      made = true;
    });
    const resident = session.generateCmk({ residence: "resident" });
    await session.close();
    expect(made).toBe(true);
    await underWay;
    await expect(resident).resolves.toMatchObject({ residence: "resident" });
    const closed = coded("ERR_HSM_UNAVAILABLE");
    const key = { hmkVersion: 1, wrapFormat: "rfc5649", blob: new Uint8Array(40) } as const;
    const sealed = { iv: new Uint8Array(12), ciphertext: new Uint8Array(48) };
    const data = new Uint8Array(1);
    const calls: Promise<unknown>[] = [
      session.info(),
      session.ping(),
      session.random(1),
      session.mac({ role: "seal", data }),
      session.verifyMac({ role: "seal", version: 1, data, tag: new Uint8Array(32) }),
      session.generateCmk({ residence: "wrapped" }),
      session.listResidentCmks(),
      session.destroyResidentCmk(new Uint8Array(16)),
      session.generateKek({ cmk: path.cmk }),
      session.rewrapKek({ from: path, to: path.cmk }),
      session.generateDataKey({ path, bytes: 32, aad }),
      session.wrapDataKey({ path, dataKey: new Uint8Array(32), aad }),
      session.unwrapDataKey({ path, sealed, aad }),
      session.generateSigningKey({ algorithm: "ed25519" }),
      session.sign({ algorithm: "ed25519", key, data }),
      session.generateMacKey(),
      session.macWithKey({ key, data }),
      session.verifyMacWithKey({ key, data, tag: new Uint8Array(32) }),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_HSM_UNAVAILABLE" } });
    }
    await expect(session.info()).rejects.toEqual(closed);
    await expect(session.close()).resolves.toBeUndefined();
  });
});

describe("secrets", () => {
  it("show in no print of a driver or session", async () => {
    const passphrase = "correct horse battery";
    const driver = softwareDriver({ file: join(await temporaryFolder(), "token"), passphrase });
    const session = await openSession(driver);
    for (const thing of [driver, session]) {
      const shown = inspect(thing, { showHidden: true, depth: null }) + JSON.stringify(thing);
      expect(shown).not.toContain(passphrase);
      expect(shown).not.toMatch(/KeyObject|masterKeys|[0-9a-f]{32}/);
    }
  });

  it("stay in the token: a record is sealed under the key the file holds, and nothing else", async () => {
    const file = join(await temporaryFolder(), "token");
    const contents = freshContents("t");
    await writeToken(file, "p", contents);
    const session = await openSession(softwareDriver({ file, passphrase: "p" }), false);
    const seal = contents.masterKeys.find(({ role }) => role === "seal") as MasterKey;
    const { tag } = await session.mac({ role: "seal", data: aad });
    expect(Buffer.from(tag)).toEqual(createHmac("sha256", seal.key).update(aad).digest());
  });
});
