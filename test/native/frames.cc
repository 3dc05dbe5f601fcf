// Batches of frames against the reference: both message id lengths, with and without a final frame, apart, in place, by
// way of scratch, and with one bit wrong.

#include "suites.h"

namespace keyladder::test {
namespace {

constexpr size_t kRegularPrefix = 4 + 12, kFinalPrefix = 4 + 4 + 12 + 4;

struct Message {
  FrameShape shape;
  Bytes plaintext, wire;
  size_t finalBytes() const { return plaintext.size() - shape.frameBytes * shape.regularFrames; }
  size_t frames() const { return shape.regularFrames + (shape.hasFinal ? 1 : 0); }
  size_t wireOffset(size_t frame) const { return frame * (kRegularPrefix + shape.frameBytes + kTagBytes); }
};

Message messageOf(const TestKey& key, const FrameShape& shape, size_t finalBytes, Random& random) {
  Message m{shape, random.bytes(shape.frameBytes * shape.regularFrames + (shape.hasFinal ? finalBytes : 0)), {}};
  m.wire = referenceFrames(key.reference, shape, m.plaintext);
  return m;
}

class Caller {
 public:
  explicit Caller(size_t capacity) : id_(64), src_(capacity), dst_(capacity), scratch_(capacity) {}

  void check(size_t number, const TestKey& key, const Message& m, Placement placement, Random& random) {
    const Kernel& k = *kernels()[number];
    const GcmKey* gcm = key.of(number);
    describe("%s, key %zu, id %zu, frames of %zu, first %u, %u regular, %s%zu, placement %zu", k.name, key.bytes.size(),
             m.shape.messageId.size(), m.shape.frameBytes, m.shape.firstSequence, m.shape.regularFrames,
             m.shape.hasFinal ? "final of " : "no final ", m.finalBytes(), placement);
    id_.place(m.shape.messageId, placement);

    src_.place(m.plaintext, placement);
    dst_.place(m.wire.size(), placement);
    FrameBatch batch = batchOf(m, src_.data(), dst_.data(), nullptr);
    k.sealFrames(gcm, &batch);
    CHECK(dst_.holds(m.wire) && dst_.isAlone() && src_.holds(m.plaintext));

    opens(k, gcm, m, placement);
    spoiled(k, gcm, m, placement, random);
  }

 private:
  FrameBatch batchOf(const Message& m, const uint8_t* src, uint8_t* dst, uint8_t* scratch) {
    return {id_.data(), m.shape.messageId.size(), m.shape.frameBytes, m.shape.firstSequence, m.shape.regularFrames,
            m.shape.hasFinal, m.shape.hasFinal ? m.finalBytes() : 0, src, dst, scratch};
  }

  void opens(const Kernel& k, const GcmKey* gcm, const Message& m, Placement placement) {
    src_.place(m.wire, placement);
    for (const bool scratch : {false, true}) {
      dst_.place(m.plaintext.size(), placement);
      scratch_.place(m.shape.frameBytes, placement);
      const FrameBatch batch = batchOf(m, src_.data(), dst_.data(), scratch ? scratch_.data() : nullptr);
      CHECK(k.openFrames(gcm, &batch));
      CHECK(dst_.holds(m.plaintext) && dst_.isAlone() && scratch_.isAlone() && src_.holds(m.wire));
    }
    // In the memory of the source, where it begins and before.
    for (const size_t before : {size_t{0}, size_t{1}, size_t{40}}) {
      dst_.place(before + m.wire.size(), placement);
      if (!m.wire.empty()) std::memcpy(dst_.data() + before, m.wire.data(), m.wire.size());
      const FrameBatch batch = batchOf(m, dst_.data() + before, dst_.data(), nullptr);
      CHECK(k.openFrames(gcm, &batch));
      CHECK(dst_.holds(m.plaintext.data(), m.plaintext.size()) && dst_.isAlone());
    }
  }

