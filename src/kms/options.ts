/** Options of the key operations: types, and their validation with one clear sentence for what is wrong. */

import * as v from "valibot";
import { type Duration, parseDuration } from "../duration.js";
import { InputError } from "../errors.js";
import { checkName } from "./ids.js";
import type { KeyState } from "./state.js";

/** A key id 'cmk_…', an alias in the handle's tenant, or 'tenant:' and either. */
export type KeyRef = string;

export interface CreateKey {
  /** A name for the key, one of its kind in the tenant. */
  readonly alias?: string;
  /** What to do where the alias is taken: refuse (default), or return the key that has it. */
  readonly ifExists?: "error" | "return";
  readonly usage?: "encrypt";
  readonly algorithm?: "aes-256";
  /** Where its plaintext rests: nowhere, wrapped in the store (default), or resident in the HSM. */
  readonly protection?: "wrapped" | "resident";
  readonly origin?: "hsm";
  readonly managedBy?: "customer" | "provider";
  readonly exportable?: false;
  readonly owner?: string;
  /** Default: the handle's tenant. Made where there is none. */
  readonly tenant?: string;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** How long a version serves before it is due for rotation. Null (default): no rotation. */
  readonly rotationPeriod?: Duration | null;
  readonly activatesAt?: Date;
  readonly expiresAt?: Date | null;
  /** Context keys that every request on this key must bind. */
  readonly contextKeys?: readonly string[];
}

export interface KeyFilter {
  readonly tenant?: string;
  readonly state?: KeyState;
  /** "name" or "name=value". */
  readonly tag?: string;
}

const MAX_TEXT = 1024;
const MAX_ITEMS = 64;

const someText = (max = MAX_TEXT) =>
  v.pipe(
    v.string(),
    v.minLength(1, "expected a non-empty string"),
    v.maxLength(max, `expected at most ${max} characters`),
    v.check((value) => value.isWellFormed(), "expected well-formed text"),
  );
const date = v.pipe(
  v.date("expected a Date"),
  v.check((value) => value.getTime() >= 0, "expected a valid Date"),
);
/** A word of the design that this release does not carry out. */
const only = <const T extends string | boolean>(value: T) =>
  v.literal(value, `expected ${JSON.stringify(value)}: nothing else in this release`);

const createKey = v.strictObject({
  alias: v.optional(v.string()),
  ifExists: v.optional(v.picklist(["error", "return"])),
  usage: v.optional(only("encrypt")),
  algorithm: v.optional(only("aes-256")),
  protection: v.optional(v.picklist(["wrapped", "resident"])),
  origin: v.optional(only("hsm")),
  managedBy: v.optional(v.picklist(["customer", "provider"])),
  exportable: v.optional(only(false)),
  owner: v.optional(someText()),
  tenant: v.optional(v.string()),
  description: v.optional(someText(8 * MAX_TEXT)),
  tags: v.optional(
    v.pipe(
      v.record(someText(128), v.pipe(v.string(), v.maxLength(256, "expected at most 256 characters"))),
      v.check((value) => Object.keys(value).length <= MAX_ITEMS, `expected at most ${MAX_ITEMS} tags`),
      v.check((value) => Object.values(value).every((text) => text.isWellFormed()), "expected well-formed text"),
    ),
  ),
  rotationPeriod: v.optional(v.nullable(v.string('expected a duration such as "90d"'))),
  activatesAt: v.optional(date),
  expiresAt: v.optional(v.nullable(date)),
  contextKeys: v.optional(v.pipe(v.array(someText()), v.maxLength(MAX_ITEMS, `expected at most ${MAX_ITEMS} names`))),
});

const keyFilter = v.strictObject({
  tenant: v.optional(v.string()),
  state: v.optional(v.picklist(["pre-active", "active", "suspended", "deactivated", "compromised", "destroyed"])),
  tag: v.optional(someText()),
});

const suspendOptions = v.strictObject({ reason: someText() });

function parse<S extends v.GenericSchema>(schema: S, given: unknown): v.InferOutput<S> {
  if (Array.isArray(given)) throw new InputError("ERR_INPUT", "expected an object of options");
  const result = v.safeParse(schema, given, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue);
  if (issue.type === "strict_object" && issue.expected === "never") {
    throw new InputError("ERR_INPUT", `unknown option "${path}"`);
  }
  if (path === null) throw new InputError("ERR_INPUT", "expected an object of options");
  // Messages of our own say what is expected; the library's would quote what was given.
  const why = issue.message.startsWith("expected ") ? issue.message : `expected ${issue.expected ?? "another value"}`;
  throw new InputError("ERR_INPUT", `"${path}" ${why}`);
}

/** Read once into plain values. @throws InputError ERR_INPUT */
export function parseCreateKey(given: unknown): v.InferOutput<typeof createKey> & { rotationMs?: number } {
  const options = parse(createKey, given ?? {});
  if (options.alias !== undefined) checkName(options.alias, "alias");
  if (options.tenant !== undefined) checkName(options.tenant, "tenant");
  if (options.ifExists === "return" && options.alias === undefined) {
    throw new InputError("ERR_INPUT", '"ifExists" expected "alias" beside it');
  }
  if (options.activatesAt && options.expiresAt && options.expiresAt <= options.activatesAt) {
    throw new InputError("ERR_INPUT", '"expiresAt" expected a time after "activatesAt"');
  }
  if (options.rotationPeriod === undefined || options.rotationPeriod === null) return options;
  try {
    return { ...options, rotationMs: parseDuration(options.rotationPeriod, "rotationPeriod") };
  } catch (cause) {
    throw new InputError("ERR_INPUT", '"rotationPeriod" expected a duration such as "90d"', { cause });
  }
}

/** @throws InputError ERR_INPUT */
export function parseKeyFilter(given: unknown): v.InferOutput<typeof keyFilter> {
  const filter = parse(keyFilter, given ?? {});
  if (filter.tenant !== undefined) checkName(filter.tenant, "tenant");
  return filter;
}

/** @throws InputError ERR_INPUT */
export function parseSuspend(given: unknown): { reason: string } {
  return parse(suspendOptions, given);
}
