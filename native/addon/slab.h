// The memory that keys live in: one mapping between guard pages, kept out of core dumps, zero in a forked child, locked
// in memory as far as the operating system allows. Reserved once, committed as it fills.

#ifndef KEYLADDER_ADDON_SLAB_H_
#define KEYLADDER_ADDON_SLAB_H_

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace keyladder {

// What the operating system granted. A refusal is a text that never ends; null where nothing was refused.
struct SlabFacts {
  size_t reservedBytes = 0;
  size_t committedBytes = 0;
  size_t lockedBytes = 0;
  const char* lockRefused = nullptr;
  const char* dumpRefused = nullptr;
  const char* forkRefused = nullptr;
};

// One run of equal slots inside the mapping.
struct SlabArea {
  uint8_t* begin = nullptr;
  size_t bytes = 0;
  size_t committedBytes = 0;
};

class Slab {
 public:
  // Reserves two areas, a guard page before, between and behind them. False where the address space refuses.
  bool reserve(size_t firstBytes, size_t secondBytes);
  // Makes at least the first `bytes` of an area usable. False where memory is short. Thread-safe.
  bool commit(size_t area, size_t bytes);

  uint8_t* begin(size_t area) const { return areas_[area].begin; }
  SlabFacts facts();

 private:
  SlabArea areas_[2];
  SlabFacts facts_;
  std::mutex lock_;
};

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_SLAB_H_
