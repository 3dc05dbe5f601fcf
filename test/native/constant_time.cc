// For valgrind's memcheck: keys and plaintexts are marked as undefined, so that a branch or an address that depends on
// them is an error (Langley, "ctgrind"). Everything else, lengths, nonces, associated data, ciphertexts, may be known.
// With the argument "leak" it branches on a secret itself, and memcheck must say so.

#include <valgrind/memcheck.h>

#include "../../native/kernels/hkdf.h"
#include "../../native/kernels/kernel.h"
#include "../../native/kernels/xaes.h"
#include "check.h"

namespace keyladder::test {
namespace {

void mark(const Bytes& secret) { (void)VALGRIND_MAKE_MEM_UNDEFINED(secret.data(), secret.size()); }
void unmark(const Bytes& bytes) { (void)VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size()); }

// Whether what came out carries the mark of what went in: else nothing was proven. Unmarks it.
void cameOfSecrets(const Bytes& bytes) {
  Bytes marks(bytes.size());
  if (bytes.empty()) return;
  CHECK(VALGRIND_GET_VBITS(bytes.data(), marks.data(), bytes.size()) == 1);
  unmark(bytes);
  unmark(marks);
  for (uint8_t byte : marks) CHECK(byte != 0);
}

struct Subject {
  const Kernel& kernel;
  Bytes keyBytes;
  ReferenceGcm reference;  // made before the key was marked
  GcmKey key;

