/** Base64 (RFC 4648 4) from and into larger arrays, without a string or an array for each value. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
/** Of twelve bits: the two characters. */
const FIRST = new Uint8Array(4096);
const SECOND = new Uint8Array(4096);
/** Of a character: its six bits; above 63 for what is none. */
const BITS = new Uint8Array(256).fill(0x80);

for (let i = 0; i < 4096; i++) {
  FIRST[i] = ALPHABET.charCodeAt(i >>> 6);
  SECOND[i] = ALPHABET.charCodeAt(i & 63);
}
for (let i = 0; i < 64; i++) BITS[ALPHABET.charCodeAt(i)] = i;

export function base64Bytes(bytes: number): number {
  return 4 * Math.ceil(bytes / 3);
}

/** Public data only: the tables are looked up by it. @returns where it ends in `out` */
export function writeBase64(bytes: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  let at = start;
  let i = from;
  for (; i + 2 < to; i += 3) {
    const group = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
    const high = group >>> 12;
    const low = group & 4095;
    out[at] = FIRST[high] as number;
    out[at + 1] = SECOND[high] as number;
    out[at + 2] = FIRST[low] as number;
    out[at + 3] = SECOND[low] as number;
    at += 4;
  }
  if (i === to) return at;
  const one = i + 1 === to;
  const group = ((bytes[i] as number) << 16) | (one ? 0 : (bytes[i + 1] as number) << 8);
  out[at] = FIRST[group >>> 12] as number;
  out[at + 1] = SECOND[group >>> 12] as number;
  out[at + 2] = one ? PAD : (FIRST[group & 4095] as number);
  out[at + 3] = PAD;
  return at + 4;
}

/** Strictly: whole groups, padding where it belongs and zero bits below it. @returns where it ends in `out`; -1 for anything else */
export function readBase64(text: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  if ((to - from) % 4 !== 0) return -1;
  const padding = from === to || text[to - 1] !== PAD ? 0 : text[to - 2] !== PAD ? 1 : 2;
  const whole = padding === 0 ? to : to - 4;
  let at = start;
  let wrong = 0;
  for (let i = from; i < whole; i += 4) {
    const a = BITS[text[i] as number] as number;
    const b = BITS[text[i + 1] as number] as number;
    const c = BITS[text[i + 2] as number] as number;
    const d = BITS[text[i + 3] as number] as number;
    wrong |= a | b | c | d;
    out[at] = (a << 2) | (b >>> 4);
    out[at + 1] = (b << 4) | (c >>> 2);
    out[at + 2] = (c << 6) | d;
    at += 3;
  }
  if (padding > 0) {
    const a = BITS[text[whole] as number] as number;
    const b = BITS[text[whole + 1] as number] as number;
    const c = padding === 2 ? 0 : (BITS[text[whole + 2] as number] as number);
    wrong |= a | b | c;
    if (padding === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return -1;
    out[at++] = (a << 2) | (b >>> 4);
    if (padding === 1) out[at++] = (b << 4) | (c >>> 2);
  }
  return wrong > 63 ? -1 : at;
}
