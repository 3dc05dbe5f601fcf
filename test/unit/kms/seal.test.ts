import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { constantTimeEqual } from "../../../src/bytes.js";
import { HsmError } from "../../../src/errors.js";
import type { HsmSession } from "../../../src/hsm/port.js";
import { sha512 } from "../../../src/kms/ids.js";
import { Sealer } from "../../../src/kms/seal.js";

const key = Buffer.alloc(32, 7);
const hmac = (data: Uint8Array) => new Uint8Array(createHmac("sha256", key).update(data).digest());

/** The part of an HSM that seals, counting what it is asked; `version` is the sealing key's. */
function sealingHsm() {
  const calls = { mac: 0, verify: 0 };
  const state = { version: 1, info: 1, away: false };
  const hsm: Pick<HsmSession, "info" | "mac" | "verifyMac"> = {
    info: async () => ({
      kind: "test",
      label: "test",
      serial: "1",
      hardware: false,
      hmkVersions: { wrap: 1, sign: 1, seal: state.info, audit: 1 },
      warnings: [],
    }),
    mac: async ({ data }) => {
      calls.mac++;
      return { version: state.version, tag: hmac(data) };
    },
    verifyMac: async ({ version, data, tag }) => {
      calls.verify++;
      if (state.away) throw new HsmError("ERR_HSM_UNAVAILABLE", "away");
      if (version > state.version) throw new HsmError("ERR_HSM_REFUSED", "no such version");
      return constantTimeEqual(tag, hmac(data));
    },
  };
  return { hsm: hsm as HsmSession, calls, state };
}

const body = new TextEncoder().encode("body");

describe("the seal of a record (ladder, section A)", () => {
  test("has the documented bytes", async () => {
    const { hsm } = sealingHsm();
    const input = Buffer.concat([
      Buffer.from("keyladder/record-seal/v1\0"),
      Buffer.from([1, 0, 0, 0, 1]),
      Buffer.from(sha512(body)),
    ]);
    expect(await new Sealer(hsm).seal(body)).toEqual(new Uint8Array([1, 0, 0, 0, 1, ...hmac(input)]));
  });

  test("one bit of body or seal changed: not genuine", async () => {
    const { hsm } = sealingHsm();
    const seal = await new Sealer(hsm).seal(body);
    const fresh = () => new Sealer(hsm);
    expect(await fresh().verify(body, seal)).toBe(true);
    const flipped = (bytes: Uint8Array, i: number) => bytes.map((byte, at) => (at === i ? byte ^ 1 : byte));
    for (let i = 0; i < seal.length; i++) expect(await fresh().verify(body, flipped(seal, i))).toBe(false);
    for (let i = 0; i < body.length; i++) expect(await fresh().verify(flipped(body, i), seal)).toBe(false);
    expect(await fresh().verify(body, seal.slice(0, 36))).toBe(false);
    expect(await fresh().verify(body, new Uint8Array([...seal, 0]))).toBe(false);
    expect(await fresh().verify(body, new Uint8Array(0))).toBe(false);
  });

  test("genuine verdicts are remembered, others are not", async () => {
    const { hsm, calls } = sealingHsm();
    const seal = await new Sealer(hsm).seal(body);
    const sealer = new Sealer(hsm);
    for (let i = 0; i < 3; i++) expect(await sealer.verify(body, seal)).toBe(true);
    expect(calls.verify).toBe(1);
    const bad = seal.map((byte, at) => (at === 36 ? byte ^ 1 : byte));
    for (let i = 0; i < 3; i++) expect(await sealer.verify(body, bad)).toBe(false);
    expect(calls.verify).toBe(4);
  });

  test("what was sealed here needs no question", async () => {
    const { hsm, calls } = sealingHsm();
    const sealer = new Sealer(hsm);
    expect(await sealer.verify(body, await sealer.seal(body))).toBe(true);
    expect(calls.verify).toBe(0);
  });

  test("a sealing key renewed meanwhile: the tag is made over the version that made it", async () => {
    const { hsm, calls, state } = sealingHsm();
    state.version = 2;
    const seal = await new Sealer(hsm).seal(body);
    expect(seal[4]).toBe(2);
    expect(calls.mac).toBe(2);
    expect(await new Sealer(hsm).verify(body, seal)).toBe(true);
  });

  test("an HSM that is away is no verdict", async () => {
    const { hsm, state } = sealingHsm();
    const seal = await new Sealer(hsm).seal(body);
    state.away = true;
    await expect(new Sealer(hsm).verify(body, seal)).rejects.toMatchObject({ code: "ERR_HSM_UNAVAILABLE" });
  });
});