  // One bit of a nonce, a ciphertext or a tag; of the message id; or all numbers one later.
  void spoiled(const Kernel& k, const GcmKey* gcm, const Message& m, Placement placement, Random& random) {
    if (m.frames() == 0) return;
    Bytes wire = m.wire;
    const size_t what = random.below(8);
    Message changed = m;
    if (what == 0) {
      id_.data()[random.below(m.shape.messageId.size())] ^= 1;
    } else if (what == 1) {
      changed.shape.firstSequence++;
    } else {
      const size_t frame = random.below(m.frames());
      const bool final = frame == m.shape.regularFrames;
      const size_t authentic = (final ? m.finalBytes() : m.shape.frameBytes) + kTagBytes;
      const size_t bit = random.below(12 + authentic);
      const size_t nonce = m.wireOffset(frame) + (final ? 8 : 4), content = m.wireOffset(frame) + (final ? kFinalPrefix : kRegularPrefix);
      wire[bit < 12 ? nonce + bit : content + bit - 12] ^= static_cast<uint8_t>(1 << random.below(8));
    }
    src_.place(wire, placement);
    for (const bool scratch : {false, true}) {
      dst_.place(m.plaintext.size(), placement);
      scratch_.place(m.shape.frameBytes, placement);
      const FrameBatch batch = batchOf(changed, src_.data(), dst_.data(), scratch ? scratch_.data() : nullptr);
      CHECK(!k.openFrames(gcm, &batch));
      CHECK(dst_.isZero() && dst_.isAlone() && scratch_.isAlone());
    }
    const FrameBatch batch = batchOf(changed, src_.data(), src_.data(), nullptr);
    CHECK(!k.openFrames(gcm, &batch));
    CHECK(src_.isAlone());
    for (size_t i = 0; i < m.plaintext.size(); i++) CHECK(src_.data()[i] == 0);
  }

  Guarded id_, src_, dst_, scratch_;
};

void everyShape(Caller& caller) {
  Part part("frames: every length to 600, one to eighteen of them");
  Random random(11);
  for (size_t bytes = 1; bytes <= 600; bytes++) {
    const TestKey key(random.bytes(kKeySizes[bytes % 3]));
    const uint32_t regular = static_cast<uint32_t>(bytes * 5 % 19);
    const FrameShape shape = {random.bytes(bytes % 2 == 0 ? 32 : 16), bytes, static_cast<uint32_t>(1 + random.below(70'000)),
                              regular, bytes % 3 != 0 || regular == 0};
    const Message m = messageOf(key, shape, bytes % 5 == 0 ? bytes : random.below(bytes + 1), random);
    for (size_t number = 0; number < kernels().size(); number++) {
      for (Placement placement : {kAtEnd, kAtBegin, 1 + bytes % 63}) caller.check(number, key, m, placement, random);
    }
  }
}

void anyShape(Caller& caller) {
  const size_t cases = effort(20'000);
  Part part("frames: random batches against the reference");
  part.note(std::to_string(cases) + " a kernel");
  Random random(12);
  std::vector<std::unique_ptr<TestKey>> keys;
  for (size_t i = 0; i < 60; i++) keys.push_back(std::make_unique<TestKey>(random.bytes(kKeySizes[i % 3])));
  for (size_t i = 0; i < cases; i++) {
    const size_t frameBytes = 1 + random.below(i % 50 == 0 ? 5'000 : 90);
    const uint32_t regular = static_cast<uint32_t>(random.below(12));
    const bool nearTheEnd = random.oneIn(4);
    const uint32_t first = nearTheEnd ? 0xFFFFFFFFu - regular - static_cast<uint32_t>(random.below(3)) - 1
                                      : static_cast<uint32_t>(1 + random.below(size_t{1} << (1 + random.below(31))));
    const FrameShape shape = {random.bytes(random.oneIn(2) ? 32 : 16), frameBytes, first, regular, random.oneIn(2)};
    const TestKey& key = *keys[random.below(keys.size())];
    const Message m = messageOf(key, shape, random.below(frameBytes + 1), random);
    for (size_t number = 0; number < kernels().size(); number++) {
      caller.check(number, key, m, random.below(kAtBegin + 1), random);
    }
  }
}

}  // namespace

void checkFrames() {
  Caller caller(128 * 1024);
  everyShape(caller);
  anyShape(caller);
}

}  // namespace keyladder::test
