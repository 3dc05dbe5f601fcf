/** Base64 (RFC 4648 4) from and into larger arrays, without a string or an array for each value. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
/** "A": six zero bits. */
const ZERO = 0x41;
/** Of twelve bits: the two characters, as one number. */
const PAIRS = new Uint16Array(4096);
/** Of two characters, as one number: their twelve bits; `NONE` where one of them is none of the alphabet. */
const BITS = new Uint16Array(65536).fill(0x8000);
const NONE = 0x8000;

for (let i = 0; i < 4096; i++) {
  const pair = (ALPHABET.charCodeAt(i >>> 6) << 8) | ALPHABET.charCodeAt(i & 63);
  PAIRS[i] = pair;
  BITS[pair] = i;
}

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
 * @param out a byte behind the end is overwritten
 * @returns where it ends in `out`; -1 for anything else
 */
export function readBase64(text: DataView, from: number, to: number, out: DataView, start: number): number {
  if ((to - from) % 4 !== 0) return -1;
  if (from === to) return start;
  const padding = text.getUint8(to - 1) !== PAD ? 0 : text.getUint8(to - 2) !== PAD ? 1 : 2;
  const whole = padding === 0 ? to : to - 4;
  let at = start;
  let wrong = 0;
  for (let i = from; i < whole; i += 4) {
    const word = text.getInt32(i);
    const high = BITS[word >>> 16] as number;
    const low = BITS[word & 0xffff] as number;
    wrong |= high | low;
    out.setInt32(at, (high << 20) | (low << 8));
    at += 3;
  }
  if (padding > 0) {
    const high = BITS[text.getUint16(whole)] as number;
    // The third character with an "A" behind it: six bits, and six zeros.
    const low = padding === 2 ? 0 : (BITS[(text.getUint8(whole + 2) << 8) | ZERO] as number);
    // In the pair before two pads, and the one before one, the bits below the last byte are zero.
    const left = padding === 2 ? high & 15 : low & 0xff;
    wrong |= padding === 2 ? (BITS[text.getUint16(whole)] as number) : high | low;
    if (left !== 0) return -1;
    out.setUint8(at++, high >>> 4);
    if (padding === 1) out.setUint8(at++, ((high & 15) << 4) | (low >>> 8));
  }
  return (wrong & NONE) === 0 ? at : -1;
}
