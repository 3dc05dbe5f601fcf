/** What a session knows of its token: the contents as last read, kept in step with the file that others may change. */

import { type KeyObject, randomFillSync } from "node:crypto";
import { type Bytes, constantTimeEqual, toHex } from "../../bytes.js";
import { HsmError } from "../../errors.js";
import type { Work } from "../../work.js";
import type { HmkRole } from "../port.js";
import { refused } from "./requests.js";
import { freshKey, type MasterKey, OBJECT_ID_BYTES, type ResidentCmk, type TokenContents } from "./token-contents.js";
import type { LoadedToken, TokenFile } from "./token-file.js";

export class TokenState {
  readonly #file: TokenFile;
  readonly #work: Work;
  readonly #onRemoved: () => void;
  #contents: TokenContents | undefined;
  #stamp: string | undefined;

  /** @param onRemoved called when a resident CMK is gone: whatever was unwrapped under it must be forgotten */
  constructor(file: TokenFile, loaded: LoadedToken, work: Work, onRemoved: () => void) {
    this.#file = file;
    this.#contents = loaded.contents;
    this.#stamp = loaded.stamp;
    this.#work = work;
    this.#onRemoved = onRemoved;
  }

  get contents(): TokenContents {
    if (this.#contents === undefined) throw new HsmError("ERR_HSM_UNAVAILABLE", "the token is closed");
    return this.#contents;
  }

  get serial(): string {
    return toHex(this.contents.serial);
  }

  /** The version of a master key in use for new work. */
  current(role: HmkRole): MasterKey {
    const found = this.contents.masterKeys.find((key) => key.role === role && key.state === "current");
    if (found === undefined) throw refused(`this token has no current master key "${role}"`);
    return found;
  }

  /** Any version, retired ones too. @throws HsmError ERR_HSM_REFUSED where there is no such version */
  version(role: HmkRole, version: number): MasterKey {
    const found = this.contents.masterKeys.find((key) => key.role === role && key.version === version);
    if (found === undefined) throw refused(`this token has no version ${version} of master key "${role}"`);
    return found;
  }

  /**
   * A resident CMK, as of now: the file is read again where another process changed it.
   * @throws HsmError ERR_HSM_REFUSED (another token's, or not there), ERR_HSM_UNAVAILABLE (the file is gone)
   */
  async resident(serial: string, objectId: Uint8Array): Promise<KeyObject> {
    if (serial !== this.serial) throw refused("the key is resident in another token", { serial });
    await this.refresh();
    const found = this.contents.residents.get(toHex(objectId));
    if (found === undefined) throw refused("this token holds no such resident key", { objectId: toHex(objectId) });
    return found.key;
  }

  /** Reads the file again where its stamp says that it changed. */
  async refresh(): Promise<void> {
    if (await this.#isCurrent()) return;
    await this.#work.oneAtATime(async () => {
      if (!(await this.#isCurrent())) this.#adopt(await this.#file.load()); // once for all who waited
    });
  }

  async #isCurrent(): Promise<boolean> {
    return this.#stamp !== undefined && (await this.#file.stamp()) === this.#stamp;
  }

  /** A new resident CMK; durable when this resolves. @returns its object id */
  async addResident(): Promise<Bytes> {
    const objectId = randomFillSync(new Uint8Array(OBJECT_ID_BYTES));
    const added: ResidentCmk = { objectId, key: freshKey() };
    await this.#update((now) => ({ ...now, residents: new Map(now.residents).set(toHex(objectId), added) }));
    return new Uint8Array(objectId);
  }

  /** @param name the object id in hexadecimal */
  async removeResident(name: string): Promise<void> {
    await this.#update((now) => {
      const residents = new Map(now.residents);
      return residents.delete(name) ? { ...now, residents } : undefined;
    });
  }

  forget(): void {
    this.#contents = undefined;
  }

  #update(change: (contents: TokenContents) => TokenContents | undefined): Promise<void> {
    return this.#work.oneAtATime(async () =>
      this.#adopt(await this.#file.update((now) => change(this.#sameToken(now)))),
    );
  }

  #adopt({ contents, stamp }: LoadedToken): void {
    const before = this.contents;
    this.#contents = this.#sameToken(contents);
    this.#stamp = stamp;
    const removed = [...before.residents.keys()].some((name) => !contents.residents.has(name));
    if (removed) this.#onRemoved();
  }

  /** The file must still be this token, and no older than what was read of it before. */
  #sameToken(contents: TokenContents): TokenContents {
    const before = this.contents;
    if (!constantTimeEqual(contents.serial, before.serial)) throw refused("the token file is another token now");
    if (contents.generation < before.generation) throw refused("an older copy of the token file was put back");
    return contents;
  }
}
