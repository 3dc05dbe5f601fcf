// What one JavaScript environment (the main thread, a worker) has of its own.

#ifndef KEYLADDER_ADDON_ENVIRONMENT_H_
#define KEYLADDER_ADDON_ENVIRONMENT_H_

#include <cstdlib>

#include "keys.h"
#include "lanes.h"
#include "../kernels/wipe.h"

namespace keyladder {

// Memory for the length of a call, kept between calls while it is small.
class Scratch {
 public:
  // `secret`: what it held is overwritten when it is given back.
  explicit Scratch(bool secret) : secret_(secret) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }

  // Null where memory is short.
  uint8_t* take(size_t bytes) {
    if (bytes > capacity_) {
      std::free(memory_);
      capacity_ = bytes < kKeptBytes ? kKeptBytes : bytes;
      memory_ = static_cast<uint8_t*>(std::malloc(capacity_));
      if (memory_ == nullptr) capacity_ = 0;
    }
    taken_ = memory_ == nullptr ? 0 : bytes;
    return memory_;
  }

  void giveBack() {
    if (secret_) wipe(memory_, taken_);
    taken_ = 0;
    if (capacity_ <= kKeptBytes) return;
    std::free(memory_);
    memory_ = nullptr;
    capacity_ = 0;
  }

 private:
  static constexpr size_t kKeptBytes = 256 * 1024;
  const bool secret_;
  uint8_t* memory_ = nullptr;
  size_t capacity_ = 0;
  size_t taken_ = 0;
};

struct Environment {
  explicit Environment(Owner number) : owner(number) {}
  const Owner owner;
  Scratch plaintext{true};  // what must not stand in shared memory before its tag verified
  Scratch tables{false};    // copies of offsets
  Lanes lanes;
};

// Gives scratch back when a call ends.
class Borrowed {
 public:
  Borrowed(Scratch& scratch, size_t bytes) : scratch_(scratch), memory_(scratch.take(bytes)) {}
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() { scratch_.giveBack(); }
  uint8_t* get() const { return memory_; }

 private:
  Scratch& scratch_;
  uint8_t* memory_;
};

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_ENVIRONMENT_H_
