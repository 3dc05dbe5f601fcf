/** Sizes, and how they are written. */

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

/** @param {number} bytes */
export function sizeText(bytes) {
  if (bytes < KIB) return `${bytes} B`;
  if (bytes < MIB) return `${bytes / KIB} KiB`;
  return bytes < GIB ? `${bytes / MIB} MiB` : `${bytes / GIB} GiB`;
}
