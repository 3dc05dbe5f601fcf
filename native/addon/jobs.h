// Batches of frames that several threads work on at once.
//
// Whoever calls publishes his batch as a job and works on it himself; helpers, which are threads of other JavaScript
// environments, join, take pieces and leave. Nobody waits for a helper that has not joined: one that dies, or never
// comes, costs time and no result. Before the call returns, those in the middle of a piece have left. So the caller's
// thread is inside the call for as long as anybody touches his arrays: no JavaScript of his can detach, resize or free
// them meanwhile, and they need not be shared memory. A helper is killed only where it runs JavaScript, never here.

#ifndef KEYLADDER_ADDON_JOBS_H_
#define KEYLADDER_ADDON_JOBS_H_

#include <atomic>
#include <cstdint>

#include "../kernels/kernel.h"
#include "environment.h"
#include "errors.h"
#include "keys.h"

namespace keyladder {

class FrameJob {
 public:
  // `key` stays pinned, and the arrays of `batch` in place, until `run` returned. `pieceBytes`: about as many bytes of
  // plaintext make a piece, from 1. `shared`: opening goes through scratch.
  FrameJob(const SealingKey& key, const FrameBatch& batch, bool opening, bool shared, uint64_t pieceBytes);
  FrameJob(const FrameJob&) = delete;
  FrameJob& operator=(const FrameJob&) = delete;

  // All of it, with whatever help comes. Opening: `opened` false where a tag does not verify; all of dst is zero then.
  Error run(Scratch& scratch, bool& opened);

 private:
  friend bool helpOnce(Scratch& scratch);

  enum class End { kFront, kBack };

  bool hasPieces() const;
  bool takePiece(End end, uint64_t& number);
  Error work(Scratch& scratch, End end);
  FrameBatch piece(uint64_t number) const;
  void leave();

  const SealingKey& key_;
  FrameBatch batch_;
  const bool opening_, shared_;
  uint8_t messageId_[32];
  uint64_t pieceFrames_, pieces_;
  // Pieces that nobody took: from the lower half to before the upper half.
  std::atomic<uint64_t> left_;
  std::atomic<bool> failed_{false};
  std::atomic<uint32_t> helpers_{0};  // changed under the lock of the list
  FrameJob* following_ = nullptr;     // in the list, under its lock
};

// Joins a job that has pieces left and works until it has none; false where there is no such job.
bool helpOnce(Scratch& scratch);

// How many jobs are published: changes without a lock, for whoever waits for one.
uint32_t publishedJobs();

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_JOBS_H_
