// What a contender can do, and the memory it does it in. All write the same bytes, or they are not timed.

#ifndef KEYLADDER_BENCH_CONTENDER_H_
#define KEYLADDER_BENCH_CONTENDER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace bench {

constexpr size_t kKeyBytes = 32;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
constexpr size_t kFrameBytes = 4096;
constexpr size_t kFramePrefixBytes = 4 + kNonceBytes;
constexpr size_t kMessageIdBytes = 32;
constexpr char kFrameText[] = "AWSKMSEncryptionClient Frame";
constexpr size_t kFrameTextBytes = sizeof kFrameText - 1;
constexpr size_t kFrameAadBytes = kMessageIdBytes + kFrameTextBytes + 4 + 8;
// Tink: a version byte and the id of the key.
constexpr size_t kRecordPrefixBytes = 5;
constexpr size_t kRecordOverheadBytes = kRecordPrefixBytes + kNonceBytes + kTagBytes;

enum class Kind { kBuffer, kFrames, kRecords };

// One case: `count` items of `itemBytes`. Buffers are as large as the kind's wire form asks.
struct Work {
  Kind kind;
  size_t count;
  size_t itemBytes;
  std::vector<uint8_t> nonces;     // kNonceBytes a record; the first serves a buffer
  std::vector<uint8_t> messageId;
  std::vector<uint8_t> prefix;
  std::vector<uint8_t> plain;
  std::vector<uint8_t> wire;
  std::vector<uint8_t> opened;
  std::vector<uint32_t> plainOffsets;
  std::vector<uint32_t> wireOffsets;
  std::vector<uint32_t> writtenOffsets;
  std::vector<uint8_t> status;
};

class Contender {
 public:
  explicit Contender(std::string name) : name_(std::move(name)) {}
  virtual ~Contender() = default;
  Contender(const Contender&) = delete;
  Contender& operator=(const Contender&) = delete;

  const std::string& name() const { return name_; }
  // From `plain` into `wire`.
  virtual void seal(Work& work) = 0;
  // From `wire` into `opened`; false where a tag does not verify.
  virtual bool open(Work& work) = 0;
  // AES-CTR alone over one buffer, where there is such a thing to compare with.
  virtual bool hasCtr() const { return false; }
  virtual void ctr(Work&) {}

 private:
  std::string name_;
};

inline void writeU32(uint8_t* at, uint32_t value) {
  at[0] = static_cast<uint8_t>(value >> 24);
  at[1] = static_cast<uint8_t>(value >> 16);
  at[2] = static_cast<uint8_t>(value >> 8);
  at[3] = static_cast<uint8_t>(value);
}

// For libraries with one AEAD call at a time. `Self` has
//   void sealOne(nonce, aad, aadBytes, src, bytes, dst)        writes ciphertext, then tag
//   bool openOne(nonce, aad, aadBytes, src, bytes, dst)        reads ciphertext of `bytes`, then tag
template <class Self>
class OneAtATime : public Contender {
 public:
  using Contender::Contender;

  void seal(Work& work) override { walk<true>(work); }
  bool open(Work& work) override { return walk<false>(work); }

 private:
  template <bool kSeal>
  bool one(const uint8_t* nonce, const uint8_t* aad, size_t aadBytes, Work& work, size_t plainAt, size_t wireAt) {
    Self& self = static_cast<Self&>(*this);
    if constexpr (kSeal) {
      self.sealOne(nonce, aad, aadBytes, &work.plain[plainAt], work.itemBytes, &work.wire[wireAt]);
      return true;
    } else {
      return self.openOne(nonce, aad, aadBytes, &work.wire[wireAt], work.itemBytes, &work.opened[plainAt]);
    }
  }

  template <bool kSeal>
  bool walk(Work& work) {
    switch (work.kind) {
      case Kind::kBuffer:
        return one<kSeal>(work.nonces.data(), nullptr, 0, work, 0, 0);
      case Kind::kFrames:
        return frames<kSeal>(work);
      case Kind::kRecords:
        return records<kSeal>(work);
    }
    return false;
  }

  template <bool kSeal>
  bool frames(Work& work) {
    uint8_t aad[kFrameAadBytes];
    uint8_t nonce[kNonceBytes] = {};
    std::memcpy(aad, work.messageId.data(), kMessageIdBytes);
    std::memcpy(aad + kMessageIdBytes, kFrameText, kFrameTextBytes);
    uint8_t* sequenceAt = aad + kMessageIdBytes + kFrameTextBytes;
    writeU32(sequenceAt + 4, 0);
    writeU32(sequenceAt + 8, static_cast<uint32_t>(work.itemBytes));
    bool opened = true;
    for (size_t i = 0; i < work.count; i++) {
      const uint32_t sequence = static_cast<uint32_t>(i + 1);
      const size_t wireAt = i * (kFramePrefixBytes + work.itemBytes + kTagBytes);
      writeU32(sequenceAt, sequence);
      writeU32(nonce + kNonceBytes - 4, sequence);
      if constexpr (kSeal) {
        writeU32(&work.wire[wireAt], sequence);
        std::memcpy(&work.wire[wireAt + 4], nonce, kNonceBytes);
      }
      opened &= one<kSeal>(nonce, aad, sizeof aad, work, i * work.itemBytes, wireAt + kFramePrefixBytes);
    }
    return opened;
  }

  template <bool kSeal>
  bool records(Work& work) {
    bool opened = true;
    for (size_t i = 0; i < work.count; i++) {
      const size_t wireAt = i * (work.itemBytes + kRecordOverheadBytes);
      uint8_t* nonce = &work.wire[wireAt + kRecordPrefixBytes];
      if constexpr (kSeal) {
        std::memcpy(&work.wire[wireAt], work.prefix.data(), kRecordPrefixBytes);
        std::memcpy(nonce, &work.nonces[i * kNonceBytes], kNonceBytes);
      }
      opened &= one<kSeal>(nonce, nullptr, 0, work, i * work.itemBytes, wireAt + kRecordPrefixBytes + kNonceBytes);
    }
    return opened;
  }
};

using Contenders = std::vector<std::unique_ptr<Contender>>;
// Each adds what this machine has.
void addKernels(Contenders& all, const uint8_t key[kKeyBytes]);
void addEvp(Contenders& all, const uint8_t key[kKeyBytes]);
void addIpsecMb(Contenders& all, const uint8_t key[kKeyBytes]);

}  // namespace bench

#endif  // KEYLADDER_BENCH_CONTENDER_H_
