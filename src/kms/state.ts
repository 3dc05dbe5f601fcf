/** States of a key by NIST SP 800-57 part 1, section 7. */

import type { KeyValues } from "./fields.js";

export type KeyState = "pre-active" | "active" | "suspended" | "deactivated" | "compromised" | "destroyed";

/** The state at a moment: what is stored, and what its dates make of an active key. */
export function keyStateAt(values: Pick<KeyValues, "state" | "activatesAt" | "expiresAt">, now: number): KeyState {
  if (values.state !== "active") return values.state;
  if (values.activatesAt !== undefined && now < values.activatesAt) return "pre-active";
  if (values.expiresAt !== undefined && now >= values.expiresAt) return "deactivated";
  return "active";
}
