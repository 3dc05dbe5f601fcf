#include "self_test.h"

#include <cstring>
#include <initializer_list>

namespace keyladder {

namespace {

struct Case {
  size_t bytes, aadBytes, nonceBytes;
};

// Empty, one byte, whole blocks, just over a batch of 32 blocks, several batches; nonces that are hashed.
constexpr Case kCases[] = {
    {0, 0, 12}, {1, 20, 12}, {64, 60, 12}, {529, 13, 12}, {1000, 60, 12}, {2100, 60, 12}, {100, 60, 16}, {33, 7, 1},
};
constexpr size_t kCaseCount = sizeof kCases / sizeof *kCases;
constexpr size_t kKeySizes[] = {16, 24, 32};

// Tags by OpenSSL 3.0 over the patterns of `Pattern`; a ciphertext that its known tag fits is known too.
constexpr uint8_t kTags[3][kCaseCount][kTagBytes] = {
    {  // AES-128
        {0x45, 0x6e, 0xc4, 0xe2, 0xc7, 0x46, 0x67, 0xbe, 0x87, 0xae, 0x8e, 0x51, 0x80, 0x6c, 0xab, 0xf4},
        {0xe4, 0x47, 0xfe, 0x7b, 0x06, 0x56, 0x47, 0x60, 0xb9, 0x3e, 0xb7, 0x32, 0x3d, 0x03, 0x4a, 0x98},
        {0x24, 0x3d, 0x14, 0xae, 0xb3, 0x48, 0x1d, 0x95, 0xb2, 0x86, 0xf6, 0x31, 0x77, 0x09, 0x4e, 0x16},
        {0x69, 0x41, 0x50, 0xa3, 0xa7, 0x48, 0x84, 0xf8, 0xa6, 0x5c, 0x14, 0x0c, 0x3e, 0xf7, 0xde, 0x4d},
        {0x88, 0x06, 0x48, 0x4f, 0x2c, 0x60, 0x7e, 0x57, 0x3b, 0x47, 0xe8, 0x5b, 0xa4, 0xf0, 0x58, 0xf8},
        {0x73, 0xda, 0x36, 0x49, 0xb6, 0x47, 0x61, 0xbc, 0x9d, 0x4f, 0x6e, 0x0c, 0x77, 0x8c, 0xbd, 0xba},
        {0x1e, 0x6a, 0x5f, 0xd8, 0xb8, 0xb4, 0x59, 0x6f, 0x5f, 0x7d, 0x5c, 0x99, 0x08, 0x9a, 0x46, 0x20},
        {0x1d, 0x91, 0x6a, 0xc1, 0x03, 0xda, 0x53, 0x62, 0xb5, 0x01, 0xa1, 0x78, 0xc5, 0xcb, 0x2f, 0xc1},
    },
    {  // AES-192
        {0xb7, 0xd1, 0xba, 0x73, 0x3a, 0x7e, 0x50, 0x2e, 0xd0, 0x99, 0x54, 0xc6, 0x64, 0x6e, 0xa2, 0xe2},
        {0x72, 0x4c, 0x86, 0xcf, 0xf9, 0xf1, 0x7a, 0x80, 0xbe, 0xa4, 0x2e, 0xe7, 0xfe, 0x8e, 0x51, 0x39},
        {0x81, 0xdb, 0x65, 0x7e, 0x90, 0x35, 0x55, 0x5f, 0xbd, 0x5e, 0xe3, 0x7f, 0xbd, 0x42, 0x3d, 0x09},
        {0xc7, 0x96, 0xcb, 0xa4, 0x53, 0xd3, 0x1e, 0x7d, 0x31, 0x8f, 0x98, 0xd6, 0x4c, 0x18, 0x4e, 0x06},
        {0x27, 0x09, 0x80, 0xa5, 0x90, 0xab, 0xfa, 0xcc, 0xca, 0xef, 0xdd, 0x39, 0x76, 0x95, 0x35, 0x55},
        {0xde, 0x15, 0x23, 0x50, 0x86, 0x3b, 0xeb, 0x6d, 0x8a, 0x04, 0x57, 0x98, 0x33, 0xc4, 0x81, 0x39},
        {0x6b, 0x8b, 0x22, 0x41, 0x2c, 0x23, 0x4c, 0x31, 0x93, 0xf4, 0x92, 0xf7, 0xd8, 0xb6, 0x30, 0x2f},
        {0x00, 0x29, 0xe1, 0x03, 0xe7, 0xd3, 0x7b, 0xb1, 0xb4, 0x09, 0x23, 0x6b, 0x70, 0x85, 0x5b, 0x9c},
    },
    {  // AES-256
        {0x42, 0x45, 0xe1, 0xe1, 0xcc, 0xa7, 0xe5, 0xe3, 0xa1, 0x91, 0x46, 0xfc, 0x22, 0xfb, 0x30, 0xe9},
        {0xfd, 0x1e, 0x83, 0xa0, 0xbf, 0x38, 0x57, 0x8c, 0x57, 0xf8, 0x1f, 0x5c, 0xb1, 0x9a, 0xb4, 0x83},
        {0xc0, 0xcc, 0x45, 0xf4, 0x4b, 0xdf, 0x25, 0xbe, 0x2f, 0x37, 0x98, 0xb4, 0x88, 0xc3, 0xbc, 0x46},
        {0x8d, 0x58, 0xc9, 0xf8, 0x6d, 0x44, 0xd9, 0xa2, 0x85, 0xff, 0x3e, 0x5c, 0x00, 0xd2, 0xdd, 0x3f},
        {0x07, 0xd5, 0x69, 0xe8, 0x3b, 0x04, 0xb2, 0xc4, 0x14, 0xb8, 0xd4, 0xbf, 0x77, 0xdb, 0x75, 0x6e},
        {0x10, 0x37, 0x6a, 0xd3, 0x63, 0x4b, 0x3d, 0x3f, 0x11, 0xb8, 0x8f, 0x86, 0x5b, 0xc6, 0x36, 0x8e},
        {0x8f, 0x4c, 0x1d, 0x18, 0x05, 0x63, 0x15, 0xa5, 0x21, 0x46, 0x6f, 0xe9, 0xe4, 0xa7, 0xc3, 0x61},
        {0xe0, 0xd1, 0xf4, 0x16, 0x32, 0xa6, 0xbb, 0x06, 0x7a, 0x07, 0xad, 0x15, 0xa3, 0xe9, 0x00, 0x25},
    },
};

constexpr size_t kMostBytes = 4096;

// Bytes i * step + start.
void fill(uint8_t* out, size_t bytes, unsigned step, unsigned start) {
  for (size_t i = 0; i < bytes; i++) out[i] = static_cast<uint8_t>(i * step + start);
}

bool isZero(const uint8_t* p, size_t bytes) {
  uint8_t any = 0;
  for (size_t i = 0; i < bytes; i++) any |= p[i];
  return any == 0;
}

void putU32(uint8_t* out, uint32_t value) {
  for (int i = 0; i < 4; i++) out[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

const char* testOneShot(const Kernel& kernel, const GcmKey* key, const uint8_t (*tags)[kTagBytes], bool flip) {
  uint8_t nonce[16], aad[64], src[kMostBytes], sealed[kMostBytes], opened[kMostBytes], tag[kTagBytes], expected[kTagBytes];
  fill(aad, sizeof aad, 3, 9);
  fill(nonce, sizeof nonce, 5, 1);
  fill(src, sizeof src, 11, 2);
  for (size_t i = 0; i < kCaseCount; i++) {
    const Case& c = kCases[i];
    std::memcpy(expected, tags[i], kTagBytes);
    if (flip) expected[i % kTagBytes] ^= 0x10;
    kernel.seal(key, nonce, c.nonceBytes, aad, c.aadBytes, src, c.bytes, sealed, tag);
    if (std::memcmp(tag, expected, kTagBytes) != 0) return "seal: another tag than the known one";
    if (!kernel.open(key, nonce, c.nonceBytes, aad, c.aadBytes, sealed, c.bytes, tag, opened, nullptr) ||
        std::memcmp(opened, src, c.bytes) != 0) {
      return "open: does not open what was sealed";
    }
    tag[15 - i] ^= 0x01;
    if (kernel.open(key, nonce, c.nonceBytes, aad, c.aadBytes, sealed, c.bytes, tag, opened, nullptr)) {
      return "open: takes a wrong tag";
    }
    if (!isZero(opened, c.bytes)) return "open: shows plaintext whose tag is wrong";
  }
  return nullptr;
}

constexpr char kRegularText[] = "AWSKMSEncryptionClient Frame";
constexpr char kFinalText[] = "AWSKMSEncryptionClient Final Frame";

// One frame as the format has it, by way of `seal`, whose answers are known. Returns its wire bytes.
size_t sealFrame(const Kernel& kernel, const GcmKey* key, const uint8_t* messageId, size_t messageIdBytes,
                 uint32_t sequence, bool final, const uint8_t* src, size_t bytes, uint8_t* out) {
  uint8_t aad[128], nonce[kNonceBytes] = {0};
  const char* text = final ? kFinalText : kRegularText;
  size_t aadBytes = messageIdBytes;
  std::memcpy(aad, messageId, messageIdBytes);
  std::memcpy(aad + aadBytes, text, std::strlen(text));
  aadBytes += std::strlen(text);
  putU32(aad + aadBytes, sequence);
  putU32(aad + aadBytes + 4, 0);
  putU32(aad + aadBytes + 8, static_cast<uint32_t>(bytes));
  aadBytes += 12;
  putU32(nonce + 8, sequence);
  uint8_t* at = out;
  if (final) putU32(at, 0xffffffff), at += 4;
  putU32(at, sequence), at += 4;
  std::memcpy(at, nonce, sizeof nonce), at += sizeof nonce;
  if (final) putU32(at, static_cast<uint32_t>(bytes)), at += 4;
  kernel.seal(key, nonce, sizeof nonce, aad, aadBytes, src, bytes, at, at + bytes);
  return static_cast<size_t>(at - out) + bytes + kTagBytes;
}

const char* testFrames(const Kernel& kernel, const GcmKey* key) {
  struct Shape {
    size_t messageIdBytes;
    uint32_t frameBytes, regularFrames, finalBytes;
  };
  constexpr Shape kShapes[] = {{32, 100, 11, 37}, {16, 512, 5, 0}, {32, 1000, 2, 1000}, {16, 1, 3, 1}};
  uint8_t messageId[32], src[kMostBytes], wire[kMostBytes], known[kMostBytes], opened[kMostBytes];
  fill(messageId, sizeof messageId, 13, 5);
  fill(src, sizeof src, 11, 2);
  for (const Shape& s : kShapes) {
    const size_t plainBytes = size_t{s.frameBytes} * s.regularFrames + s.finalBytes;
    constexpr uint32_t kFirst = 0xfe;  // so that a carry crosses a byte
    size_t wireBytes = 0;
    for (uint32_t i = 0; i <= s.regularFrames; i++) {
      const bool final = i == s.regularFrames;
      wireBytes += sealFrame(kernel, key, messageId, s.messageIdBytes, kFirst + i, final, src + i * s.frameBytes,
                             final ? s.finalBytes : s.frameBytes, known + wireBytes);
    }
    FrameBatch batch = {messageId, s.messageIdBytes, s.frameBytes, kFirst,  s.regularFrames,
                        true,      s.finalBytes,     src,          wire,    nullptr};
    kernel.sealFrames(key, &batch);
    if (std::memcmp(wire, known, wireBytes) != 0) return "sealFrames: other frames than the known ones";
    batch.src = wire;
    batch.dst = opened;
    if (!kernel.openFrames(key, &batch) || std::memcmp(opened, src, plainBytes) != 0) {
      return "openFrames: does not open what was sealed";
    }
    for (const size_t at : {size_t{4 + kNonceBytes + s.frameBytes + 3}, wireBytes - 1}) {
      wire[at] ^= 0x40;
      if (kernel.openFrames(key, &batch)) return "openFrames: takes a wrong tag";
      if (!isZero(opened, plainBytes)) return "openFrames: shows plaintext of a batch with a wrong tag";
      wire[at] ^= 0x40;
    }
  }
  return nullptr;
}

const char* testRecords(const Kernel& kernel, const GcmKey* key) {
  constexpr uint32_t kLengths[] = {0, 1, 15, 16, 17, 31, 32, 48, 63, 64, 64, 64, 64, 64, 64, 64, 64, 64, 65, 128, 129, 300};
  constexpr size_t kCount = sizeof kLengths / sizeof *kLengths;
  constexpr size_t kPrefixBytes = 5;
  constexpr size_t kOverhead = kPrefixBytes + kNonceBytes + kTagBytes;
  constexpr size_t kBad = 11;
  uint8_t prefix[kPrefixBytes], nonces[kCount * kNonceBytes], src[kMostBytes], aad[kCount * 3], known[kMostBytes];
  uint8_t records[kMostBytes], opened[kMostBytes], status[kCount];
  uint32_t srcOffsets[kCount + 1] = {0}, aadOffsets[kCount + 1] = {0}, recordOffsets[kCount + 1], openedOffsets[kCount + 1];
  fill(prefix, sizeof prefix, 1, 1);
  fill(nonces, sizeof nonces, 7, 4);
  fill(src, sizeof src, 11, 2);
  fill(aad, sizeof aad, 3, 9);
  for (size_t i = 0; i < kCount; i++) {
    srcOffsets[i + 1] = srcOffsets[i] + kLengths[i];
    aadOffsets[i + 1] = aadOffsets[i] + i % 4;
  }
  for (const bool withAad : {false, true}) {
    uint8_t* at = known;
    for (size_t i = 0; i < kCount; i++) {
      const uint8_t* nonce = nonces + i * kNonceBytes;
      std::memcpy(at, prefix, kPrefixBytes);
      std::memcpy(at + kPrefixBytes, nonce, kNonceBytes);
      at += kPrefixBytes + kNonceBytes;
      kernel.seal(key, nonce, kNonceBytes, aad + aadOffsets[i], withAad ? i % 4 : 0, src + srcOffsets[i], kLengths[i], at,
                  at + kLengths[i]);
      at += kLengths[i] + kTagBytes;
    }
    RecordBatch batch = {kCount,  prefix,        kPrefixBytes, nonces, src,    srcOffsets, withAad ? aad : nullptr,
                         withAad ? aadOffsets : nullptr, records, recordOffsets, nullptr, nullptr};
    kernel.sealRecords(key, &batch);
    const size_t wireBytes = static_cast<size_t>(at - known);
    if (recordOffsets[0] != 0 || recordOffsets[kCount] != wireBytes || std::memcmp(records, known, wireBytes) != 0) {
      return "sealRecords: other records than the known ones";
    }
    batch.src = records;
    batch.srcOffsets = recordOffsets;
    batch.dst = opened;
    batch.dstOffsets = openedOffsets;
    batch.status = status;
    if (kernel.openRecords(key, &batch) != 0 || openedOffsets[kCount] != srcOffsets[kCount] ||
        std::memcmp(opened, src, srcOffsets[kCount]) != 0) {
      return "openRecords: does not open what was sealed";
    }
    records[recordOffsets[kBad + 1] - 1] ^= 0x80;
    if (kernel.openRecords(key, &batch) != 1 || status[kBad] != kRecordNotAuthentic || status[kBad + 1] != kRecordOpened ||
        openedOffsets[kBad] != openedOffsets[kBad + 1]) {
      return "openRecords: takes a wrong tag, or fails what is right";
    }
    const uint32_t restAt = openedOffsets[kBad];
    if (std::memcmp(opened + restAt, src + srcOffsets[kBad + 1], srcOffsets[kCount] - srcOffsets[kBad + 1]) != 0) {
      return "openRecords: one wrong record disturbs the others";
    }
    records[recordOffsets[kBad] + 2] ^= 1;
    if (kernel.openRecords(key, &batch) != 1 || status[kBad] != kRecordOtherPrefix) return "openRecords: overlooks a prefix";
  }
  static_assert(kOverhead * kCount + 1500 < kMostBytes, "the records fit their arena");
  return nullptr;
}

}  // namespace

const char* selfTest(const Kernel& kernel, bool flip) {
  uint8_t bytes[32];
  fill(bytes, sizeof bytes, 7, 3);
  GcmKey key;
  const char* failed = nullptr;
  for (size_t i = 0; i < 3 && failed == nullptr; i++) {
    kernel.expand(&key, bytes, kKeySizes[i]);
    failed = testOneShot(kernel, &key, kTags[i], flip);
    if (failed == nullptr) failed = testFrames(kernel, &key);
    if (failed == nullptr) failed = testRecords(kernel, &key);
  }
  return failed;
}

}  // namespace keyladder
