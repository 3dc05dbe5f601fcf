// A thread that writes to the caller's memory during a call, and one that reads it: no tag over bytes that were not
// enciphered, no plaintext that no tag covers, nothing shown before the verdict where scratch is given.
//
// The races on the buffers are meant; nothing else is shared.

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "kernels.h"

namespace keyladder::test {
namespace {

uint8_t seen(const uint8_t* at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
void put(uint8_t* at, uint8_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }

// Does something again and again until it goes out of scope; the calls under test run meanwhile.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void(Random&)> turn)
      : thread_([this, turn = std::move(turn)] {
          Random random(51);
          while (!stop_.load(std::memory_order_relaxed)) {
            turn(random);
            turns_.fetch_add(1, std::memory_order_relaxed);
          }
        }) {
    while (turns_.load() == 0) std::this_thread::yield();
  }
  ~Meanwhile() {
    stop_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> turns_{0};
  std::thread thread_;
};

// Runs a call for a while. Returns how many of them answered true.
size_t repeat(const std::function<bool()>& call, size_t* calls) {
  static const long long ms = effort(200) > 100 ? 200 : 40;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  size_t yes = 0;
  for (*calls = 0; std::chrono::steady_clock::now() < end; ++*calls) yes += call();
  return yes;
}

bool isAll(const Bytes& bytes, uint8_t value) {
  return std::all_of(bytes.begin(), bytes.end(), [value](uint8_t byte) { return byte == value; });
}

struct OneBuffer {
  static constexpr size_t kBytes = 20'000;
  const TestKey key;
  const Kernel& k;
  const GcmKey* gcm;
  const Bytes nonce, aad, plaintext, sealed;

  OneBuffer(size_t number, Random& random)
      : key(random.bytes(32)), k(*kernels()[number]), gcm(key.of(number)), nonce(random.bytes(12)), aad(random.bytes(20)),
        plaintext(kBytes, 0x11), sealed(key.reference.seal(nonce, aad, plaintext)) {}

  bool open(const uint8_t* src, const uint8_t* tag, uint8_t* dst, uint8_t* scratch) const {
    return k.open(gcm, nonce.data(), 12, aad.data(), aad.size(), src, kBytes, tag, dst, scratch);
  }
};

// The tag that comes back is over the ciphertext that comes back, whatever the source was at the time.
void sourceChangesWhileSealing(const OneBuffer& o) {
  Bytes src = o.plaintext, dst(o.kBytes), back(o.kBytes);
  uint8_t tag[16];
  const Meanwhile writer([&](Random& random) { put(&src[random.below(o.kBytes)], static_cast<uint8_t>(random.next())); });
  size_t calls;
  repeat([&] {
    o.k.seal(o.gcm, o.nonce.data(), 12, o.aad.data(), o.aad.size(), src.data(), o.kBytes, dst.data(), tag);
    CHECK(o.open(dst.data(), tag, back.data(), nullptr));
    return true;
  }, &calls);
  CHECK(calls > 0 && back != o.plaintext);
}

// The tag is over what was enciphered, not over what stands in dst.
void outputChangesWhileSealing(const OneBuffer& o) {
  Bytes dst(o.kBytes);
  uint8_t tag[16];
  size_t calls, changed;
  {
    const Meanwhile writer([&](Random& random) { put(&dst[random.below(o.kBytes)], static_cast<uint8_t>(random.next())); });
    changed = repeat([&] {
      o.k.seal(o.gcm, o.nonce.data(), 12, o.aad.data(), o.aad.size(), o.plaintext.data(), o.kBytes, dst.data(), tag);
      CHECK(std::memcmp(tag, o.sealed.data() + o.kBytes, 16) == 0);
      return !std::equal(dst.begin(), dst.end(), o.sealed.begin());
    }, &calls);
  }
  CHECK(changed > 0);  // there was a race
}

// Opened is the one plaintext, or nothing at all.
void sourceChangesWhileOpening(const OneBuffer& o) {
  Bytes src(o.sealed.begin(), o.sealed.end() - 16), dst(o.kBytes);
  const uint8_t* tag = o.sealed.data() + o.kBytes;
  size_t calls, opened;
  {
    const Meanwhile writer([&](Random& random) {
      uint8_t* at = &src[random.below(o.kBytes)];
      const uint8_t right = seen(at);
      put(at, static_cast<uint8_t>(right ^ 0x80));
      if (random.oneIn(2)) std::this_thread::yield();
      put(at, right);
      for (int i = 0; i < 20'000 && random.oneIn(2); i++) (void)seen(at);
    });
    opened = repeat([&] {
      const bool verdict = o.open(src.data(), tag, dst.data(), nullptr);
      CHECK(isAll(dst, verdict ? 0x11 : 0));
      return verdict;
    }, &calls);
  }
  CHECK(calls > opened);  // some met the wrong byte
}

// With scratch: others see what was there before, or zeros, never what is not verified.
void outputIsWatchedWhileOpening(const OneBuffer& o) {
  Bytes wrong = o.sealed, dst(o.kBytes, 0xA5), scratch(o.kBytes);
  wrong[o.kBytes - 1] ^= 1;
  std::atomic<bool> shown{false};
  size_t calls;
  const Meanwhile reader([&](Random&) {
    for (const uint8_t& byte : dst) {
      const uint8_t now = seen(&byte);
      if (now != 0xA5 && now != 0) shown = true;
    }
  });
  const size_t opened = repeat([&] {
    std::fill(dst.begin(), dst.end(), 0xA5);
    return o.open(wrong.data(), o.sealed.data() + o.kBytes, dst.data(), scratch.data());
  }, &calls);
  CHECK(opened == 0 && !shown);
}

// With scratch: what is written to dst meanwhile changes no verdict.
void outputChangesWhileOpening(const OneBuffer& o) {
  Bytes dst(o.kBytes), scratch(o.kBytes);
  size_t calls;
  const Meanwhile writer([&](Random& random) { put(&dst[random.below(o.kBytes)], static_cast<uint8_t>(random.next())); });
  const size_t opened = repeat([&] {
    return o.open(o.sealed.data(), o.sealed.data() + o.kBytes, dst.data(), scratch.data());
  }, &calls);
  CHECK(opened == calls);
}

void frames(size_t number, Random& random) {
  const Kernel& k = *kernels()[number];
  const TestKey key(random.bytes(32));
  constexpr size_t kFrameBytes = 1000, kFrames = 20;
  const FrameShape shape = {random.bytes(32), kFrameBytes, 1, kFrames, false};
  const Bytes plaintext(kFrameBytes * kFrames, 0x11), wire = referenceFrames(key.reference, shape, plaintext);
  Bytes src = plaintext, sealed(wire.size()), opened(plaintext.size()), scratch(kFrameBytes);
  FrameBatch seals = {shape.messageId.data(), 32, kFrameBytes, 1, kFrames, false, 0, src.data(), sealed.data(), nullptr};
  FrameBatch opens = {shape.messageId.data(), 32, kFrameBytes, 1, kFrames, false, 0, sealed.data(), opened.data(), nullptr};
  size_t calls;
  {
    const Meanwhile writer([&](Random& r) { put(&src[r.below(src.size())], static_cast<uint8_t>(r.next())); });
    repeat([&] {
      k.sealFrames(key.of(number), &seals);
      CHECK(k.openFrames(key.of(number), &opens));
      return true;
    }, &calls);
  }
  // The writer leaves nonces and tags alone, so that what comes back can be compared.
  seals.src = plaintext.data();
  {
    const Meanwhile writer([&](Random& r) {
      put(&sealed[r.below(kFrames) * (16 + kFrameBytes + 16) + 16 + r.below(kFrameBytes)], static_cast<uint8_t>(r.next()));
    });
    repeat([&] {
      k.sealFrames(key.of(number), &seals);
      for (size_t i = 1; i <= kFrames; i++) {
        const size_t tag = i * (16 + kFrameBytes + 16) - 16;
        CHECK(std::equal(sealed.begin() + static_cast<ptrdiff_t>(tag), sealed.begin() + static_cast<ptrdiff_t>(tag + 16), wire.begin() + static_cast<ptrdiff_t>(tag)));
      }
      return true;
    }, &calls);
  }
  // The last frame is wrong: nobody ever sees its plaintext, nor that of the others afterwards.
  sealed = wire;
  sealed[sealed.size() - 1] ^= 1;
  opens.src = sealed.data();
  opens.scratch = scratch.data();
  std::atomic<bool> shown{false};
  std::fill(opened.begin(), opened.end(), 0xA5);
  const Meanwhile reader([&](Random&) {
    for (size_t i = kFrameBytes * (kFrames - 1); i < opened.size(); i++) {
      const uint8_t now = seen(&opened[i]);
      if (now != 0xA5 && now != 0) shown = true;
    }
  });
  repeat([&] {
    CHECK(!k.openFrames(key.of(number), &opens) && isAll(opened, 0));
    return true;
  }, &calls);
  CHECK(!shown);
}

// `bytes` each: up to 64 go side by side in some kernels, in others more.
void records(size_t number, uint32_t bytes, Random& random) {
  const Kernel& k = *kernels()[number];
  const TestKey key(random.bytes(32));
  constexpr uint32_t kCount = 64;
  const uint32_t sealedBytes = bytes + 28;
  Bytes values(bytes * kCount, 0x11), nonces = random.bytes(12 * kCount), sealed(sealedBytes * kCount), opened(values.size());
  Bytes status(kCount), scratch(bytes), known(sealed.size());
  std::vector<uint32_t> offsets, sealedOffsets(kCount + 1), openedOffsets(kCount + 1);
  for (uint32_t i = 0; i <= kCount; i++) offsets.push_back(i * bytes);
  RecordBatch seals = {kCount, nullptr, 0, nonces.data(), values.data(), offsets.data(), nullptr, nullptr,
                       sealed.data(), sealedOffsets.data(), nullptr, nullptr};
  RecordBatch opens = {kCount, nullptr, 0, nullptr, sealed.data(), sealedOffsets.data(), nullptr, nullptr,
                       opened.data(), openedOffsets.data(), status.data(), nullptr};
  size_t calls;
  k.sealRecords(key.of(number), &seals);
  known = sealed;
  {  // Values and nonces change: every record that comes back opens.
    const Meanwhile writer([&](Random& r) {
      put(&values[r.below(values.size())], static_cast<uint8_t>(r.next()));
      put(&nonces[r.below(nonces.size())], static_cast<uint8_t>(r.next()));
    });
    repeat([&] {
      k.sealRecords(key.of(number), &seals);
      CHECK(k.openRecords(key.of(number), &opens) == 0);
      return true;
    }, &calls);
  }
  // The ciphertext changes while it is opened: what opens is the one plaintext.
  sealed = known;
  size_t failed = 0;
  {
    const Meanwhile writer([&](Random& r) {
      uint8_t* at = &sealed[r.below(sealed.size())];
      const uint8_t right = seen(at);
      put(at, static_cast<uint8_t>(right ^ 4));
      if (r.oneIn(2)) std::this_thread::yield();
      put(at, right);
    });
    repeat([&] {
      const size_t now = k.openRecords(key.of(number), &opens);
      const size_t plain = openedOffsets[kCount];
      CHECK(plain == (kCount - now) * bytes);
      CHECK(std::all_of(opened.begin(), opened.begin() + static_cast<ptrdiff_t>(plain), [](uint8_t b) { return b == 0x11; }));
      failed += now;
      return true;
    }, &calls);
  }
  CHECK(failed > 0);
  // All are wrong, and dst is watched.
  sealed = known;
  for (uint32_t i = 1; i <= kCount; i++) sealed[i * sealedBytes - 1] ^= 1;
  opens.scratch = scratch.data();
  std::fill(opened.begin(), opened.end(), 0xA5);
  std::atomic<bool> shown{false};
  const Meanwhile reader([&](Random&) {
    for (const uint8_t& byte : opened) {
      const uint8_t now = seen(&byte);
      if (now != 0xA5 && now != 0) shown = true;
    }
  });
  repeat([&] {
    CHECK(k.openRecords(key.of(number), &opens) == kCount);
    return true;
  }, &calls);
  CHECK(!shown);
}

}  // namespace
}  // namespace keyladder::test

int main() {
  using namespace keyladder::test;
  Random random(52);
  for (size_t number = 0; number < kernels().size(); number++) {
    const std::string name = std::string(kernels()[number]->name) + " beside a thread that writes and one that watches";
    const Part part(name.c_str());
    const OneBuffer one(number, random);
    describe("%s", kernels()[number]->name);
    sourceChangesWhileSealing(one);
    outputChangesWhileSealing(one);
    sourceChangesWhileOpening(one);
    outputIsWatchedWhileOpening(one);
    outputChangesWhileOpening(one);
    frames(number, random);
    for (uint32_t bytes : {40, 100, 700}) records(number, bytes, random);
  }
  std::printf("all hold\n");
}
