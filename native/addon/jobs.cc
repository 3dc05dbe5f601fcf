#include "jobs.h"

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "../kernels/wipe.h"
#include "pause.h"

namespace keyladder {

namespace {

constexpr uint64_t kRegularOverhead = 4 + kNonceBytes + kTagBytes;
constexpr unsigned kHalf = 32;
constexpr uint64_t kLower = 0xffffffff;
// About as long as a piece takes: most helpers are gone before the operating system need be asked to wait.
constexpr int kLooks = 200, kPausesBetweenLooks = 16;

std::mutex lock;
std::condition_variable left;
FrameJob* published = nullptr;
std::atomic<uint32_t> publishedCount{0};

}  // namespace

FrameJob::FrameJob(const SealingKey& key, const FrameBatch& batch, bool opening, bool shared, uint64_t pieceBytes)
    : key_(key), batch_(batch), opening_(opening), shared_(shared) {
  // All pieces are of one message, whatever another thread writes to a shared array meanwhile.
  std::memcpy(messageId_, batch.messageId, batch.messageIdBytes);
  batch_.messageId = messageId_;
  pieceFrames_ = pieceBytes / batch.frameBytes;
  if (pieceFrames_ == 0) pieceFrames_ = 1;
  pieces_ = (batch.regularFrames + pieceFrames_ - 1) / pieceFrames_;
  if (pieces_ == 0) pieces_ = 1;
  left_.store(pieces_ << kHalf, std::memory_order_relaxed);
}

bool FrameJob::hasPieces() const {
  const uint64_t left = left_.load(std::memory_order_relaxed);
  return (left & kLower) < left >> kHalf;
}

// The caller takes from the front and helpers from the back: over arrays that are used again, each finds in its core's
// cache what it had there the last time.
bool FrameJob::takePiece(End end, uint64_t& number) {
  uint64_t left = left_.load(std::memory_order_relaxed), after;
  do {
    const uint64_t front = left & kLower, back = left >> kHalf;
    if (front >= back) return false;
    number = end == End::kFront ? front : back - 1;
    after = end == End::kFront ? left + 1 : left - (uint64_t{1} << kHalf);
  } while (!left_.compare_exchange_weak(left, after, std::memory_order_relaxed));
  return true;
}

FrameBatch FrameJob::piece(uint64_t number) const {
  const uint64_t first = number * pieceFrames_;
  const bool last = number + 1 == pieces_;
  const uint64_t frames = last ? batch_.regularFrames - first : pieceFrames_;
  const uint64_t plainAt = first * batch_.frameBytes, wireAt = first * (batch_.frameBytes + kRegularOverhead);
  FrameBatch piece = batch_;
  piece.firstSequence = static_cast<uint32_t>(batch_.firstSequence + first);
  piece.regularFrames = static_cast<uint32_t>(frames);
  piece.hasFinal = last && batch_.hasFinal;
  piece.src += opening_ ? wireAt : plainAt;
  piece.dst += opening_ ? plainAt : wireAt;
  return piece;
}

Error FrameJob::work(Scratch& scratch, End end) {
  const bool apart = opening_ && shared_;
  const uint64_t longest = batch_.regularFrames > 0 ? batch_.frameBytes : batch_.finalBytes;
  const Borrowed own(scratch, apart ? longest + 1 : 0);
  if (apart && own.get() == nullptr) return kNoMemory;
  for (uint64_t number; takePiece(end, number);) {
    FrameBatch one = piece(number);
    if (!opening_) {
      key_.kernel->sealFrames(&key_.gcm, &one);
      continue;
    }
    one.scratch = apart ? own.get() : nullptr;
    if (key_.kernel->openFrames(&key_.gcm, &one)) continue;
    failed_.store(true, std::memory_order_relaxed);
    left_.store(0, std::memory_order_relaxed);
  }
  return kOk;
}

Error FrameJob::run(Scratch& scratch, bool& opened) {
  {
    const std::lock_guard<std::mutex> hold(lock);
    following_ = published;
    published = this;
  }
  publishedCount.fetch_add(1, std::memory_order_release);
  const Error error = work(scratch, End::kFront);
  publishedCount.fetch_sub(1, std::memory_order_relaxed);
  {
    const std::lock_guard<std::mutex> hold(lock);
    FrameJob** at = &published;
    while (*at != this) at = &(*at)->following_;
    *at = following_;
  }
  for (int i = 0; i < kLooks && helpers_.load(std::memory_order_acquire) > 0; i++) {
    for (int j = 0; j < kPausesBetweenLooks; j++) pause();
    std::this_thread::yield();  // the helper may wait for this very core
  }
  if (helpers_.load(std::memory_order_acquire) > 0) {
    std::unique_lock<std::mutex> hold(lock);
    left.wait(hold, [this] { return helpers_.load(std::memory_order_relaxed) == 0; });
  }
  opened = !failed_.load(std::memory_order_relaxed);
  if (opening_ && (!opened || error != kOk)) {
    wipe(batch_.dst, batch_.regularFrames * batch_.frameBytes + (batch_.hasFinal ? batch_.finalBytes : 0));
  }
  return error;
}

// The last that a helper does: the job may be gone as soon as the count is.
void FrameJob::leave() {
  const std::lock_guard<std::mutex> hold(lock);
  if (helpers_.fetch_sub(1, std::memory_order_release) == 1) left.notify_all();
}

bool helpOnce(Scratch& scratch) {
  FrameJob* job;
  {
    const std::lock_guard<std::mutex> hold(lock);
    for (job = published; job != nullptr && !job->hasPieces();) job = job->following_;
    if (job == nullptr) return false;
    job->helpers_.fetch_add(1, std::memory_order_relaxed);
  }
  const Error error = job->work(scratch, FrameJob::End::kBack);
  job->leave();
  return error == kOk;
}

uint32_t publishedJobs() { return publishedCount.load(std::memory_order_acquire); }

}  // namespace keyladder
