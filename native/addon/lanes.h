// Lanes: one key and one stretch of shared memory, bound to each other in one thread. A call on a lane looks nothing up
// and pins nothing: for the hottest path, many small texts one by one.

#ifndef KEYLADDER_ADDON_LANES_H_
#define KEYLADDER_ADDON_LANES_H_

#include <node_api.h>

#include <memory>

#include "keys.h"

namespace keyladder {

struct Lane {
  Pinned key;             // for as long as the lane lasts: its key is wiped when lane and key are both gone
  napi_ref held;          // keeps the memory from the garbage collector
  const uint8_t* begin;   // shared memory: it is never detached, nor does it shrink
  size_t bytes;
};

// The lanes of one environment. Numbers fit 31 bits, and none comes to name another lane.
class Lanes {
 public:
  // A free place; null where there is none.
  std::unique_ptr<Lane>* add(uint32_t* number);
  // Null where the number names no lane.
  Lane* find(uint64_t number) {
    const size_t at = number & (kMost - 1);
    return lanes_[at] != nullptr && number >> kBits == generations_[at] ? lanes_[at].get() : nullptr;
  }
  // Lets go of a lane that `find` found.
  void remove(uint64_t number);

 private:
  static constexpr unsigned kBits = 8;
  static constexpr size_t kMost = size_t{1} << kBits;
  static constexpr uint32_t kLastGeneration = (1u << (30 - kBits)) - 1;
  std::unique_ptr<Lane> lanes_[kMost];
  uint32_t generations_[kMost] = {0};
};

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_LANES_H_
