// The slow and obvious way to every answer: AES byte by byte, GHASH bit by bit, SHA-2 from its primes. Shares nothing with
// the kernels; anchored by the standards' known answers in known_answers.cc. Not constant time.

#ifndef KEYLADDER_TEST_NATIVE_REFERENCE_H_
#define KEYLADDER_TEST_NATIVE_REFERENCE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace keyladder::test {

using Bytes = std::vector<uint8_t>;
using Block = std::array<uint8_t, 16>;

// FIPS 197. Keys of 16, 24 or 32 bytes.
class ReferenceAes {
 public:
  explicit ReferenceAes(const Bytes& key);
  Block encipher(const Block& block) const;

 private:
  std::vector<Block> roundKeys_;
};

// SP 800-38D.
class ReferenceGcm {
 public:
  explicit ReferenceGcm(const Bytes& key);

  // Ciphertext, then the tag.
  Bytes seal(const Bytes& nonce, const Bytes& aad, const Bytes& plaintext) const;
  // A nonce of 16 bytes whose first counter block (7.1, step 2) is `j0`.
  Bytes nonceFor(const Block& j0) const;

  const ReferenceAes& aes() const { return aes_; }
  const Block& h() const { return h_; }

 private:
  Block hash(const Bytes& data) const;  // whole blocks
  Block firstCounter(const Bytes& nonce) const;

  ReferenceAes aes_;
  Block h_;
};

// A product in GF(2^128) (SP 800-38D 6.3).
Block multiply(const Block& x, const Block& y);

// The frames of a message body, AWS Encryption SDK, framed: `plaintext` is all of them, the final one last.
struct FrameShape {
  Bytes messageId;
  size_t frameBytes;
  uint32_t firstSequence;
  uint32_t regularFrames;
  bool hasFinal;
};
Bytes referenceFrames(const ReferenceGcm& gcm, const FrameShape& frames, const Bytes& plaintext);

// XAES-256-GCM (C2SP): the key of one record, from the front of its nonce, 8 to 12 bytes.
Bytes referenceXaesKey(const Bytes& master, const Bytes& salt);

// FIPS 180-4, FIPS 198-1, RFC 5869. `bits` is 256, 384 or 512.
Bytes referenceSha2(int bits, const Bytes& data);
Bytes referenceHmac(int bits, const Bytes& key, const Bytes& data);
Bytes referenceHkdf(int bits, const Bytes& ikm, const Bytes& salt, const Bytes& info, size_t bytes);

Bytes fromHex(const std::string& hex);
Bytes fromText(const std::string& text);
Bytes operator+(const Bytes& a, const Bytes& b);
Bytes bigEndian(uint64_t value, size_t bytes);

}  // namespace keyladder::test

#endif  // KEYLADDER_TEST_NATIVE_REFERENCE_H_
