// SHA-2, HMAC and HKDF against the reference, by every way a kernel has to compress a block.

#include "../../native/kernels/hkdf.h"
#include "suites.h"

namespace keyladder::test {
namespace {

struct Hash {
  HashKind kind;
  int bits;
};
constexpr Hash kHashes[] = {{HashKind::kSha256, 256}, {HashKind::kSha384, 384}, {HashKind::kSha512, 512}};

// The portable compression, and those that kernels bring.
std::vector<Sha512Block> compressions() {
  std::vector<Sha512Block> found = {nullptr};
  for (const Kernel* kernel : kernels()) {
    if (kernel->sha512 != nullptr) found.push_back(kernel->sha512);
  }
  return found;
}

void digests() {
  Part part("SHA-256, SHA-384, SHA-512: lengths 0 to 600, in one piece and in three");
  Random random(31);
  Guarded first(1024), second(1024), third(1024), out(64);
  for (const Hash& hash : kHashes) {
    for (size_t bytes = 0; bytes <= 600; bytes++) {
      const Bytes data = random.bytes(bytes), expected = referenceSha2(hash.bits, data);
      const ptrdiff_t a = static_cast<ptrdiff_t>(random.below(bytes + 1));
      const ptrdiff_t b = a + static_cast<ptrdiff_t>(random.below(bytes - static_cast<size_t>(a) + 1));
      for (Sha512Block compress : compressions()) {
        describe("SHA-%d, %s, %zu bytes", hash.bits, compress == nullptr ? "portable" : "a kernel's", bytes);
        for (const bool whole : {true, false}) {
          HashContext context;
          hashStart(&context, hash.kind, compress);
          first.place(whole ? data : Bytes(data.begin(), data.begin() + a), kAtEnd);
          hashUpdate(&context, first.data(), whole ? bytes : static_cast<size_t>(a));
          if (!whole) {
            second.place(Bytes(data.begin() + a, data.begin() + b), kAtEnd);
            hashUpdate(&context, second.data(), static_cast<size_t>(b - a));
            third.place(Bytes(data.begin() + b, data.end()), kAtBegin);
            hashUpdate(&context, third.data(), bytes - static_cast<size_t>(b));
          }
          out.place(expected.size(), kAtEnd);
          hashFinal(&context, out.data());
          CHECK(out.holds(expected) && out.isAlone());
        }
      }
    }
  }
}

void derivations() {
  const size_t cases = effort(2'000);
  Part part("HKDF: keys, salts, infos of any length, one to three outputs");
  part.note(std::to_string(cases) + " a hash");
  Random random(32);
  Guarded ikm(512), salt(512);
  std::vector<std::unique_ptr<Guarded>> infos, outs;
  for (size_t i = 0; i < 3; i++) infos.push_back(std::make_unique<Guarded>(512));
  for (size_t i = 0; i < 3; i++) outs.push_back(std::make_unique<Guarded>(64));
  for (const Hash& hash : kHashes) {
    for (size_t i = 0; i < cases; i++) {
      const Bytes key = random.bytes(random.oneIn(2) ? kKeySizes[i % 3] : 1 + random.below(300));
      const Bytes saltBytes = random.bytes(random.oneIn(3) ? 32 : random.below(300));
      ikm.place(key, kAtEnd);
      salt.place(saltBytes, kAtEnd);
      const size_t count = 1 + random.below(3);
      HkdfOutput outputs[3];
      std::vector<Bytes> expected;
      for (size_t j = 0; j < count; j++) {
        const Bytes info = random.bytes(random.below(300));
        const size_t bytes = 1 + random.below(hashBytes(hash.kind));
        expected.push_back(referenceHkdf(hash.bits, key, saltBytes, info, bytes));
        outputs[j] = {infos[j]->place(info, kAtEnd), info.size(), nullptr, bytes};
      }
      for (Sha512Block compress : compressions()) {
        describe("HKDF-SHA-%d, %s, key %zu, salt %zu, %zu outputs", hash.bits,
                 compress == nullptr ? "portable" : "a kernel's", key.size(), saltBytes.size(), count);
        for (size_t j = 0; j < count; j++) outputs[j].out = outs[j]->place(outputs[j].bytes, kAtEnd);
        hkdf(hash.kind, ikm.data(), key.size(), salt.data(), saltBytes.size(), outputs, count, compress);
        for (size_t j = 0; j < count; j++) CHECK(outs[j]->holds(expected[j]) && outs[j]->isAlone());
      }
    }
  }
}

}  // namespace

void checkHashes() {
  digests();
  derivations();
}

}  // namespace keyladder::test
