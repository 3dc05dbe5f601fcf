/** keyladder status: one line and an exit code, for probes. */

import type { Command } from "commander";
import { engineInfo } from "../index.js";
import { EXIT } from "./exit-codes.js";
import { globalFlags, type Session, withLadder } from "./session.js";
import { oneLine } from "./text.js";

export function registerStatus(program: Command, session: Session): void {
  program
    .command("status")
    .summary("one line and an exit code, for probes")
    .description("Open the ladder, ask the token for a real operation, and say how it is.")
    .action((_options: unknown, self: Command) => status(session, self));
}

async function status(session: Session, command: Command): Promise<void> {
  await withLadder(session, globalFlags(command), async (ladder) => {
    const started = performance.now();
    const info = await ladder.info();
    const ms = performance.now() - started;
    const { engine, kernel } = engineInfo();
    const up = info.hsm.every(({ health }) => health === "up");
    const tokens = info.hsm.map(({ kind, label, hardware, health }) => {
      const token = hardware ? `${kind} "${oneLine(label)}"` : `${kind} token, not an HSM,`;
      return `${token} ${health} ${ms.toFixed(1)} ms`;
    });
    const keys = `${info.keys} ${info.keys === 1 ? "key" : "keys"}`;
    const store = `${info.store.kind} schema ${info.store.schema}`;
    const bulk = kernel === undefined ? engine : `${engine} ${kernel}`;
    session.out.result(`${up ? "ok" : "down"}  ${[...tokens, store, keys, bulk].join(" · ")}`, {
      ok: up,
      ...info,
      engine,
      ms,
    });
    if (!up) session.exitCode = EXIT.hsm;
  });
}
