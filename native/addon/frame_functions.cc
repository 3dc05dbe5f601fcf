#include <chrono>
#include <thread>

#include "functions.h"
#include "jobs.h"
#include "pause.h"

namespace keyladder {

namespace {

constexpr uint64_t kMaxU32 = 0xffffffff;
constexpr uint64_t kRegularOverhead = 4 + kNonceBytes + kTagBytes;
constexpr uint64_t kFinalOverhead = 4 + 4 + kNonceBytes + 4 + kTagBytes;

// How many jobs a helper takes before JavaScript may say that it has ended.
constexpr int kMostJobs = 1000;
constexpr uint64_t kMostSpinMicros = 10'000;
constexpr int kPausesBetweenLooks = 16;

// A batch as JavaScript names it, and how long its two forms are.
struct Frames {
  KeyHandle handle;
  uint64_t pieceBytes;  // 0: this thread alone
  View messageId, src, dst;
  FrameBatch batch;
  uint64_t plaintextBytes, wireBytes;

  bool inPieces() const { return pieceBytes > 0 && plaintextBytes > pieceBytes; }
};

// (key, messageId, frameBytes, firstSequence, regularFrames, finalBytes, src, dst[, pieceBytes])
Error readFrames(Arguments& a, Frames& f) {
  f.handle = a.handle(0);
  f.messageId = a.input(1);
  const uint64_t frameBytes = a.whole(2, kMaxU32);
  const uint64_t firstSequence = a.whole(3, kMaxU32);
  const uint64_t regularFrames = a.whole(4, kMaxU32);
  const bool hasFinal = !a.isUndefined(5);
  const uint64_t finalBytes = hasFinal ? a.whole(5, kMaxU32) : 0;
  f.src = a.input(6);
  f.dst = a.bytes(7);
  f.pieceBytes = a.isUndefined(8) ? 0 : a.whole(8);
  if (a.error() != kOk) return a.error();
  if (f.messageId.bytes != 16 && f.messageId.bytes != 32) return kBadArgument;
  if (frameBytes == 0 || firstSequence == 0 || finalBytes > frameBytes) return kBadArgument;
  // FFFFFFFF marks the final frame, so no regular frame has that number.
  if (firstSequence + regularFrames > kMaxU32) return kBadArgument;
  // More frames than fit any array would overflow the products below.
  if (regularFrames > kMaxSafeInteger / (frameBytes + kRegularOverhead)) return kTooLong;
  f.plaintextBytes = regularFrames * frameBytes + finalBytes;
  f.wireBytes = regularFrames * (frameBytes + kRegularOverhead) + (hasFinal ? finalBytes + kFinalOverhead : 0);
  f.batch = {f.messageId.data, f.messageId.bytes, frameBytes,
             static_cast<uint32_t>(firstSequence), static_cast<uint32_t>(regularFrames), hasFinal, finalBytes,
             f.src.data, f.dst.data, nullptr};
  return kOk;
}

}  // namespace

int64_t sealFrames(Arguments& a) {
  Frames f;
  if (const Error error = readFrames(a, f)) return error;
  if (f.src.bytes < f.plaintextBytes) return kOutside;
  if (f.dst.bytes < f.wireBytes) return kTooSmall;
  if (overlap(f.dst, f.src) || overlap(f.dst, f.messageId)) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, f.handle)) return error;
  if (f.inPieces()) {
    bool done;
    return FrameJob(key.sealing(), f.batch, false, f.dst.shared, f.pieceBytes).run(a.environment().plaintext, done);
  }
  key.sealing().kernel->sealFrames(&key.sealing().gcm, &f.batch);
  return kOk;
}

int64_t openFrames(Arguments& a) {
  Frames f;
  if (const Error error = readFrames(a, f)) return error;
  if (f.src.bytes < f.wireBytes) return kOutside;
  if (f.dst.bytes < f.plaintextBytes) return kTooSmall;
  f.dst.bytes = f.plaintextBytes;
  if (overlap(f.dst, f.messageId)) return kOverlap;
  if (f.dst.data > f.src.data && overlap(f.dst, f.src)) return kOverlap;
  Pinned key;
  if (const Error error = key.pin(KeyKind::kSealing, f.handle)) return error;
  const SealingKey& k = key.sealing();
  // In place, a piece's plaintext lies where the ciphertext before it lay: one after the other.
  if (f.inPieces() && !overlap(f.dst, f.src)) {
    bool opened;
    const Error error = FrameJob(k, f.batch, true, f.dst.shared, f.pieceBytes).run(a.environment().plaintext, opened);
    return error != kOk ? int64_t{error} : int64_t{opened};
  }
  if (!f.dst.shared) return k.kernel->openFrames(&k.gcm, &f.batch);
  const uint64_t longest = f.batch.regularFrames > 0 ? f.batch.frameBytes : f.batch.finalBytes;
  const Borrowed scratch(a.environment().plaintext, longest + 1);
  if (scratch.get() == nullptr) return kNoMemory;
  f.batch.scratch = scratch.get();
  return k.kernel->openFrames(&k.gcm, &f.batch);
}

int64_t help(Arguments& a) {
  using Clock = std::chrono::steady_clock;
  const uint64_t spinMicros = a.whole(0, kMostSpinMicros);
  if (a.error() != kOk) return a.error();
  const auto spin = std::chrono::microseconds(spinMicros);
  int joined = 0;
  for (auto idleSince = Clock::now(); joined < kMostJobs;) {
    if (publishedJobs() > 0 && helpOnce(a.environment().plaintext)) {
      joined++;
      idleSince = Clock::now();
      continue;
    }
    for (int i = 0; i < kPausesBetweenLooks; i++) pause();
    std::this_thread::yield();  // whoever is about to publish a job may wait for this very core
    if (Clock::now() - idleSince >= spin) break;
  }
  return joined;
}

}  // namespace keyladder
