/** Many files, one after the other: each failure is listed and the others go on. */

import { EXIT } from "./exit-codes.js";
import type { FileJob, Plan } from "./files.js";
import type { Session } from "./session.js";
import { oneLine } from "./text.js";

export interface BatchWords {
  /** Completes "N of M files …". */
  readonly done: string;
}

/** Says what was left alone, and why. Explicitly named files are never among them. */
export function noteSkipped(session: Session, plan: Plan): void {
  for (const { path, why } of plan.skipped) session.out.note(`skipped ${oneLine(path)}: ${why}`);
}

/**
 * Runs `work` for each job. One job fails as itself; of many, each failure is listed and the exit code becomes 11.
 * An interruption ends it at once.
 */
export async function runBatch(
  session: Session,
  jobs: readonly FileJob[],
  words: BatchWords,
  work: (job: FileJob) => Promise<void>,
): Promise<void> {
  let failed = 0;
  for (const job of jobs) {
    session.signal.throwIfAborted();
    try {
      await work(job);
    } catch (error) {
      session.signal.throwIfAborted();
      if (jobs.length === 1) throw error;
      session.out.error(error, job.from);
      failed++;
    }
  }
  if (jobs.length === 0) session.out.note("nothing to do");
  else if (jobs.length > 1) session.out.note(`${jobs.length - failed} of ${jobs.length} files ${words.done}`);
  if (failed > 0) session.exitCode = EXIT.someFailed;
}