  Subject(const Kernel& k, const Bytes& bytes) : kernel(k), keyBytes(bytes), reference(bytes) {
    mark(keyBytes);
    kernel.expand(&key, keyBytes.data(), keyBytes.size());
  }
};

void oneBuffer(const Subject& s, size_t bytes, size_t nonceBytes, Random& random) {
  describe("%s, %zu bytes, nonce of %zu", s.kernel.name, bytes, nonceBytes);
  const Bytes nonce = random.bytes(nonceBytes), aad = random.bytes(bytes % 90), plaintext = random.bytes(bytes);
  const Bytes expected = s.reference.seal(nonce, aad, plaintext);
  Bytes sealed(bytes + 16), opened(bytes), scratch(bytes), stream(bytes);
  mark(plaintext);
  s.kernel.seal(&s.key, nonce.data(), nonceBytes, aad.data(), aad.size(), plaintext.data(), bytes, sealed.data(),
                sealed.data() + bytes);
  cameOfSecrets(sealed);
  CHECK(sealed == expected);
  if (nonceBytes == 12) {
    s.kernel.ctr(&s.key, nonce.data(), plaintext.data(), bytes, stream.data());
    cameOfSecrets(stream);
  }
  for (uint8_t* by : {static_cast<uint8_t*>(nullptr), scratch.data()}) {
    CHECK(s.kernel.open(&s.key, nonce.data(), nonceBytes, aad.data(), aad.size(), expected.data(), bytes,
                        expected.data() + bytes, opened.data(), by));
    cameOfSecrets(opened);
    unmark(plaintext);
    CHECK(opened == plaintext);
    Bytes wrong(16);
    CHECK(!s.kernel.open(&s.key, nonce.data(), nonceBytes, aad.data(), aad.size(), expected.data(), bytes, wrong.data(),
                         opened.data(), by));
    mark(plaintext);
  }
}

void frames(const Subject& s, size_t frameBytes, size_t idBytes, Random& random) {
  describe("%s, frames of %zu, id %zu", s.kernel.name, frameBytes, idBytes);
  const FrameShape shape = {random.bytes(idBytes), frameBytes, 250, 10, true};
  const Bytes plaintext = random.bytes(frameBytes * 10 + frameBytes / 2);
  const Bytes expected = referenceFrames(s.reference, shape, plaintext);
  Bytes wire(expected.size()), opened(plaintext.size()), scratch(frameBytes);
  mark(plaintext);
  FrameBatch batch = {shape.messageId.data(), idBytes, frameBytes, 250, 10, true, frameBytes / 2, plaintext.data(),
                      wire.data(),            nullptr};
  s.kernel.sealFrames(&s.key, &batch);
  unmark(wire);
  unmark(plaintext);
  CHECK(wire == expected);
  batch.src = wire.data();
  batch.dst = opened.data();
  batch.scratch = frameBytes % 2 == 0 ? scratch.data() : nullptr;
  CHECK(s.kernel.openFrames(&s.key, &batch));
  cameOfSecrets(opened);
  CHECK(opened == plaintext);
  wire.back() ^= 1;
  CHECK(!s.kernel.openFrames(&s.key, &batch));
}

void records(const Subject& s, uint32_t most, size_t saltBytes, bool hasAad, Random& random) {
  describe("%s, records of up to %u, salt %zu", s.kernel.name, most, saltBytes);
  constexpr size_t kCount = 27;
  std::vector<uint32_t> offsets = {0}, aadOffsets = {0}, sealedOffsets(kCount + 1), openedOffsets(kCount + 1);
  for (size_t i = 0; i < kCount; i++) {
    offsets.push_back(offsets.back() + static_cast<uint32_t>(i < 8 ? most : random.below(most + 1)));
    aadOffsets.push_back(aadOffsets.back() + static_cast<uint32_t>(random.below(40)));
  }
  const Bytes values = random.bytes(offsets.back()), aad = random.bytes(aadOffsets.back()), prefix = random.bytes(5);
  const Bytes nonces = random.bytes(kCount * (saltBytes + 12));
  Bytes sealed(values.size() + kCount * (5 + saltBytes + 28)), opened(values.size()), status(kCount), scratch(most);
  mark(values);
  RecordBatch batch = {kCount, prefix.data(), 5, nonces.data(), values.data(), offsets.data(), hasAad ? aad.data() : nullptr,
                       aadOffsets.data(), sealed.data(), sealedOffsets.data(), nullptr, nullptr};
  if (saltBytes == 0) s.kernel.sealRecords(&s.key, &batch);
  else xaesSealRecords(s.kernel, &s.key, saltBytes, &batch);
  unmark(sealed);
  for (const bool spoiled : {false, true}) {
    if (spoiled) sealed[sealedOffsets[3] - 1] ^= 1, sealed[sealedOffsets[20] - 1] ^= 1;
    batch.nonces = nullptr;
    batch.src = sealed.data();
    batch.srcOffsets = sealedOffsets.data();
    batch.dst = opened.data();
    batch.dstOffsets = openedOffsets.data();
    batch.status = status.data();
    batch.scratch = hasAad ? scratch.data() : nullptr;
    const size_t failed = saltBytes == 0 ? s.kernel.openRecords(&s.key, &batch)
                                         : xaesOpenRecords(s.kernel, &s.key, saltBytes, &batch);
    CHECK(failed == (spoiled ? 2 : 0));
    if (spoiled) continue;
    cameOfSecrets(opened);
    unmark(values);
    CHECK(opened == values);
  }
}

void derivations(Sha512Block compress, Random& random) {
  for (HashKind kind : {HashKind::kSha256, HashKind::kSha384, HashKind::kSha512}) {
    for (size_t keyBytes : {16, 32, 200}) {
      const int bits = static_cast<int>(8 * hashBytes(kind));
      describe("HKDF-SHA-%d, key of %zu", bits, keyBytes);
      const Bytes key = random.bytes(keyBytes), salt = random.bytes(32), info = random.bytes(60);
      const Bytes expected = referenceHkdf(bits, key, salt, info, 32);
      Bytes first(32), second(32);
      mark(key);
      const HkdfOutput outputs[] = {{info.data(), 60, first.data(), 32}, {info.data(), 9, second.data(), 32}};
      hkdf(kind, key.data(), keyBytes, salt.data(), 32, outputs, 2, compress);
      cameOfSecrets(first);
      cameOfSecrets(second);
      CHECK(first == expected);
    }
  }
}

void checkKernel(const Kernel& kernel) {
  Part part(kernel.name);
  Random random(61);
  for (size_t keyBytes : {16, 24, 32}) {
    const Subject s(kernel, random.bytes(keyBytes));
    Bytes block = random.bytes(16);
    kernel.block(&s.key, block.data(), block.data());
    cameOfSecrets(block);
    for (size_t bytes = 0; bytes <= 1300; bytes += 1 + bytes / 8) {
      oneBuffer(s, bytes, 12, random);
      if (bytes % 3 == 0) oneBuffer(s, bytes, 1 + bytes % 40, random);
    }
    oneBuffer(s, 6000, 12, random);
    oneBuffer(s, 6000, 16, random);
    for (size_t frameBytes : {1, 16, 100, 513, 1030}) frames(s, frameBytes, frameBytes % 2 == 0 ? 16 : 32, random);
    for (uint32_t most : {0, 1, 20, 64, 100, 130, 200, 600}) {
      records(s, most, 0, false, random);
      records(s, most, 0, true, random);
      if (keyBytes == 32) records(s, most, most % 2 == 0 ? 12 : 8, true, random);
    }
  }
  if (kernel.sha512 != nullptr) derivations(kernel.sha512, random);
}

// What must be found.
void leak() {
  const Bytes secret = Random(62).bytes(16);
  Subject s(kAesni, secret);
  if (s.key.roundKeys[3][5] & 1) std::printf("odd\n");
}

}  // namespace
}  // namespace keyladder::test

int main(int count, char** arguments) {
  using namespace keyladder;
  if (RUNNING_ON_VALGRIND == 0) {
    std::fprintf(stderr, "this proves nothing outside of valgrind\n");
    return 1;
  }
  if (count > 1 && std::strcmp(arguments[1], "leak") == 0) {
    test::leak();
    return 0;
  }
  for (const Kernel* kernel : {&kAesni, &kAvx2, &kAvx512}) test::checkKernel(*kernel);
  test::Random random(63);
  test::derivations(nullptr, random);
}
