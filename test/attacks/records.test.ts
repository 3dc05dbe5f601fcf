/** Attacks on stored records (ladder, section A): whoever can write the store cannot make the ladder take what it did not seal. */

import type Libsql from "libsql";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Kms } from "../../src/kms/kms.js";
import { keyring, request, unwrapper, World } from "../unit/kms/world.js";

type Database = InstanceType<typeof Libsql>;
interface Row {
  type: number;
  tenant_id: Buffer;
  record_id: Buffer;
  revision: number;
  body: Buffer;
  seal: Buffer;
  parent_id: Buffer | null;
  created_at: number;
}

const TYPES = { tenant: 1, key: 2, version: 3, alias: 4, lease: 9, setting: 10 };
const TAMPERED = { code: "ERR_STORE_TAMPERED" };

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const rows = (database: Database, where: string): Row[] => {
  const found = database.prepare(`select * from records where ${where} order by created_at, record_id`).all([]);
  return (found as Record<string, unknown>[]).map(
    (row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, value instanceof ArrayBuffer ? Buffer.from(value) : value]),
      ) as unknown as Row,
  );
};

/** Replaces what is sealed of a row, and its index, keeping its place. */
function overwrite(database: Database, place: Row, content: Row): void {
  database
    .prepare(
      "update records set revision = ?, body = ?, seal = ?, parent_id = ?, created_at = ? where type = ? and tenant_id = ? and record_id = ?",
    )
    .run([
      content.revision,
      content.body,
      content.seal,
      content.parent_id,
      content.created_at,
      place.type,
      place.tenant_id,
      place.record_id,
    ]);
}

/** Everything a user does with a key, by a process that remembers nothing. */
async function useAfresh(kms?: Kms): Promise<void> {
  const fresh = kms ?? (await world.open({ create: false })).kms;
  await fresh.keys("default").describe("orders");
  const { dataKey, encryptedDataKeys } = await keyring(fresh, "orders").generateDataKey(request());
  dataKey[Symbol.dispose]();
  const opened = await unwrapper(fresh).unwrapDataKey({ ...request(), encryptedDataKeys });
  opened?.dataKey[Symbol.dispose]();
}

async function ladder() {
  const opened = await world.open();
  await opened.kms.keys("default").create({ alias: "orders" });
  await useAfresh();
  return opened;
}

/** The rows a use of "orders" depends on, one of each kind. */
const VICTIMS = [
  ["tenant", `type = ${TYPES.tenant}`],
  ["key", `type = ${TYPES.key}`],
  ["CMK version", `type = ${TYPES.version} and length(body) > 0 and parent_id is not null`],
  ["alias", `type = ${TYPES.alias}`],
  ["lease", `type = ${TYPES.lease}`],
  ["store identity", `type = ${TYPES.setting}`],
] as const;

describe.each(VICTIMS)("a %s row, edited", (_, where) => {
  test.each([
    ["revision", "revision = revision + 1"],
    ["creation", "created_at = created_at + 1"],
    ["parent", "parent_id = x'000102030405060708090a0b0c0d0e0f'"],
    ["body, first byte", "body = cast(x'00' || substr(body, 2) as blob)"],
    ["body, last byte", "body = cast(substr(body, 1, length(body) - 1) || x'ff' as blob)"],
    ["body, cut short", "body = substr(body, 1, length(body) - 1)"],
    ["body, lengthened", "body = cast(body || x'00' as blob)"],
    ["body, empty", "body = x''"],
    ["seal, algorithm", "seal = cast(x'02' || substr(seal, 2) as blob)"],
    ["seal, version", "seal = cast(substr(seal, 1, 4) || x'09' || substr(seal, 6) as blob)"],
    ["seal, last byte", "seal = cast(substr(seal, 1, 36) || x'ff' as blob)"],
    ["seal, cut short", "seal = substr(seal, 1, 36)"],
    ["seal, empty", "seal = x''"],
  ])("%s: refused", async (_what, change) => {
    await ladder();
    world.attack((database) => database.exec(`update records set ${change} where ${where}`));
    await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
  });

  test.each(["type", "tenant_id", "record_id"] as const)("moved to another %s: refused", async (column) => {
    await ladder();
    world.attack((database) => {
      for (const row of rows(database, where)) {
        const moved = column === "type" ? 12 : row[column].map((byte) => byte ^ 1);
        database
          .prepare(`update records set ${column} = ? where type = ? and tenant_id = ? and record_id = ?`)
          .run([moved, row.type, row.tenant_id, row.record_id]);
      }
    });
    const code = expect.stringMatching(/^ERR_(STORE_TAMPERED|KEY_NOT_FOUND)$/);
    await expect(useAfresh()).rejects.toMatchObject({ code });
  });
});

