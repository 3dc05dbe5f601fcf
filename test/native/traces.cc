// No call leaves a key, a power of H, key stream, plaintext or an expected tag behind: neither on the stack below its
// caller nor in a register.

#include "../../native/kernels/hkdf.h"
#include "../../native/kernels/xaes.h"
#include "kernels.h"
#include "observe.h"

namespace keyladder::test {
namespace {

Traces traces;

// The stack's end is the caller's stack pointer.
bool isFound(const Secrets& secrets) {
  return secrets.isIn(traces.stack, sizeof traces.stack, "the stack") ||
         secrets.isIn(traces.vectors, sizeof traces.vectors, "the vector registers") ||
         secrets.isIn(traces.general, sizeof traces.general, "the general registers");
}

// Whether what was wiped reaches at least as deep as the call did: under it there is only the paint, but for the return
// address of whoever wiped.
bool isWipedToTheEnd() {
  size_t deepest = 0;
  while (deepest < sizeof traces.stack && traces.stack[deepest] == kPaint) deepest++;
  constexpr size_t kSlack = 64, kZeros = 512;
  size_t zeros = 0;
  for (size_t at = deepest; at < sizeof traces.stack && at < deepest + kSlack + kZeros; at++) {
    zeros = traces.stack[at] == 0 ? zeros + 1 : 0;
    if (zeros == kZeros) return true;
  }
  std::fprintf(stderr, "%zu bytes of stack were used, more than was wiped\n", sizeof traces.stack - deepest);
  return false;
}

// Runs and looks; `what` was described before.
template <typename Call>
void leavesNothing(const Secrets& secrets, const Call& call) {
  observe(&traces, call);
  if (isFound(secrets)) {
    std::fprintf(stderr, "%s\n", Secrets::finding);
    CHECK(!"a secret was left behind");
  }
  CHECK(isWipedToTheEnd());
}

void addKey(Secrets& secrets, const TestKey& key, size_t number) {
  secrets.add("the key", key.bytes);
  const GcmKey* gcm = key.of(number);
  secrets.add("powers of H", gcm->powers[0], sizeof gcm->powers);
  secrets.add("powers of H, folded", gcm->sums[0], sizeof gcm->sums);
  secrets.add("round keys", gcm->roundKeys[0], (gcm->rounds + 1) * 16);
  secrets.add("H", key.reference.h().data(), 16);
}

// What sealing a text passes through: the text, its key stream, the tag's mask and the hash under it.
void addText(Secrets& secrets, const TestKey& key, const Bytes& nonce, const Bytes& aad, const Bytes& plaintext) {
  secrets.add("plaintext", plaintext);
  secrets.add("key stream", key.reference.seal(nonce, {}, Bytes(plaintext.size() + 1024)));
  const Bytes sealed = key.reference.seal(nonce, aad, plaintext);
  Block mask{};
  std::copy(nonce.begin(), nonce.end(), mask.begin());
  mask[15] = 1;
  mask = key.reference.aes().encipher(mask);
  secrets.add("the mask of the tag", mask.data(), 16);
  Block hash;
  for (size_t i = 0; i < 16; i++) hash[i] = sealed[plaintext.size() + i] ^ mask[i];
  secrets.add("the hash", hash.data(), 16);
}

__attribute__((noinline)) void leaveOnStack(const uint8_t* secret) {
  uint8_t local[640];
  std::memcpy(local + 13, secret, 16);
  __asm__ volatile("" : : "r"(local) : "memory");
}

void findsWhatIsLeft() {
  const Part part("the search finds a secret that was left on the stack, and one in a register");
  Random random(41);
  const Bytes secret = random.bytes(16);
  Secrets secrets;
  secrets.add("a secret", secret);
  observe(&traces, [&] { leaveOnStack(secret.data()); });
  CHECK(secrets.isIn(traces.stack, sizeof traces.stack, "the stack"));
  observe(&traces, [&] { __asm__ volatile("movdqu (%0), %%xmm13" : : "r"(secret.data()) : "xmm13"); });
  CHECK(secrets.isIn(traces.vectors, sizeof traces.vectors, "the vector registers"));
  CHECK(!secrets.isIn(traces.stack, sizeof traces.stack, "the stack"));
}

void oneBuffer(size_t number, size_t keyBytes, Random& random) {
  const Kernel& k = *kernels()[number];
  const TestKey key(random.bytes(keyBytes));
  const GcmKey* gcm = key.of(number);
  for (size_t bytes = 0; bytes < 1500; bytes += bytes < 200 ? 1 : 37) {
    const Bytes nonce = random.bytes(12), aad = random.bytes(bytes % 70), plaintext = random.bytes(bytes);
    Bytes sealed = key.reference.seal(nonce, aad, plaintext), out(bytes + 1), scratch(bytes + 1);
    Secrets secrets;
    addKey(secrets, key, number);
    addText(secrets, key, nonce, aad, plaintext);
    describe("seal, %s, key %zu, %zu bytes", k.name, keyBytes, bytes);
    uint8_t tag[16];
    leavesNothing(secrets, [&] {
      k.seal(gcm, nonce.data(), 12, aad.data(), aad.size(), plaintext.data(), bytes, out.data(), tag);
    });
    describe("ctr, %s, key %zu, %zu bytes", k.name, keyBytes, bytes);
    leavesNothing(secrets, [&] { k.ctr(gcm, nonce.data(), plaintext.data(), bytes, out.data()); });
    bool opened = false;
    describe("open, %s, key %zu, %zu bytes", k.name, keyBytes, bytes);
    leavesNothing(secrets, [&] {
      opened = k.open(gcm, nonce.data(), 12, aad.data(), aad.size(), sealed.data(), bytes, sealed.data() + bytes,
                      out.data(), bytes % 2 == 0 ? nullptr : scratch.data());
    });
    CHECK(opened);
    // The tag that would have been right is a secret too.
    describe("open with a wrong tag, %s, key %zu, %zu bytes", k.name, keyBytes, bytes);
    secrets.add("the right tag", sealed.data() + bytes, 16);
    uint8_t wrong[16] = {0};
    leavesNothing(secrets, [&] {
      opened = k.open(gcm, nonce.data(), 12, aad.data(), aad.size(), sealed.data(), bytes, wrong, out.data(), nullptr);
    });
    CHECK(!opened);
  }
  Secrets secrets;
  addKey(secrets, key, number);
  const Bytes longNonce = random.bytes(37), text = random.bytes(100);
  Bytes out(100);
  uint8_t tag[16], block[16];
  describe("expand, block, another nonce, %s, key %zu", k.name, keyBytes);
  GcmKey again;
  leavesNothing(secrets, [&] { k.expand(&again, key.bytes.data(), keyBytes); });
  leavesNothing(secrets, [&] { k.block(gcm, text.data(), block); });
  secrets.add("plaintext", text);
  leavesNothing(secrets, [&] { k.seal(gcm, longNonce.data(), 37, nullptr, 0, text.data(), 100, out.data(), tag); });
}

void frames(size_t number, Random& random) {
  const Kernel& k = *kernels()[number];
  const TestKey key(random.bytes(32));
  for (size_t frameBytes = 1; frameBytes < 1200; frameBytes += 1 + frameBytes / 8) {
    const FrameShape shape = {random.bytes(32), frameBytes, 1, 9, true};
    const Bytes plaintext = random.bytes(frameBytes * 9 + frameBytes / 2);
    Bytes wire = referenceFrames(key.reference, shape, plaintext), out(wire.size()), scratch(frameBytes);
    Secrets secrets;
    addKey(secrets, key, number);
    secrets.add("plaintext", plaintext);
    for (uint32_t i = 0; i < 10; i++) secrets.add("key stream", key.reference.seal(bigEndian(1 + i, 12), {}, Bytes(frameBytes + 600)));
    FrameBatch batch = {shape.messageId.data(), 32,  frameBytes, 1, 9, true, frameBytes / 2, plaintext.data(),
                        out.data(),             nullptr};
    describe("sealFrames, %s, frames of %zu", k.name, frameBytes);
    leavesNothing(secrets, [&] { k.sealFrames(key.of(number), &batch); });
    batch.src = wire.data();
    batch.scratch = frameBytes % 2 == 0 ? nullptr : scratch.data();
    bool opened = false;
    describe("openFrames, %s, frames of %zu", k.name, frameBytes);
    leavesNothing(secrets, [&] { opened = k.openFrames(key.of(number), &batch); });
    CHECK(opened);
    wire[wire.size() - 1] ^= 1;
    leavesNothing(secrets, [&] { opened = k.openFrames(key.of(number), &batch); });
    CHECK(!opened);
  }
}

void records(size_t number, size_t saltBytes, Random& random) {
  const Kernel& k = *kernels()[number];
  const TestKey key(random.bytes(32));
  for (uint32_t bytes = 1; bytes < 600; bytes += 1 + bytes / 12) {
    constexpr uint32_t kCount = 11;
    const size_t nonceBytes = saltBytes + 12;
    const Bytes values = random.bytes(bytes * kCount), nonces = random.bytes(nonceBytes * kCount);
    const uint32_t sealedBytes = bytes + static_cast<uint32_t>(nonceBytes) + 16;
    std::vector<uint32_t> offsets, sealedOffsets, written(kCount + 1);
    for (uint32_t i = 0; i <= kCount; i++) offsets.push_back(i * bytes), sealedOffsets.push_back(i * sealedBytes);
    Bytes sealed(sealedBytes * kCount), out(bytes * kCount), status(kCount), scratch(bytes);
    Secrets secrets;
    addKey(secrets, key, number);
    secrets.add("plaintext", values);
    for (size_t i = 0; i < kCount; i++) {
      const auto at = nonces.begin() + static_cast<ptrdiff_t>(i * nonceBytes), rest = at + static_cast<ptrdiff_t>(saltBytes);
      if (saltBytes == 0) {
        secrets.add("key stream", key.reference.seal(Bytes(at, at + 12), {}, Bytes(bytes + 64)));
      } else {
        const TestKey derived(referenceXaesKey(key.bytes, Bytes(at, rest)));
        addKey(secrets, derived, number);
        secrets.add("key stream", derived.reference.seal(Bytes(rest, rest + 12), {}, Bytes(bytes + 64)));
      }
    }
    RecordBatch batch = {kCount, nullptr, 0, nonces.data(), values.data(), offsets.data(), nullptr, nullptr,
                         sealed.data(), written.data(), nullptr, nullptr};
    describe("sealRecords, %s, salt %zu, %u bytes each", k.name, saltBytes, bytes);
    leavesNothing(secrets, [&] {
      if (saltBytes == 0) k.sealRecords(key.of(number), &batch);
      else xaesSealRecords(k, key.of(number), saltBytes, &batch);
    });
    CHECK(written == sealedOffsets);
    sealed[sealedBytes * 3 + nonceBytes] ^= 1;
    batch = {kCount, nullptr, 0, nullptr, sealed.data(), sealedOffsets.data(), nullptr, nullptr,
             out.data(), written.data(), status.data(), bytes % 2 == 0 ? nullptr : scratch.data()};
    size_t failed = 0;
    describe("openRecords, %s, salt %zu, %u bytes each", k.name, saltBytes, bytes);
    leavesNothing(secrets, [&] {
      failed = saltBytes == 0 ? k.openRecords(key.of(number), &batch)
                              : xaesOpenRecords(k, key.of(number), saltBytes, &batch);
    });
    CHECK(failed == 1);
  }
}

// The key, what the extraction yields, the padded keys and the states behind them (FIPS 198-1), the outputs.
void addDerivation(Secrets& secrets, HashKind kind, int bits, Sha512Block compress, const Bytes& key) {
  secrets.add("the extracted key", key);
  const size_t blockBytes = bits == 256 ? 64 : 128;
  for (uint8_t pad : {0x36, 0x5C}) {
    Bytes padded = key;
    padded.resize(blockBytes);
    for (uint8_t& byte : padded) byte ^= pad;
    secrets.add("the padded key", padded.data(), key.size());
    HashContext context;
    hashStart(&context, kind, compress);
    hashUpdate(&context, padded.data(), blockBytes);
    secrets.add("a state of HMAC", reinterpret_cast<const uint8_t*>(context.state), sizeof context.state);
  }
}

void derivations() {
  const Part part("HKDF leaves no trace");
  Random random(42);
  std::vector<Sha512Block> compressions = {nullptr};
  for (const Kernel* k : kernels()) compressions.push_back(k->sha512);
  const struct {
    HashKind kind;
    int bits;
  } hashes[] = {{HashKind::kSha256, 256}, {HashKind::kSha384, 384}, {HashKind::kSha512, 512}};
  for (const auto& hash : hashes) {
    for (Sha512Block compress : compressions) {
      for (size_t keyBytes : {16, 32, 64, 200}) {
        const Bytes ikm = random.bytes(keyBytes), salt = random.bytes(32), info = fromText("DERIVEKEY"), more = random.bytes(150);
        Secrets secrets;
        secrets.add("the key", ikm);
        addDerivation(secrets, hash.kind, hash.bits, compress, referenceHmac(hash.bits, salt, ikm));
        secrets.add("an output", referenceHkdf(hash.bits, ikm, salt, info, hashBytes(hash.kind)));
        secrets.add("an output", referenceHkdf(hash.bits, ikm, salt, more, hashBytes(hash.kind)));
        Bytes first(32), second(32);
        const HkdfOutput outputs[] = {{info.data(), info.size(), first.data(), 32}, {more.data(), more.size(), second.data(), 32}};
        describe("HKDF-SHA-%d, %s, key of %zu", hash.bits, compress == nullptr ? "portable" : "a kernel's", keyBytes);
        leavesNothing(secrets, [&] {
          hkdf(hash.kind, ikm.data(), keyBytes, salt.data(), salt.size(), outputs, 2, compress);
        });
      }
    }
  }
}

void kernelsLeaveNothing() {
  Random random(43);
  for (size_t number = 0; number < kernels().size(); number++) {
    const std::string name = std::string(kernels()[number]->name) + " leaves no trace";
    const Part part(name.c_str());
    for (size_t keyBytes : kKeySizes) oneBuffer(number, keyBytes, random);
    frames(number, random);
    records(number, 0, random);
    records(number, 12, random);
  }
}

}  // namespace
}  // namespace keyladder::test

int main() {
  keyladder::test::findsWhatIsLeft();
  keyladder::test::kernelsLeaveNothing();
  keyladder::test::derivations();
  std::printf("all hold\n");
}
