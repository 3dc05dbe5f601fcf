// One buffer: every kernel against the reference, wherever the buffers lie and however they overlap.

#include "suites.h"

namespace keyladder::test {
namespace {

struct Case {
  Bytes nonce, aad, plaintext;
  Bytes sealed;  // ciphertext | tag, by the reference
};

Case sealedBy(const TestKey& key, const Bytes& nonce, const Bytes& aad, const Bytes& plaintext) {
  return {nonce, aad, plaintext, key.reference.seal(nonce, aad, plaintext)};
}

// Every way to call one kernel with a case. All buffers end at, or begin behind, a page that faults.
class Caller {
 public:
  explicit Caller(size_t capacity)
      : nonce_(128), aad_(capacity), src_(capacity), dst_(capacity), tag_(64), scratch_(capacity) {}

  void check(size_t number, const TestKey& key, const Case& c, Placement placement, Random& random) {
    const Kernel& k = *kernels()[number];
    const GcmKey* gcm = key.of(number);
    const size_t bytes = c.plaintext.size();
    describe("%s, key %zu, nonce %zu, aad %zu, plaintext %zu, placement %zu", k.name, key.bytes.size(), c.nonce.size(),
             c.aad.size(), bytes, placement);
    const Bytes ciphertext(c.sealed.begin(), c.sealed.end() - kTagBytes), tag(c.sealed.end() - kTagBytes, c.sealed.end());
    nonce_.place(c.nonce, placement);
    aad_.place(c.aad, placement);

    // Apart.
    src_.place(c.plaintext, placement);
    dst_.place(bytes, placement);
    tag_.place(kTagBytes, placement);
    k.seal(gcm, nonce_.data(), c.nonce.size(), aad_.data(), c.aad.size(), src_.data(), bytes, dst_.data(), tag_.data());
    CHECK(dst_.holds(ciphertext));
    CHECK(tag_.holds(tag));
    CHECK(src_.holds(c.plaintext));
    CHECK(dst_.isAlone() && tag_.isAlone());
    src_.place(ciphertext, placement);
    dst_.place(bytes, placement);
    CHECK(open(k, gcm, c, bytes, src_.data(), dst_.data(), nullptr));
    CHECK(dst_.holds(c.plaintext) && dst_.isAlone() && src_.holds(ciphertext));

    // In place.
    src_.place(c.plaintext, placement);
    k.seal(gcm, nonce_.data(), c.nonce.size(), aad_.data(), c.aad.size(), src_.data(), bytes, src_.data(), tag_.data());
    CHECK(src_.holds(ciphertext) && src_.isAlone() && tag_.holds(tag));
    CHECK(open(k, gcm, c, bytes, src_.data(), src_.data(), nullptr));
    CHECK(src_.holds(c.plaintext) && src_.isAlone());

    // By way of scratch.
    src_.place(ciphertext, placement);
    dst_.place(bytes, placement);
    scratch_.place(bytes, placement);
    CHECK(open(k, gcm, c, bytes, src_.data(), dst_.data(), scratch_.data()));
    CHECK(dst_.holds(c.plaintext) && dst_.isAlone() && scratch_.isAlone());

    // One bit is wrong: of the tag, the ciphertext, the associated data or the nonce.
    uint8_t* const wrong[] = {tag_.data(), src_.data(), aad_.data(), nonce_.data()};
    const size_t lengths[] = {kTagBytes, bytes, c.aad.size(), c.nonce.size()};
    size_t which = random.below(4);
    if (lengths[which] == 0) which = 0;
    uint8_t* at = wrong[which] + random.below(lengths[which]);
    *at ^= static_cast<uint8_t>(1 << random.below(8));
    dst_.place(bytes, placement);
    CHECK(!open(k, gcm, c, bytes, src_.data(), dst_.data(), random.oneIn(2) ? scratch_.data() : nullptr));
    CHECK(dst_.isZero() && dst_.isAlone());
    CHECK(!open(k, gcm, c, bytes, src_.data(), src_.data(), nullptr));
    CHECK(src_.isZero() && src_.isAlone());
  }

 private:
  bool open(const Kernel& k, const GcmKey* gcm, const Case& c, size_t bytes, const uint8_t* src, uint8_t* dst,
            uint8_t* scratch) {
    return k.open(gcm, nonce_.data(), c.nonce.size(), aad_.data(), c.aad.size(), src, bytes, tag_.data(), dst, scratch);
  }

