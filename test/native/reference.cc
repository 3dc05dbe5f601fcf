#include "reference.h"

#include <algorithm>

namespace keyladder::test {
namespace {

// Times x in GF(2^8) (FIPS 197 4.2.1).
uint8_t doubled(uint8_t a) { return static_cast<uint8_t>(a << 1 ^ (a & 0x80 ? 0x1B : 0)); }

uint8_t product(uint8_t a, uint8_t b) {
  uint8_t sum = 0;
  for (; b != 0; b = static_cast<uint8_t>(b >> 1), a = doubled(a)) {
    if (b & 1) sum ^= a;
  }
  return sum;
}

// FIPS 197 5.1.1: the inverse, then the affine map.
std::array<uint8_t, 256> makeSubstitution() {
  std::array<uint8_t, 256> table{};
  for (int a = 0; a < 256; a++) {
    uint8_t inverse = 0;
    for (int b = 0; b < 256; b++) {
      if (product(static_cast<uint8_t>(a), static_cast<uint8_t>(b)) == 1) inverse = static_cast<uint8_t>(b);
    }
    uint8_t out = 0x63;
    for (int turn = 0; turn < 5; turn++) out ^= static_cast<uint8_t>(inverse << turn | inverse >> (8 - turn));
    table[static_cast<size_t>(a)] = out;
  }
  return table;
}

const std::array<uint8_t, 256> kSubstitution = makeSubstitution();

Block exclusiveOr(Block a, const Block& b) {
  for (size_t i = 0; i < 16; i++) a[i] ^= b[i];
  return a;
}

Block blockAt(const Bytes& data, size_t at) {
  Block block;
  std::copy_n(data.begin() + static_cast<ptrdiff_t>(at), 16, block.begin());
  return block;
}

void padToBlock(Bytes& data) { data.resize((data.size() + 15) / 16 * 16); }

void increment(Block& counter) {
  for (size_t i = 16; i-- > 12 && ++counter[i] == 0;) continue;
}

// 1 / y = y^(2^128 - 2).
Block inverse(const Block& y) {
  Block result = y, power = y;
  for (int i = 0; i < 126; i++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return multiply(result, result);
}

}  // namespace

ReferenceAes::ReferenceAes(const Bytes& key) {
  const size_t words = key.size() / 4, rounds = words + 6;
  Bytes schedule = key;
  uint8_t constant = 1;
  for (size_t i = words; i < 4 * (rounds + 1); i++) {
    std::array<uint8_t, 4> t;
    std::copy_n(schedule.end() - 4, 4, t.begin());
    if (i % words == 0) std::rotate(t.begin(), t.begin() + 1, t.end());
    if (i % words == 0 || (words > 6 && i % words == 4)) {
      for (uint8_t& byte : t) byte = kSubstitution[byte];
    }
    if (i % words == 0) {
      t[0] ^= constant;
      constant = doubled(constant);
    }
    for (size_t j = 0; j < 4; j++) schedule.push_back(static_cast<uint8_t>(schedule[4 * (i - words) + j] ^ t[j]));
  }
  for (size_t r = 0; r <= rounds; r++) roundKeys_.push_back(blockAt(schedule, 16 * r));
}

Block ReferenceAes::encipher(const Block& block) const {
  Block state = exclusiveOr(block, roundKeys_[0]);
  for (size_t r = 1; r < roundKeys_.size(); r++) {
    Block moved;
    for (size_t i = 0; i < 16; i++) moved[i] = kSubstitution[state[(i + 4 * (i % 4)) % 16]];
    if (r + 1 < roundKeys_.size()) {
      for (size_t c = 0; c < 16; c += 4) {
        for (size_t i = 0; i < 4; i++) {
          const uint8_t a = moved[c + i], b = moved[c + (i + 1) % 4];
          state[c + i] = static_cast<uint8_t>(doubled(a) ^ doubled(b) ^ b ^ moved[c + (i + 2) % 4] ^ moved[c + (i + 3) % 4]);
        }
      }
    } else {
      state = moved;
    }
    state = exclusiveOr(state, roundKeys_[r]);
  }
  return state;
}

Block multiply(const Block& x, const Block& y) {
  uint64_t high = 0, low = 0, zHigh = 0, zLow = 0;
  for (size_t i = 0; i < 8; i++) high = high << 8 | y[i], low = low << 8 | y[8 + i];
  for (size_t i = 0; i < 128; i++) {
    if (x[i / 8] >> (7 - i % 8) & 1) zHigh ^= high, zLow ^= low;
    const bool carry = low & 1;
    low = low >> 1 | high << 63;
    high >>= 1;
    if (carry) high ^= uint64_t{0xE1} << 56;
  }
  Block z;
  for (size_t i = 0; i < 8; i++) {
    z[i] = static_cast<uint8_t>(zHigh >> (56 - 8 * i));
    z[8 + i] = static_cast<uint8_t>(zLow >> (56 - 8 * i));
  }
  return z;
}

ReferenceGcm::ReferenceGcm(const Bytes& key) : aes_(key), h_(aes_.encipher(Block{})) {}

Block ReferenceGcm::hash(const Bytes& data) const {
  Block y{};
  for (size_t at = 0; at < data.size(); at += 16) y = multiply(exclusiveOr(y, blockAt(data, at)), h_);
  return y;
}

Block ReferenceGcm::firstCounter(const Bytes& nonce) const {
  if (nonce.size() == 12) return blockAt(nonce + Bytes{0, 0, 0, 1}, 0);
  Bytes data = nonce;
  padToBlock(data);
  return hash(data + bigEndian(0, 8) + bigEndian(nonce.size() * 8, 8));
}

Bytes ReferenceGcm::nonceFor(const Block& j0) const {
  const Block unit = inverse(h_);
  const Block length = blockAt(bigEndian(0, 8) + bigEndian(128, 8), 0);
  const Block nonce = multiply(exclusiveOr(multiply(j0, unit), length), unit);
  return Bytes(nonce.begin(), nonce.end());
}

Bytes ReferenceGcm::seal(const Bytes& nonce, const Bytes& aad, const Bytes& plaintext) const {
  const Block j0 = firstCounter(nonce);
  Block counter = j0;
  Bytes sealed = plaintext;
  for (size_t at = 0; at < sealed.size(); at += 16) {
    increment(counter);
    const Block stream = aes_.encipher(counter);
    for (size_t i = 0; i < 16 && at + i < sealed.size(); i++) sealed[at + i] ^= stream[i];
  }
  Bytes hashed = aad;
  padToBlock(hashed);
  hashed = hashed + sealed;
  padToBlock(hashed);
  const Block y = hash(hashed + bigEndian(aad.size() * 8, 8) + bigEndian(plaintext.size() * 8, 8));
  const Block tag = exclusiveOr(y, aes_.encipher(j0));
  return sealed + Bytes(tag.begin(), tag.end());
}

Bytes referenceFrames(const ReferenceGcm& gcm, const FrameShape& f, const Bytes& plaintext) {
  Bytes wire;
  auto from = plaintext.begin();
  for (uint32_t i = 0; i < f.regularFrames + (f.hasFinal ? 1 : 0); i++) {
    const bool final = i == f.regularFrames;
    const auto to = final ? plaintext.end() : from + static_cast<ptrdiff_t>(f.frameBytes);
    const Bytes content(from, to), sequence = bigEndian(f.firstSequence + i, 4), nonce = bigEndian(0, 8) + sequence;
    const Bytes kind = fromText(final ? "AWSKMSEncryptionClient Final Frame" : "AWSKMSEncryptionClient Frame");
    if (final) wire = wire + bigEndian(0xFFFFFFFF, 4);
    wire = wire + sequence + nonce;
    if (final) wire = wire + bigEndian(content.size(), 4);
    wire = wire + gcm.seal(nonce, f.messageId + kind + sequence + bigEndian(content.size(), 8), content);
    from = to;
  }
  return wire;
}

Bytes referenceXaesKey(const Bytes& master, const Bytes& salt) {
  const ReferenceAes aes(master);
  // SP 800-38B 6.1: twice E(0), most significant bit first.
  const Block l = aes.encipher(Block{});
  Block k1;
  for (size_t i = 0; i < 16; i++) k1[i] = static_cast<uint8_t>(l[i] << 1 | (i < 15 ? l[i + 1] >> 7 : 0));
  if (l[0] & 0x80) k1[15] ^= 0x87;
  Bytes key;
  for (uint8_t half = 1; half <= 2; half++) {
    Bytes input = Bytes{0, half, 'X', 0} + salt;
    input.resize(16);
    const Block out = aes.encipher(exclusiveOr(k1, blockAt(input, 0)));
    key.insert(key.end(), out.begin(), out.end());
  }
  return key;
}

Bytes fromHex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes fromText(const std::string& text) { return Bytes(text.begin(), text.end()); }

Bytes operator+(const Bytes& a, const Bytes& b) {
  Bytes both = a;
  both.insert(both.end(), b.begin(), b.end());
  return both;
}

Bytes bigEndian(uint64_t value, size_t bytes) {
  Bytes out(bytes);
  for (size_t i = bytes; i-- > 0; value >>= 8) out[i] = static_cast<uint8_t>(value);
  return out;
}

}  // namespace keyladder::test
