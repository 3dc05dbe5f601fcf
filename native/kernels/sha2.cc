#include "sha2.h"

#include <cstring>

#include "compiler.h"
#include "wipe.h"

namespace keyladder {

// FIPS 180-4 4.2.3: fractions of the cube roots of the first 80 primes. SHA-256 takes the upper halves of the first 64.
const uint64_t kSha512Round[80] = {
    0x428a2f98d728ae22ULL, 0x7137449123ef65cdULL, 0xb5c0fbcfec4d3b2fULL, 0xe9b5dba58189dbbcULL,
    0x3956c25bf348b538ULL, 0x59f111f1b605d019ULL, 0x923f82a4af194f9bULL, 0xab1c5ed5da6d8118ULL,
    0xd807aa98a3030242ULL, 0x12835b0145706fbeULL, 0x243185be4ee4b28cULL, 0x550c7dc3d5ffb4e2ULL,
    0x72be5d74f27b896fULL, 0x80deb1fe3b1696b1ULL, 0x9bdc06a725c71235ULL, 0xc19bf174cf692694ULL,
    0xe49b69c19ef14ad2ULL, 0xefbe4786384f25e3ULL, 0x0fc19dc68b8cd5b5ULL, 0x240ca1cc77ac9c65ULL,
    0x2de92c6f592b0275ULL, 0x4a7484aa6ea6e483ULL, 0x5cb0a9dcbd41fbd4ULL, 0x76f988da831153b5ULL,
    0x983e5152ee66dfabULL, 0xa831c66d2db43210ULL, 0xb00327c898fb213fULL, 0xbf597fc7beef0ee4ULL,
    0xc6e00bf33da88fc2ULL, 0xd5a79147930aa725ULL, 0x06ca6351e003826fULL, 0x142929670a0e6e70ULL,
    0x27b70a8546d22ffcULL, 0x2e1b21385c26c926ULL, 0x4d2c6dfc5ac42aedULL, 0x53380d139d95b3dfULL,
    0x650a73548baf63deULL, 0x766a0abb3c77b2a8ULL, 0x81c2c92e47edaee6ULL, 0x92722c851482353bULL,
    0xa2bfe8a14cf10364ULL, 0xa81a664bbc423001ULL, 0xc24b8b70d0f89791ULL, 0xc76c51a30654be30ULL,
    0xd192e819d6ef5218ULL, 0xd69906245565a910ULL, 0xf40e35855771202aULL, 0x106aa07032bbd1b8ULL,
    0x19a4c116b8d2d0c8ULL, 0x1e376c085141ab53ULL, 0x2748774cdf8eeb99ULL, 0x34b0bcb5e19b48a8ULL,
    0x391c0cb3c5c95a63ULL, 0x4ed8aa4ae3418acbULL, 0x5b9cca4f7763e373ULL, 0x682e6ff3d6b2b8a3ULL,
    0x748f82ee5defb2fcULL, 0x78a5636f43172f60ULL, 0x84c87814a1f0ab72ULL, 0x8cc702081a6439ecULL,
    0x90befffa23631e28ULL, 0xa4506cebde82bde9ULL, 0xbef9a3f7b2c67915ULL, 0xc67178f2e372532bULL,
    0xca273eceea26619cULL, 0xd186b8c721c0c207ULL, 0xeada7dd6cde0eb1eULL, 0xf57d4f7fee6ed178ULL,
    0x06f067aa72176fbaULL, 0x0a637dc5a2c898a6ULL, 0x113f9804bef90daeULL, 0x1b710b35131c471bULL,
    0x28db77f523047d84ULL, 0x32caab7b40c72493ULL, 0x3c9ebe0a15c9bebcULL, 0x431d67c49c100d4cULL,
    0x4cc5d4becb3e42b6ULL, 0x597f299cfc657e2aULL, 0x5fcb6fab3ad6faecULL, 0x6c44198c4a475817ULL,
};

namespace {

// FIPS 180-4 5.3: fractions of the square roots of the first eight primes, and of the next eight.
constexpr uint64_t kStart512[8] = {0x6a09e667f3bcc908ULL, 0xbb67ae8584caa73bULL, 0x3c6ef372fe94f82bULL,
                                   0xa54ff53a5f1d36f1ULL, 0x510e527fade682d1ULL, 0x9b05688c2b3e6c1fULL,
                                   0x1f83d9abfb41bd6bULL, 0x5be0cd19137e2179ULL};
constexpr uint64_t kStart384[8] = {0xcbbb9d5dc1059ed8ULL, 0x629a292a367cd507ULL, 0x9159015a3070dd17ULL,
                                   0x152fecd8f70e5939ULL, 0x67332667ffc00b31ULL, 0x8eb44a8768581511ULL,
                                   0xdb0c2e0d64f98fa7ULL, 0x47b5481dbefa4fa4ULL};

template <typename Word>
inline Word rotate(Word x, int n) {
  return static_cast<Word>(x >> n | x << (8 * sizeof(Word) - n));
}

// What FIPS 180-4 4.1.2 and 4.1.3 fix for each word length.
struct Sha256 {
  using Word = uint32_t;
  static constexpr int kRounds = 64;
  static Word constant(int i) { return static_cast<Word>(kSha512Round[i] >> 32); }
  static Word bigA(Word x) { return rotate(x, 2) ^ rotate(x, 13) ^ rotate(x, 22); }
  static Word bigE(Word x) { return rotate(x, 6) ^ rotate(x, 11) ^ rotate(x, 25); }
  static Word small0(Word x) { return rotate(x, 7) ^ rotate(x, 18) ^ x >> 3; }
  static Word small1(Word x) { return rotate(x, 17) ^ rotate(x, 19) ^ x >> 10; }
};
struct Sha512 {
  using Word = uint64_t;
  static constexpr int kRounds = 80;
  static Word constant(int i) { return kSha512Round[i]; }
  static Word bigA(Word x) { return rotate(x, 28) ^ rotate(x, 34) ^ rotate(x, 39); }
  static Word bigE(Word x) { return rotate(x, 14) ^ rotate(x, 18) ^ rotate(x, 41); }
  static Word small0(Word x) { return rotate(x, 1) ^ rotate(x, 8) ^ x >> 7; }
  static Word small1(Word x) { return rotate(x, 19) ^ rotate(x, 61) ^ x >> 6; }
};

template <typename Word>
inline Word loadBigEndian(const uint8_t* p) {
  Word word = 0;
  KL_UNROLL for (size_t i = 0; i < sizeof(Word); i++) word = static_cast<Word>(word << 8 | p[i]);
  return word;
}

template <typename Word>
inline void storeBigEndian(uint8_t* p, Word word) {
  KL_UNROLL for (size_t i = 0; i < sizeof(Word); i++) p[i] = static_cast<uint8_t>(word >> 8 * (sizeof(Word) - 1 - i));
}

// One round (FIPS 180-4 6.2.2, 6.4.2): the caller renames the working variables instead of moving them.
template <typename H, typename Word>
inline void round(Word a, Word b, Word c, Word* d, Word e, Word f, Word g, Word* h, Word roundAndSchedule) {
  const Word t = *h + H::bigE(e) + (g ^ (e & (f ^ g))) + roundAndSchedule;
  *d += t;
  *h = t + H::bigA(a) + ((a & b) ^ (c & (a ^ b)));
}

// Sixteen words of schedule, made anew every sixteen rounds. What it leaves on the stack, hkdf() wipes.
template <typename H>
void compress(uint64_t* state, const uint8_t* data) {
  using Word = typename H::Word;
  Word w[16];
  for (int i = 0; i < 16; i++) w[i] = loadBigEndian<Word>(data + i * sizeof(Word));
  Word a = static_cast<Word>(state[0]), b = static_cast<Word>(state[1]), c = static_cast<Word>(state[2]);
  Word d = static_cast<Word>(state[3]), e = static_cast<Word>(state[4]), f = static_cast<Word>(state[5]);
  Word g = static_cast<Word>(state[6]), h = static_cast<Word>(state[7]);
  for (int turn = 0;; turn += 16) {
    KL_UNROLL for (int i = 0; i < 16; i += 8) {
      round<H>(a, b, c, &d, e, f, g, &h, H::constant(turn + i) + w[i]);
      round<H>(h, a, b, &c, d, e, f, &g, H::constant(turn + i + 1) + w[i + 1]);
      round<H>(g, h, a, &b, c, d, e, &f, H::constant(turn + i + 2) + w[i + 2]);
      round<H>(f, g, h, &a, b, c, d, &e, H::constant(turn + i + 3) + w[i + 3]);
      round<H>(e, f, g, &h, a, b, c, &d, H::constant(turn + i + 4) + w[i + 4]);
      round<H>(d, e, f, &g, h, a, b, &c, H::constant(turn + i + 5) + w[i + 5]);
      round<H>(c, d, e, &f, g, h, a, &b, H::constant(turn + i + 6) + w[i + 6]);
      round<H>(b, c, d, &e, f, g, h, &a, H::constant(turn + i + 7) + w[i + 7]);
    }
    if (turn + 16 == H::kRounds) break;
    KL_UNROLL for (int i = 0; i < 16; i++) {
      w[i] += H::small0(w[(i + 1) & 15]) + w[(i + 9) & 15] + H::small1(w[(i + 14) & 15]);
    }
  }
  const Word after[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; i++) state[i] = static_cast<Word>(state[i] + after[i]);
}

inline size_t blockBytes(HashKind kind) { return kind == HashKind::kSha256 ? 64 : 128; }

inline void absorb(HashContext* context, const uint8_t* block) {
  if (context->kind == HashKind::kSha256) compress<Sha256>(context->state, block);
  else if (context->sha512 != nullptr) context->sha512(context->state, block);
  else compress<Sha512>(context->state, block);
}

}  // namespace

size_t hashBytes(HashKind kind) { return kind == HashKind::kSha256 ? 32 : kind == HashKind::kSha384 ? 48 : 64; }

void hashStart(HashContext* context, HashKind kind, Sha512Block sha512) {
  context->sha512 = sha512;
  context->kind = kind;
  context->held = 0;
  context->bytes = 0;
  for (int i = 0; i < 8; i++) {
    context->state[i] = kind == HashKind::kSha384   ? kStart384[i]
                        : kind == HashKind::kSha512 ? kStart512[i]
                                                    : kStart512[i] >> 32;
  }
}

void hashUpdate(HashContext* context, const uint8_t* data, size_t bytes) {
  const size_t whole = blockBytes(context->kind);
  context->bytes += bytes;
  while (bytes > 0) {
    if (context->held == 0 && bytes >= whole) {
      absorb(context, data);
      data += whole;
      bytes -= whole;
      continue;
    }
    const size_t now = bytes < whole - context->held ? bytes : whole - context->held;
    std::memcpy(context->block + context->held, data, now);
    context->held += now;
    data += now;
    bytes -= now;
    if (context->held == whole) {
      absorb(context, context->block);
      context->held = 0;
    }
  }
}

void hashFinal(HashContext* context, uint8_t* digest) {
  const size_t whole = blockBytes(context->kind);
  const size_t wordBytes = whole / 16;
  const uint64_t bits = context->bytes * 8;
  context->block[context->held++] = 0x80;
  if (context->held > whole - 2 * wordBytes) {
    std::memset(context->block + context->held, 0, whole - context->held);
    absorb(context, context->block);
    context->held = 0;
  }
  std::memset(context->block + context->held, 0, whole - 8 - context->held);
  storeBigEndian<uint64_t>(context->block + whole - 8, bits);
  absorb(context, context->block);
  for (size_t i = 0; i * wordBytes < hashBytes(context->kind); i++) {
    if (wordBytes == 8) storeBigEndian<uint64_t>(digest + 8 * i, context->state[i]);
    else storeBigEndian<uint32_t>(digest + 4 * i, static_cast<uint32_t>(context->state[i]));
  }
}

void hmacStart(HmacKey* key, HashKind kind, const uint8_t* bytes, size_t keyBytes, Sha512Block sha512) {
  const size_t whole = blockBytes(kind);
  uint8_t pad[128] = {0};
  if (keyBytes > whole) {
    HashContext context;
    hashStart(&context, kind, sha512);
    hashUpdate(&context, bytes, keyBytes);
    hashFinal(&context, pad);
    wipe(&context, sizeof context);
  } else if (keyBytes > 0) {
    std::memcpy(pad, bytes, keyBytes);
  }
  for (size_t i = 0; i < whole; i++) pad[i] ^= 0x36;
  hashStart(&key->inner, kind, sha512);
  hashUpdate(&key->inner, pad, whole);
  for (size_t i = 0; i < whole; i++) pad[i] ^= 0x36 ^ 0x5C;
  hashStart(&key->outer, kind, sha512);
  hashUpdate(&key->outer, pad, whole);
  wipe(pad, sizeof pad);
}

void hmac(const HmacKey* key, const uint8_t* data, size_t bytes, const uint8_t* more, size_t moreBytes, uint8_t* mac) {
  uint8_t digest[kMaxHashBytes];
  HashContext context = key->inner;
  hashUpdate(&context, data, bytes);
  hashUpdate(&context, more, moreBytes);
  hashFinal(&context, digest);
  const size_t length = hashBytes(context.kind);
  context = key->outer;
  hashUpdate(&context, digest, length);
  hashFinal(&context, mac);
  wipe(&context, sizeof context);
  wipe(digest, sizeof digest);
}

}  // namespace keyladder
