/** What things are called and how they are coloured, in tables and charts alike. */

/** @typedef {{ label: string, spoken?: string, colour: string, dash?: string, ours?: boolean }} Look */

/** @type {Readonly<Record<string, Look>>} */
const LOOKS = {
  keyladder: { label: "keyladder", colour: "ours", ours: true },
  avx512: { label: "keyladder AVX-512", colour: "ours", ours: true },
  avx2: { label: "keyladder AVX2", colour: "ours-2", ours: true },
  aesni: { label: "keyladder AES-NI", colour: "ours-3", ours: true },
  "create-cipheriv": { label: "createCipheriv", colour: "orange" },
  webcrypto: { label: "WebCrypto", colour: "teal" },
  noble: { label: "noble-ciphers", colour: "pink" },
  libsodium: { label: "libsodium ChaCha20", colour: "green" },
  "aws-esdk": { label: "AWS Encryption SDK", spoken: "the AWS Encryption SDK", colour: "teal" },
  evp: { label: "OpenSSL EVP", colour: "orange" },
  "openssl speed": { label: "openssl speed", colour: "pink", dash: "2 4" },
  "ipsec-mb": { label: "Intel ipsec-mb", colour: "teal" },
  "cp + sync": { label: "cp + sync", colour: "grey" },
  age: { label: "age", colour: "orange" },
  "two-threads": { label: "keyladder, two threads", colour: "ours", ours: true },
};

/** @param {string} contender @returns {Look} */
export const lookOf = (contender) => LOOKS[contender] ?? { label: contender, colour: "grey" };

/** @param {number} ratio */
export function ratioText(ratio) {
  if (!Number.isFinite(ratio)) return "?";
  const digits = ratio >= 100 ? 0 : ratio >= 10 ? 1 : 2;
  return `${ratio.toFixed(digits)}×`;
}

/** @param {number} ms */
export function timeText(ms) {
  if (ms < 0.001) return `${(ms * 1e6).toFixed(0)} ns`;
  if (ms < 1) return `${(ms * 1000).toPrecision(3)} µs`;
  return ms < 1000 ? `${ms.toPrecision(3)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** @param {number} gbPerSecond */
export const speedText = (gbPerSecond) =>
  gbPerSecond >= 0.1 ? `${gbPerSecond.toFixed(2)} GB/s` : `${(gbPerSecond * 1000).toPrecision(2)} MB/s`;

/** A row's own figure: a duration where bytes are not the point. @param {import("../harness/measure.mjs").Row} row */
export const figureText = ({ suite, medianMs, gbPerSecond }) =>
  suite === "files" || suite === "rows" || suite === "ladder" ? timeText(medianMs) : speedText(gbPerSecond);