  Guarded nonce_, aad_, src_, dst_, tag_, scratch_;
};

void everyLength(Caller& caller) {
  Part part("one buffer: lengths 0 to 600, all key sizes, all placements");
  Random random(1);
  for (size_t keyBytes : kKeySizes) {
    const TestKey key(random.bytes(keyBytes));
    for (size_t bytes = 0; bytes <= 600; bytes++) {
      const Case c = sealedBy(key, random.bytes(12), random.bytes(bytes * 7 % 90), random.bytes(bytes));
      for (size_t number = 0; number < kernels().size(); number++) {
        for (Placement placement : {kAtEnd, kAtBegin, 1 + bytes % 63}) caller.check(number, key, c, placement, random);
      }
    }
  }
}

void everyAad(Caller& caller) {
  Part part("one buffer: associated data of 0 to 1100 bytes");
  Random random(2);
  const TestKey key(random.bytes(32));
  for (size_t bytes = 0; bytes <= 1100; bytes++) {
    const Case c = sealedBy(key, random.bytes(12), random.bytes(bytes), random.bytes(bytes % 33));
    for (size_t number = 0; number < kernels().size(); number++) {
      caller.check(number, key, c, bytes % 2 == 0 ? kAtEnd : kAtBegin, random);
    }
  }
}

void everyPlacement(Caller& caller) {
  Part part("one buffer: 1 to 63 bytes off");
  Random random(3);
  const TestKey key(random.bytes(32));
  for (size_t bytes : {1, 15, 16, 17, 64, 129, 512, 513, 1200, 4099}) {
    const Case c = sealedBy(key, random.bytes(12), random.bytes(60), random.bytes(bytes));
    for (size_t number = 0; number < kernels().size(); number++) {
      for (Placement placement = 0; placement <= kAtBegin; placement++) caller.check(number, key, c, placement, random);
    }
  }
}

void anyCase(Caller& caller) {
  const size_t cases = effort(100'000);
  Part part("one buffer: random cases against the reference");
  part.note(std::to_string(cases) + " a kernel");
  Random random(4);
  std::vector<std::unique_ptr<TestKey>> keys;
  for (size_t i = 0; i < 60; i++) keys.push_back(std::make_unique<TestKey>(random.bytes(kKeySizes[i % 3])));
  for (size_t i = 0; i < cases; i++) {
    const size_t most = i % 1000 == 0 ? 40'000 : i % 20 == 0 ? 2'000 : 160;
    const TestKey& key = *keys[random.below(keys.size())];
    const Case c = sealedBy(key, random.bytes(random.oneIn(4) ? 1 + random.below(70) : 12),
                            random.bytes(random.oneIn(3) ? 0 : random.below(80)), random.bytes(random.below(most)));
    for (size_t number = 0; number < kernels().size(); number++) {
      caller.check(number, key, c, random.below(kAtBegin + 1), random);
    }
  }
}

void everyNonce(Caller& caller) {
  Part part("one buffer: nonces of 1 to 128 bytes");
  Random random(5);
  const TestKey key(random.bytes(16));
  for (size_t bytes = 1; bytes <= 128; bytes++) {
    const Case c = sealedBy(key, random.bytes(bytes), random.bytes(bytes % 20), random.bytes(bytes * 5));
    for (size_t number = 0; number < kernels().size(); number++) caller.check(number, key, c, kAtEnd, random);
  }
}

// Larger than the caches: the kernels fetch ahead then.
void huge() {
  Part part("one buffer: 3 MiB and some");
  Random random(6);
  const TestKey key(random.bytes(32));
  const size_t bytes = (3u << 20) + 77;
  Caller caller(bytes);
  const Case c = sealedBy(key, random.bytes(12), random.bytes(33), random.bytes(bytes));
  for (size_t number = 0; number < kernels().size(); number++) caller.check(number, key, c, kAtEnd, random);
}

void blocksAndStreams() {
  Part part("single blocks, and the key stream alone");
  Random random(7);
  Guarded src(2048), dst(2048), nonce(64);
  for (size_t keyBytes : kKeySizes) {
    const TestKey key(random.bytes(keyBytes));
    for (size_t bytes = 0; bytes <= 1100; bytes += 1 + bytes / 40) {
      const Bytes plaintext = random.bytes(bytes);
      nonce.place(random.bytes(12), kAtEnd);
      Bytes sealed = key.reference.seal(Bytes(nonce.data(), nonce.data() + 12), {}, plaintext);
      sealed.resize(bytes);
      Block block;
      random.fill(block.data(), 16);
      const Block enciphered = key.reference.aes().encipher(block);
      for (size_t number = 0; number < kernels().size(); number++) {
        const Kernel& k = *kernels()[number];
        describe("%s, key %zu, %zu bytes", k.name, keyBytes, bytes);
        src.place(plaintext, kAtEnd);
        dst.place(bytes, kAtEnd);
        k.ctr(key.of(number), nonce.data(), src.data(), bytes, dst.data());
        CHECK(dst.holds(sealed) && dst.isAlone());
        src.place(Bytes(block.begin(), block.end()), kAtEnd);
        k.block(key.of(number), src.data(), src.data());
        CHECK(src.holds(enciphered.data(), 16) && src.isAlone());
      }
    }
  }
}

// Counter blocks around `j0`'s low word, for texts of `most` bytes and less.
void aroundCounter(Caller& caller, const TestKey& key, uint32_t low, size_t most, Random& random) {
  Block j0;
  random.fill(j0.data(), 12);
  for (size_t i = 0; i < 4; i++) j0[12 + i] = static_cast<uint8_t>(low >> (24 - 8 * i));
  const Case c = sealedBy(key, key.reference.nonceFor(j0), random.bytes(random.below(40)), random.bytes(random.below(most)));
  for (size_t number = 0; number < kernels().size(); number++) {
    caller.check(number, key, c, random.oneIn(2) ? kAtEnd : kAtBegin, random);
  }
}

}  // namespace

void checkOneShot() {
  Caller caller(64 * 1024);
  everyLength(caller);
  everyAad(caller);
  everyPlacement(caller);
  everyNonce(caller);
  blocksAndStreams();
  anyCase(caller);
  huge();
}

void checkCounters() {
  Part part("counters that overflow their low byte, their low word, and back to zero");
  Random random(8);
  Caller caller(16 * 1024);
  const TestKey key(random.bytes(32));
  for (uint32_t before = 0; before <= 300; before++) {
    for (uint32_t edge : {0xFFFFFFFFu, 0x000000FFu, 0x0000FFFFu, 0x00FFFFFFu, 0x7FFFFFFFu}) {
      aroundCounter(caller, key, edge - before, 700, random);
    }
    aroundCounter(caller, key, 0xFFFFFFFFu - before, 9'000, random);
  }
}

}  // namespace keyladder::test
