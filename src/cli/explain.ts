/** keyladder explain: what an error code means and what to do. */

import type { Command } from "commander";
import { usageError } from "./exit-codes.js";
import { EXPLANATIONS, type Explanation } from "./explanations.js";
import { wrap } from "./output.js";
import type { Session } from "./session.js";

export function registerExplain(program: Command, session: Session): void {
  program
    .command("explain")
    .summary("what an error code means, and what to do")
    .description("Say what an error code means and what to do about it.")
    .argument("[CODE]", "such as ERR_CONTEXT_MISMATCH; none lists them all")
    .addHelpText("after", "\nExample:\n  keyladder explain ERR_CONTEXT_MISMATCH")
    .action((code: string | undefined) => explain(session, code));
}

function explain(session: Session, given: string | undefined): void {
  if (given === undefined) {
    for (const [code, { exit, means }] of Object.entries(EXPLANATIONS)) {
      session.out.result(`${code.padEnd(28)} exit ${String(exit).padEnd(3)}`.trimEnd(), { code, exit, means });
    }
    return;
  }
  const upper = given.toUpperCase();
  const code = upper.startsWith("ERR_") ? upper : `ERR_${upper}`;
  const found = lookUp(code);
  if (found === undefined) {
    const part = code.slice(4);
    const near = Object.keys(EXPLANATIONS).filter((name) => part !== "" && name.includes(part));
    throw usageError(
      `no error code "${given}"`,
      near.length > 0 ? `${near.join(", ")}?` : "keyladder explain lists them all",
    );
  }
  const text = `${code}  exit ${found.exit}\n\n${wrap(found.means, 78).join("\n")}\n\nWhat to do:\n${wrap(found.todo, 78).join("\n")}`;
  session.out.result(text, { code, ...found });
}

function lookUp(code: string): Explanation | undefined {
  return Object.hasOwn(EXPLANATIONS, code) ? EXPLANATIONS[code as keyof typeof EXPLANATIONS] : undefined;
}
