/** Lengths of time as text: a number and a unit. */

import { InputError } from "./errors.js";

export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a duration such as "90d"; `name` is the option's, for the error. @throws InputError ERR_INPUT */
export function parseDuration(text: unknown, name: string): number {
  const match = typeof text === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  const ms = match === null ? Number.NaN : Number(match[1]) * (UNIT_MS[match[2] as string] as number);
  const whole = Math.round(ms);
  if (!(whole >= 1) || !Number.isSafeInteger(whole)) {
    throw new InputError("ERR_INPUT", `"${name}" expected a duration such as "60s" or "90d"`);
  }
  return whole;
}
