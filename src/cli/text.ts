/** How values read to people: sizes, dates, durations, paths, and text from strangers made harmless for a terminal. */

import { homedir } from "node:os";
import { sep } from "node:path";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** 12.0 MiB; whole bytes below 1 KiB. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** 2026-11-23, UTC. */
export function dateText(date: Date): string {
  return date.toISOString().slice(0, 10);
}

/** A path below the home folder, written with a tilde. */
export function pathText(path: string): string {
  const home = homedir();
  if (path === home) return "~";
  return path.startsWith(home + sep) ? `~${path.slice(home.length)}` : path;
}

/** Pairs as the user would type them: a=1 b=2. */
export function contextText(context: Readonly<Record<string, string>>): string {
  return Object.entries(context)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
}

const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text with nothing in it that drives a terminal: file names and contexts come from strangers. Line breaks and tabs of
 * our own layout stay.
 */
export function harmless(text: string): string {
  return text.replace(CONTROL, (c) => {
    if (c === "\n" || c === "\t") return c;
    return `\\u{${(c.codePointAt(0) as number).toString(16)}}`;
  });
}

/** The same for one value inside a line, where a line break would forge a line. */
export function oneLine(text: string): string {
  return harmless(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
