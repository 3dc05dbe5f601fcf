// Keys disposed while every thread seals under them, and jobs that helpers join: for ThreadSanitizer, which watches that
// nobody reads a slot that is being wiped. What is sealed under a handle is under its key, or refused.

#include <atomic>
#include <thread>

#include "../../native/addon/jobs.h"
#include "../../native/addon/keys.h"
#include "../../native/kernels/wipe.h"
#include "kernels.h"

namespace keyladder::test {
namespace {

constexpr size_t kKeys = 6, kSealers = 3, kDisposers = 2, kBytes = 700;

// One AES key, what it seals, and the handle under which it is imported at the moment.
struct Entry {
  Bytes key, sealed;
  std::atomic<KeyHandle> handle{0};
};

const Bytes kNonce(12, 7), kPlaintext(kBytes, 0x33);

KeyHandle import(const Kernel& kernel, const Bytes& bytes, Owner owner) {
  Pinned slot;
  CHECK(slot.create(KeyKind::kSealing, owner) == kOk);
  kernel.expand(&slot.sealing().gcm, bytes.data(), bytes.size());
  slot.sealing().kernel = &kernel;
  return slot.handle();
}

// Right, or refused with the one code.
bool sealUnder(const Entry& entry) {
  uint8_t out[kBytes + 16];
  Pinned key;
  const Error error = key.pin(KeyKind::kSealing, entry.handle.load(std::memory_order_acquire));
  CHECK(error == kOk || error == kClosed);
  if (error != kOk) return false;
  const SealingKey& k = key.sealing();
  k.kernel->seal(&k.gcm, kNonce.data(), 12, nullptr, 0, kPlaintext.data(), kBytes, out, out + kBytes);
  CHECK(std::memcmp(out, entry.sealed.data(), sizeof out) == 0);
  return true;
}

void disposeAgainstSealing(const Kernel& kernel) {
  const std::string name = std::string("handles: seal against dispose, ") + kernel.name;
  Part part(name.c_str());
  describe("%s", kernel.name);
  Random random(71);
  std::vector<Entry> entries(kKeys);
  for (Entry& entry : entries) {
    entry.key = random.bytes(32);
    entry.sealed = ReferenceGcm(entry.key).seal(kNonce, {}, kPlaintext);
    entry.handle = import(kernel, entry.key, 1);
  }
  std::atomic<size_t> sealed{0}, refused{0}, disposed{0}, made{kKeys};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kSealers; i++) {
    threads.emplace_back([&, i] {
      describe("a sealer");
      Random mine(72 + i);
      while (!stop) (sealUnder(entries[mine.below(kKeys)]) ? sealed : refused)++;
    });
  }
  for (size_t i = 0; i < kDisposers; i++) {
    threads.emplace_back([&, i] {
      describe("a disposer");
      Random mine(82 + i);
      for (size_t turn = 0; turn < effort(4'000); turn++) {
        Entry& entry = entries[mine.below(kKeys)];
        const KeyHandle handle = entry.handle.load();
        // Of all who dispose one handle, one succeeds: he makes the next.
        const Error error = disposeKey(handle);
        CHECK(error == kOk || error == kClosed);
        if (error == kClosed) continue;
        CHECK(disposeKey(handle) == kClosed);
        disposed++;
        if (mine.oneIn(2)) std::this_thread::yield();
        entry.handle.store(import(kernel, entry.key, 1), std::memory_order_release);
        made++;
      }
      stop = true;
    });
  }
  // An environment that ends takes its own keys with it, and no others.
  threads.emplace_back([&] {
    describe("an environment");
    const Bytes key(16, 9);
    while (!stop) {
      KeyHandle handles[4];
      for (KeyHandle& handle : handles) handle = import(kernel, key, 2);
      disposeKeysOf(2);
      for (KeyHandle handle : handles) CHECK(disposeKey(handle) == kClosed);
    }
  });
  for (std::thread& thread : threads) thread.join();
  part.note(std::to_string(sealed) + " sealed, " + std::to_string(refused) + " refused, " + std::to_string(disposed) + " disposed");
  CHECK(sealed > 0 && disposed > 0);
  CHECK(liveKeys().sealing == kKeys);
  const uint8_t* memory[kKeys];
  for (size_t i = 0; i < kKeys; i++) {
    CHECK(sealUnder(entries[i]));
    {
      Pinned key;
      CHECK(key.pin(KeyKind::kSealing, entries[i].handle) == kOk);
      memory[i] = reinterpret_cast<const uint8_t*>(&key.sealing());
      // Disposed while pinned: refused to others at once, whole for whoever holds it.
      CHECK(disposeKey(entries[i].handle) == kOk);
      CHECK(!sealUnder(entries[i]) && key.sealing().gcm.rounds == 14);
    }
    for (size_t at = 0; at < sizeof(SealingKey); at++) CHECK(memory[i][at] == 0);
  }
  CHECK(liveKeys().sealing == 0);
}

// Batches in pieces, which two other threads join whenever they see one.
void jobsWithHelpers(const Kernel& kernel) {
  const std::string name = std::string("jobs: pieces taken by several threads, ") + kernel.name;
  Part part(name.c_str());
  describe("%s", kernel.name);
  Random random(91);
  const Bytes bytes = random.bytes(32);
  const KeyHandle handle = import(kernel, bytes, 1);
  Pinned key;
  CHECK(key.pin(KeyKind::kSealing, handle) == kOk);
  constexpr size_t kFrameBytes = 300;
  constexpr uint32_t kFrames = 64;
  const FrameShape shape = {random.bytes(32), kFrameBytes, 1, kFrames, true};
  const Bytes plaintext = random.bytes(kFrameBytes * kFrames + 100);
  const Bytes expected = referenceFrames(ReferenceGcm(bytes), shape, plaintext);
  std::atomic<bool> stop{false};
  std::atomic<size_t> joined{0};
  std::vector<std::thread> helpers;
  for (int i = 0; i < 2; i++) {
    helpers.emplace_back([&] {
      Scratch scratch(true);
      while (!stop) {
        if (publishedJobs() > 0 && helpOnce(scratch)) joined++;
        else std::this_thread::yield();
      }
    });
  }
  std::vector<std::thread> callers;
  for (int i = 0; i < 2; i++) {
    callers.emplace_back([&, i] {
      describe("a caller of jobs");
      Scratch scratch(true);
      Bytes wire(expected.size()), opened(plaintext.size()), wrong = expected;
      wrong[wrong.size() / 2] ^= 1;
      for (size_t turn = 0; turn < effort(300); turn++) {
        bool done = false;
        FrameBatch batch = {shape.messageId.data(), 32, kFrameBytes, 1, kFrames, true, 100, plaintext.data(), wire.data(), nullptr};
        CHECK(FrameJob(key.sealing(), batch, false, false, 900).run(scratch, done) == kOk && wire == expected);
        batch.src = wire.data();
        batch.dst = opened.data();
        CHECK(FrameJob(key.sealing(), batch, true, i == 0, 900).run(scratch, done) == kOk && done && opened == plaintext);
        batch.src = wrong.data();
        CHECK(FrameJob(key.sealing(), batch, true, i == 0, 900).run(scratch, done) == kOk && !done);
        for (uint8_t byte : opened) CHECK(byte == 0);
      }
    });
  }
  for (std::thread& thread : callers) thread.join();
  stop = true;
  for (std::thread& thread : helpers) thread.join();
  CHECK(publishedJobs() == 0);
  part.note(std::to_string(joined) + " times joined");
  CHECK(disposeKey(handle) == kOk);
}

}  // namespace
}  // namespace keyladder::test

int main() {
  using namespace keyladder;
  CHECK(openKeyTable());
  if (test::kernels().empty()) return 0;
  // The one that every such CPU runs: it is the one that was compiled to be watched.
  test::disposeAgainstSealing(kAesni);
  test::jobsWithHelpers(kAesni);
  std::printf("all hold\n");
}