test("every single byte of a key's body and seal", async () => {
  const { kms } = await ladder();
  const key = world.attack((database) => rows(database, `type = ${TYPES.key}`)[0]) as Row;
  for (const column of ["body", "seal"] as const) {
    for (let i = 0; i < key[column].length; i++) {
      const bytes = Buffer.from(key[column]);
      bytes[i] = (bytes[i] as number) ^ (1 << (i % 8));
      world.attack((database) => overwrite(database, key, { ...key, [column]: bytes }));
      await expect(kms.keys("default").describe("orders")).rejects.toMatchObject(TAMPERED);
    }
  }
  world.attack((database) => overwrite(database, key, key));
  await useAfresh(kms);
});

describe("rows in the place of others", () => {
  test.each([
    ["keys", TYPES.key],
    ["key versions", TYPES.version],
    ["aliases", TYPES.alias],
    ["leases", TYPES.lease],
  ])("%s swapped between keys", async (_, type) => {
    const { kms } = await ladder();
    world.time += 1;
    await kms.keys("default").create({ alias: "other" });
    world.attack((database) => {
      const all = rows(database, `type = ${type}`);
      const half = all.length / 2;
      for (let i = 0; i < half; i++) {
        overwrite(database, all[i] as Row, all[i + half] as Row);
        overwrite(database, all[i + half] as Row, all[i] as Row);
      }
    });
    await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
  });

  test("another tenant's key and alias under this tenant", async () => {
    const { kms } = await ladder();
    await kms.keys("acme").create({ alias: "theirs" });
    world.attack((database) => {
      const [mine, acme] = rows(database, `type = ${TYPES.tenant}`);
      const own = rows(database, `type = ${TYPES.alias}`);
      expect(own.length).toBe(2);
      // All rows of the one tenant copied to the other, where no row of that id is.
      for (const [from, to] of [
        [mine, acme],
        [acme, mine],
      ] as const) {
        database
          .prepare(
            "insert or ignore into records select type, ?, record_id, revision, body, seal, parent_id, created_at from records where tenant_id = ?",
          )
          .run([to?.record_id, from?.record_id]);
      }
    });
    const fresh = (await world.open({ create: false })).kms;
    const theirs = await fresh.keys("acme").describe("theirs");
    await expect(fresh.keys("default").describe(theirs.keyId)).rejects.toMatchObject(TAMPERED);
    await expect(fresh.keys("default").describe("theirs")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    await expect(fresh.keys("default").list().page()).rejects.toMatchObject(TAMPERED);
  });

  test("tenant rows swapped", async () => {
    const { kms } = await ladder();
    await kms.keys("acme").create({ alias: "orders" });
    world.attack((database) => {
      const [a, b] = rows(database, `type = ${TYPES.tenant}`) as [Row, Row];
      overwrite(database, a, b);
      overwrite(database, b, a);
    });
    await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
    const fresh = (await world.open({ create: false })).kms;
    await expect(fresh.keys("acme").describe("orders")).rejects.toMatchObject(TAMPERED);
  });

  test("an alias repointed: its row given another alias's body, or its index another key", async () => {
    const { kms } = await ladder();
    world.time += 1;
    const other = await kms.keys("default").create({ alias: "other" });
    const [mine, others] = world.attack((database) => rows(database, `type = ${TYPES.alias}`)) as [Row, Row];
    world.attack((database) => overwrite(database, mine, others));
    await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
    world.attack((database) => overwrite(database, mine, { ...mine, parent_id: others.parent_id }));
    await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
    world.attack((database) => overwrite(database, mine, mine));
    await useAfresh();
    expect((await kms.keys("default").describe("other")).keyId).toBe(other.keyId);
  });

  test("rows of another store under the same token", async () => {
    await ladder();
    const elsewhere = `${world.file}.elsewhere`;
    const other = await world.open({ file: elsewhere });
    await other.kms.keys("default").create({ alias: "orders" });
    const foreign = world.attack((database) => rows(database, "true"), elsewhere);
    for (const type of [TYPES.tenant, TYPES.key, TYPES.version, TYPES.alias, TYPES.lease, TYPES.setting]) {
      const mine = world.attack((database) => rows(database, `type = ${type}`));
      const theirs = foreign.filter((row) => row.type === type);
      world.attack((database) => {
        for (const [i, row] of mine.entries()) overwrite(database, row, theirs[i] as Row);
      });
      await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
      world.attack((database) => {
        for (const row of mine) overwrite(database, row, row);
      });
    }
    await useAfresh();
  });

  test("an identity that claims this token, or another", async () => {
    await ladder();
    const other = await world.open({ file: `${world.file}.elsewhere`, token: "other" });
    expect(other.kms.storeId.length).toBe(16);
    const foreign = world.attack((database) => rows(database, `type = ${TYPES.setting}`)[0], `${world.file}.elsewhere`);
    world.attack((database) => {
      const [mine] = rows(database, `type = ${TYPES.setting}`);
      overwrite(database, mine as Row, foreign as Row);
    });
    await expect(world.open({ create: false })).rejects.toMatchObject({ code: "ERR_HSM_REFUSED" });
  });
});

describe("older rows", () => {
  test("a KEK rolled back to its blob under the CMK version before", async () => {
    const { kms } = await ladder();
    const before = world.attack((database) => rows(database, `type = ${TYPES.version}`));
    const { encryptedDataKeys } = await keyring(kms, "orders").generateDataKey(request());
    await kms.keys("default").rotate("orders");
    const isKek = (row: Row) => row.body.includes(Buffer.from([0, 3, 0, 0, 0, 1, 2]));
    world.attack((database) => {
      for (const row of before.filter(isKek)) overwrite(database, row, row);
    });
    expect(before.filter(isKek).length).toBe(2);
    // To a process that remembers nothing, the new line of KEKs is whole, the old one is not.
    const fresh = (await world.open({ create: false })).kms;
    await useAfresh(fresh);
    for (const someone of [kms, fresh]) {
      const opening = unwrapper(someone).unwrapDataKey({ ...request(), encryptedDataKeys });
      await expect(opening).rejects.toMatchObject(TAMPERED);
    }
    await expect(fresh.keys("default").rotate("orders")).rejects.toMatchObject(TAMPERED);
  });

  test("a CMK version rolled back to before its deactivation, seen by the process that knew", async () => {
    const { kms } = await ladder();
    const before = world.attack((database) => rows(database, `type = ${TYPES.version}`));
    await kms.keys("default").rotate("orders");
    world.attack((database) => {
      for (const row of before) overwrite(database, row, row);
    });
    await expect(kms.keys("default").describe("orders")).rejects.toMatchObject(TAMPERED);
  });

  test("a suspension undone by the row before, seen by the process that knew", async () => {
    const { kms } = await ladder();
    const [before] = world.attack((database) => rows(database, `type = ${TYPES.key}`));
    await kms.keys("default").suspend("orders", { reason: "incident" });
    world.attack((database) => overwrite(database, before as Row, before as Row));
    await expect(useAfresh(kms)).rejects.toMatchObject(TAMPERED);
  });

  test("a lease given again, seen by the process that knew", async () => {
    const { kms } = await world.open({ limits: { wrapsPerLease: 1 } });
    await kms.keys("default").create({ alias: "orders" });
    const before = world.attack((database) => rows(database, `type = ${TYPES.lease}`));
    await useAfresh(kms);
    world.attack((database) => {
      for (const row of before) overwrite(database, row, row);
    });
    await expect(useAfresh(kms)).rejects.toMatchObject(TAMPERED);
  });

  test("an alias given back to the key it was moved from, seen by the process that knew", async () => {
    const { kms } = await ladder();
    const [before] = world.attack((database) => rows(database, `type = ${TYPES.alias}`));
    const other = await kms.keys("default").create();
    await kms.keys("default").setAlias("orders", other.keyId);
    world.attack((database) => overwrite(database, before as Row, before as Row));
    await expect(useAfresh(kms)).rejects.toMatchObject(TAMPERED);
  });

  test("the whole file rolled back under an open process", async () => {
    const { kms } = await ladder();
    const copy = `${world.file}.copy`;
    world.attack((database) => database.exec(`vacuum into '${copy}'`));
    const later = await world.open({ file: copy });
    await later.kms.keys("default").suspend("orders", { reason: "incident" });
    const old = world.attack((database) => rows(database, "true"));
    world.attack((database) => {
      for (const row of old) overwrite(database, row, row);
    }, copy);
    await expect(useAfresh(later.kms)).rejects.toMatchObject(TAMPERED);
    expect(kms.storeId).toEqual(later.kms.storeId);
  });
});

describe("rows deleted", () => {
  test.each([TYPES.key, TYPES.version, TYPES.lease, TYPES.setting])(
    "of type %i: refused by a fresh process",
    async (type) => {
      await ladder();
      world.attack((database) => database.exec(`delete from records where type = ${type}`));
      await expect(useAfresh()).rejects.toMatchObject(TAMPERED);
    },
  );

  test.each(Object.values(TYPES).filter((type) => type !== TYPES.setting))(
    "of type %i: refused by the process that knew",
    async (type) => {
      const { kms } = await world.open({ limits: { wrapsPerLease: 1 } });
      await kms.keys("default").create({ alias: "orders" });
      await useAfresh(kms);
      world.attack((database) => database.exec(`delete from records where type = ${type}`));
      await expect(useAfresh(kms)).rejects.toMatchObject(TAMPERED);
    },
  );
});
