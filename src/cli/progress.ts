/** A progress bar on a terminal; nothing in a pipe, with -q or with --json. */

import { SingleBar } from "cli-progress";
import type { Output } from "./output.js";
import { bytesText, oneLine } from "./text.js";

export interface Progress {
  update(doneBytes: number, totalBytes: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };
/** Below this a bar would only flicker. */
const WORTH_SHOWING_BYTES = 8 * 1024 * 1024;
const NAME_COLUMNS = 24;

/** Progress of one file, named for people. The bar erases itself at `stop`. */
export function progressOf(name: string, output: Output): Progress {
  if (output.stderr.isTTY !== true || output.mode.quiet || output.mode.json) return SILENT;
  const shown = oneLine(name);
  const label = shown.length > NAME_COLUMNS ? `…${shown.slice(1 - NAME_COLUMNS)}` : shown.padEnd(NAME_COLUMNS);
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}%  {size}  {eta_formatted} left`,
    barsize: 20,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    stream: output.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  return {
    update(doneBytes, totalBytes) {
      if (totalBytes < WORTH_SHOWING_BYTES) return;
      const size = { size: bytesText(totalBytes) };
      if (bar.isActive) bar.update(doneBytes, size);
      else bar.start(totalBytes, doneBytes, size);
    },
    stop() {
      if (bar.isActive) bar.stop();
    },
  };
}
