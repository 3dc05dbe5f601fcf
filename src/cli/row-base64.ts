/** Base64 (RFC 4648 4) from and into larger arrays, without a string or an array for each value. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
/** Of twelve bits: the two characters, as one number. */
const PAIRS = new Uint16Array(4096);
/** Of a character: its six bits; above 63 for what is none. */
const BITS = new Uint8Array(256).fill(0x80);

for (let i = 0; i < 4096; i++) PAIRS[i] = (ALPHABET.charCodeAt(i >>> 6) << 8) | ALPHABET.charCodeAt(i & 63);
for (let i = 0; i < 64; i++) BITS[ALPHABET.charCodeAt(i)] = i;

export function base64Bytes(bytes: number): number {
  return 4 * Math.ceil(bytes / 3);
}

/**
 * Three bytes in, four out, at a time. Public data only: the tables are looked up by it.
 * @returns where it ends in `out`
 */
export function writeBase64(words: DataView, from: number, to: number, out: DataView, start: number): number {
  let at = start;
  let i = from;
  // Each step reads one byte more than it takes, so the last group may have to go the long way.
  for (const last = Math.min(to - 3, words.byteLength - 4); i <= last; i += 3) {
    const group = words.getUint32(i) >>> 8;
    out.setUint32(at, ((PAIRS[group >>> 12] as number) << 16) | (PAIRS[group & 4095] as number));
    at += 4;
  }
  for (; i < to; i += 3) {
    const left = to - i;
    let group = words.getUint8(i) << 16;
    if (left > 1) group |= words.getUint8(i + 1) << 8;
    if (left > 2) group |= words.getUint8(i + 2);
    const high = PAIRS[group >>> 12] as number;
    const low = PAIRS[group & 4095] as number;
    out.setUint16(at, high);
    out.setUint16(at + 2, left > 2 ? low : left > 1 ? (low & 0xff00) | PAD : (PAD << 8) | PAD);
    at += 4;
  }
  return at;
}

/**
 * Strictly: whole groups, padding where it belongs and zero bits below it.
 * @returns where it ends in `out`; -1 for anything else
 */
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
