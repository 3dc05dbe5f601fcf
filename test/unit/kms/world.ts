/** A ladder on disk for tests: a software token with a key file (no scrypt), a SQLite store, and the way to attack both. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "libsql";
import type { HsmDriver, HsmSession } from "../../../src/hsm/port.js";
import { softwareHsm } from "../../../src/hsm/software/driver.js";
import {
  type LadderKeyring,
  type LadderUnwrapper,
  ladderKeyring,
  ladderUnwrapper,
} from "../../../src/keyring/ladder.js";
import type { WrapRequest } from "../../../src/keyring/port.js";
import { type Kms, type KmsOptions, openKms } from "../../../src/kms/kms.js";
import { contextOf, serializeContext } from "../../../src/message/context.js";
import type { StoreDriver, StoreSession } from "../../../src/store/port.js";
import { sqliteStore } from "../../../src/store/sqlite.js";

export interface Opened {
  readonly hsm: HsmSession;
  readonly store: StoreSession;
  readonly kms: Kms;
}

export class World {
  readonly folder = mkdtempSync(join(tmpdir(), "keyladder-kms-"));
  readonly file = join(this.folder, "store.db");
  /** The clock, ms UTC. */
  time = Date.UTC(2026, 0, 1);
  readonly #hsms = new Map<string, HsmSession>();
  readonly #stores: StoreSession[] = [];

  /** One session for each token of this world. */
  async hsm(token = "token"): Promise<HsmSession> {
    const known = this.#hsms.get(token);
    if (known !== undefined) return known;
    const driver = softwareHsm({ file: join(this.folder, token), keyFile: join(this.folder, `${token}.key`) });
    const session = await (driver as HsmDriver).open({ create: true });
    this.#hsms.set(token, session);
    return session;
  }

  async store(file = this.file): Promise<StoreSession> {
    const session = await (sqliteStore({ file }) as StoreDriver).open({ create: true });
    this.#stores.push(session);
    return session;
  }

  /** A fresh process, as far as the key service can tell: nothing remembered. */
  async open(options: Partial<KmsOptions> & { file?: string; token?: string } = {}): Promise<Opened> {
    const { file, token, ...more } = options;
    const hsm = options.hsm ?? (await this.hsm(token));
    const store = options.store ?? (await this.store(file));
    const kms = await openKms({ create: true, now: () => this.time, ...more, hsm, store });
    return { hsm, store, kms };
  }

  /** The attacker: writes the file as it likes. */
  attack<T>(work: (database: InstanceType<typeof Database>) => T, file = this.file): T {
    const database = new Database(file, { timeout: 2000 });
    try {
      return work(database);
    } finally {
      database.close();
    }
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    for (const hsm of this.#hsms.values()) await hsm.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A wrap request over a context. */
export function request(
  context: Record<string, string> = { tenant: "acme" },
  more: Partial<WrapRequest> = {},
): WrapRequest {
  const frozen = contextOf(Object.entries(context));
  return { suite: 0x0478, dataKeyBytes: 32, context: frozen, contextBytes: serializeContext(frozen), ...more };
}

export const keyring = (kms: Kms, key: string, tenant = "default"): LadderKeyring => ladderKeyring(kms, tenant, key);
export const unwrapper = (kms: Kms, tenant = "default"): LadderUnwrapper => ladderUnwrapper(kms, tenant);
