/** A file as a RangeSource. Node only. */

import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { ioError } from "../atomic-file.js";
import { InputError } from "../errors.js";
import type { RangeSource } from "./range-source.js";

/** A path or file URL as a path. @throws InputError ERR_INPUT */
export function pathOf(file: string | URL, name: string): string {
  if (typeof file === "string" && file.length > 0) return file;
  if (file instanceof URL && file.protocol === "file:") return fileURLToPath(file);
  throw new InputError("ERR_INPUT", `"${name}" expected a path or a file: URL`);
}

/** Reads slices of a file; opened for each, so that there is nothing to close. @throws StoreError ERR_IO */
export async function fileSource(file: string | URL): Promise<RangeSource> {
  const path = pathOf(file, "source");
  const handle = await open(path, "r").catch((error) => Promise.reject(ioError(error, `read ${path}`)));
  const { size } = await handle.stat().finally(() => handle.close());
  return {
    byteLength: size,
    async slice(start, end = size) {
      const out = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      try {
        const reading = await open(path, "r");
        try {
          let at = 0;
          while (at < out.length) {
            const { bytesRead } = await reading.read(out, at, out.length - at, start + at);
            if (bytesRead === 0) return out.buffer.slice(0, at);
            at += bytesRead;
          }
        } finally {
          await reading.close();
        }
      } catch (error) {
        throw ioError(error, `read ${path}`);
      }
      return out.buffer;
    },
  };
}
