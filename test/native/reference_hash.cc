// SHA-2, HMAC and HKDF, the constants computed from the primes they come from.

#include <vector>

#include "reference.h"

namespace keyladder::test {
namespace {

using Wide = unsigned __int128;

std::vector<unsigned> primes(size_t count) {
  std::vector<unsigned> found;
  for (unsigned n = 2; found.size() < count; n++) {
    bool prime = true;
    for (unsigned p : found) prime = prime && n % p != 0;
    if (prime) found.push_back(n);
  }
  return found;
}

// a * b in 64-bit limbs, lowest first.
std::vector<uint64_t> times(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b) {
  std::vector<uint64_t> out(a.size() + b.size());
  for (size_t i = 0; i < a.size(); i++) {
    uint64_t carry = 0;
    for (size_t j = 0; j < b.size(); j++) {
      const Wide t = Wide{a[i]} * b[j] + out[i + j] + carry;
      out[i + j] = static_cast<uint64_t>(t);
      carry = static_cast<uint64_t>(t >> 64);
    }
    out[i + b.size()] = carry;
  }
  return out;
}

// The first 64 bits behind the point of n^(1/root), root 2 or 3: the largest x with x^root < n * 2^(64 root).
uint64_t fractionOfRoot(unsigned n, int root) {
  Wide x = 0;
  for (int bit = 69; bit >= 0; bit--) {
    const Wide tried = x | Wide{1} << bit;
    const std::vector<uint64_t> limbs = {static_cast<uint64_t>(tried), static_cast<uint64_t>(tried >> 64)};
    std::vector<uint64_t> power = times(limbs, limbs);
    if (root == 3) power = times(power, limbs);
    bool larger = power[static_cast<size_t>(root)] >= n;
    for (size_t i = static_cast<size_t>(root) + 1; i < power.size(); i++) larger = larger || power[i] != 0;
    if (!larger) x = tried;
  }
  return static_cast<uint64_t>(x);
}

template <typename Word>
Word turned(Word x, int n) {
  return static_cast<Word>(x >> n | x << (static_cast<int>(8 * sizeof(Word)) - n));
}

struct Turns {
  int a[3], e[3], s0[3], s1[3];  // the third of s0 and s1 is a shift
};
constexpr Turns kTurns32 = {{2, 13, 22}, {6, 11, 25}, {7, 18, 3}, {17, 19, 10}};
constexpr Turns kTurns64 = {{28, 34, 39}, {14, 18, 41}, {1, 8, 7}, {19, 61, 6}};

std::vector<uint64_t> fractionsOfRoots(size_t count, int root) {
  std::vector<uint64_t> found;
  for (unsigned p : primes(count)) found.push_back(fractionOfRoot(p, root));
  return found;
}
const std::vector<uint64_t> kCubeRoots = fractionsOfRoots(80, 3), kSquareRoots = fractionsOfRoots(16, 2);

template <typename Word>
Bytes digest(std::vector<Word> state, const Turns& t, size_t rounds, size_t digestBytes, Bytes data) {
  const size_t blockBytes = 16 * sizeof(Word), bits = data.size() * 8;
  std::vector<Word> constants;
  for (uint64_t root : kCubeRoots) constants.push_back(static_cast<Word>(root >> (64 - 8 * sizeof(Word))));
  data.push_back(0x80);
  while (data.size() % blockBytes != blockBytes - 2 * sizeof(Word)) data.push_back(0);
  data = data + bigEndian(0, 2 * sizeof(Word) - 8) + bigEndian(bits, 8);
  const auto sigma = [](Word x, const int (&n)[3]) { return turned(x, n[0]) ^ turned(x, n[1]) ^ turned(x, n[2]); };
  const auto small = [](Word x, const int (&n)[3]) { return turned(x, n[0]) ^ turned(x, n[1]) ^ x >> n[2]; };
  for (size_t at = 0; at < data.size(); at += blockBytes) {
    std::vector<Word> w(rounds);
    for (size_t i = 0; i < rounds; i++) {
      if (i < 16) {
        for (size_t j = 0; j < sizeof(Word); j++) w[i] = static_cast<Word>(w[i] << 8 | data[at + i * sizeof(Word) + j]);
      } else {
        w[i] = small(w[i - 2], t.s1) + w[i - 7] + small(w[i - 15], t.s0) + w[i - 16];
      }
    }
    std::vector<Word> v = state;
    for (size_t i = 0; i < rounds; i++) {
      const Word first = v[7] + sigma(v[4], t.e) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
      const Word second = sigma(v[0], t.a) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
      v = {static_cast<Word>(first + second), v[0], v[1], v[2], static_cast<Word>(v[3] + first), v[4], v[5], v[6]};
    }
    for (size_t i = 0; i < 8; i++) state[i] += v[i];
  }
  Bytes out;
  for (Word word : state) out = out + bigEndian(word, sizeof(Word));
  out.resize(digestBytes);
  return out;
}

}  // namespace

Bytes referenceSha2(int bits, const Bytes& data) {
  // FIPS 180-4 5.3: square roots of the first eight primes; of the ninth to the sixteenth for SHA-384.
  std::vector<uint64_t> wide;
  std::vector<uint32_t> narrow;
  for (size_t i = 0; i < 8; i++) {
    wide.push_back(kSquareRoots[bits == 384 ? i + 8 : i]);
    narrow.push_back(static_cast<uint32_t>(wide[i] >> 32));
  }
  const size_t bytes = static_cast<size_t>(bits) / 8;
  return bits == 256 ? digest(narrow, kTurns32, 64, bytes, data) : digest(wide, kTurns64, 80, bytes, data);
}

Bytes referenceHmac(int bits, const Bytes& key, const Bytes& data) {
  const size_t blockBytes = bits == 256 ? 64 : 128;
  Bytes inner = key.size() > blockBytes ? referenceSha2(bits, key) : key;
  inner.resize(blockBytes);
  Bytes outer = inner;
  for (size_t i = 0; i < blockBytes; i++) inner[i] ^= 0x36, outer[i] ^= 0x5C;
  return referenceSha2(bits, outer + referenceSha2(bits, inner + data));
}

Bytes referenceHkdf(int bits, const Bytes& ikm, const Bytes& salt, const Bytes& info, size_t bytes) {
  const Bytes extracted = referenceHmac(bits, salt, ikm);
  Bytes out, last;
  for (uint8_t i = 1; out.size() < bytes; i++) {
    last = referenceHmac(bits, extracted, last + info + Bytes{i});
    out = out + last;
  }
  out.resize(bytes);
  return out;
}

}  // namespace keyladder::test
