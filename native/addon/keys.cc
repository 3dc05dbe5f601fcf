#include "keys.h"

#include <atomic>
#include <mutex>

#include "../kernels/wipe.h"

namespace keyladder {

namespace {

constexpr size_t kSlots = size_t{1} << 17;  // of each kind
constexpr unsigned kSlotBits = 19, kKindShift = 19, kGenerationShift = 20;
static_assert(kSlots <= size_t{1} << kSlotBits, "a slot number fits the handle");

constexpr size_t kSlotBytes[] = {sizeof(RawKey), sizeof(SealingKey)};

// A slot's state: generation in the upper half; live, disposed, and how many pins in the lower.
constexpr uint64_t kLive = uint64_t{1} << 31;
constexpr uint64_t kPins = kDisposed - 1;
constexpr uint64_t kGenerationOne = uint64_t{1} << 32;
constexpr uint64_t kLastGeneration = 0xffffffff;

struct Kind {
  std::atomic<uint64_t> states[kSlots];
  std::atomic<Owner> owners[kSlots];
  uint32_t nextFree[kSlots];  // guarded by `lock`, like all below
  uint32_t firstFree;         // slot number + 1; 0: none
  uint32_t everUsed;
  std::atomic<uint32_t> live;
  std::mutex lock;
};

Kind kinds[2];
Slab slab;
std::atomic<uint8_t*> slotsBegin[2];

uint8_t* memoryOf(size_t kind, size_t slot) {
  return slotsBegin[kind].load(std::memory_order_relaxed) + slot * kSlotBytes[kind];
}

// Overwrites a slot that nobody pins, and gives it back under the next generation. A slot whose generations are used up
// stays out of use: a handle never comes to name another key.
void recycle(size_t kind, size_t slot, uint64_t state) {
  Kind& k = kinds[kind];
  wipe(memoryOf(kind, slot), kSlotBytes[kind]);
  k.live.fetch_sub(1, std::memory_order_relaxed);
  const uint64_t generation = state >> 32;
  if (generation == kLastGeneration) {
    k.states[slot].store(0, std::memory_order_release);
    return;
  }
  k.states[slot].store((generation + 1) << 32, std::memory_order_release);
  const std::lock_guard<std::mutex> hold(k.lock);
  k.nextFree[slot] = k.firstFree;
  k.firstFree = static_cast<uint32_t>(slot) + 1;
}

void unpin(size_t kind, size_t slot) {
  const uint64_t before = kinds[kind].states[slot].fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kDisposed) != 0 && (before & kPins) == 1) recycle(kind, slot, before);
}

// Marks a live slot, last seen in `state`, as disposed. False where another thread did, or it holds another key now.
bool dispose(size_t kind, size_t slot, uint64_t state) {
  std::atomic<uint64_t>& current = kinds[kind].states[slot];
  const uint64_t generation = state >> 32;
  while ((state & kLive) != 0 && (state & kDisposed) == 0 && state >> 32 == generation) {
    if (!current.compare_exchange_weak(state, state | kDisposed, std::memory_order_acq_rel)) continue;
    if ((state & kPins) == 0) recycle(kind, slot, state);
    return true;
  }
  return false;
}

size_t kindOf(KeyHandle handle) { return (handle >> kKindShift) & 1; }
size_t slotOf(KeyHandle handle) { return handle & ((size_t{1} << kSlotBits) - 1); }
uint64_t generationOf(KeyHandle handle) { return handle >> kGenerationShift; }

bool isForeign(KeyHandle handle) { return slotOf(handle) >= kSlots || generationOf(handle) > kLastGeneration; }

void disposeAll(Owner owner) {
  for (size_t kind = 0; kind < 2; kind++) {
    uint32_t used;
    {
      const std::lock_guard<std::mutex> hold(kinds[kind].lock);
      used = kinds[kind].everUsed;
    }
    for (size_t slot = 0; slot < used; slot++) {
      const uint64_t state = kinds[kind].states[slot].load(std::memory_order_acquire);
      if ((state & kLive) == 0) continue;
      if (owner == 0 || kinds[kind].owners[slot].load(std::memory_order_relaxed) == owner) dispose(kind, slot, state);
    }
  }
}

// When the process exits, or the library is unloaded: environments that were torn down orderly have done this already.
struct AtExit {
  ~AtExit() { disposeAll(0); }
} atExit;

}  // namespace

Pinned::~Pinned() {
  if (memory_ != nullptr) unpin(kindOf(handle_), slotOf(handle_));
}

Error Pinned::pin(KeyKind wanted, KeyHandle handle) {
  const size_t kind = kindOf(handle), slot = slotOf(handle);
  if (isForeign(handle) || kind != static_cast<size_t>(wanted)) return kClosed;
  std::atomic<uint64_t>& current = kinds[kind].states[slot];
  uint64_t state = current.load(std::memory_order_relaxed);
  do {
    if (state >> 32 != generationOf(handle) || (state & kLive) == 0 || (state & kDisposed) != 0) return kClosed;
    if ((state & kPins) == kPins) return kFull;
  } while (!current.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed));
  memory_ = memoryOf(kind, slot);
  state_ = &kinds[kind].states[slot];
  handle_ = handle;
  const bool zeroed = wanted == KeyKind::kRaw ? raw().length == 0 : sealing().kernel == nullptr || sealing().gcm.rounds == 0;
  return zeroed ? kForked : kOk;
}

Error Pinned::create(KeyKind wanted, Owner owner) {
  const size_t kind = static_cast<size_t>(wanted);
  Kind& k = kinds[kind];
  size_t slot;
  {
    const std::lock_guard<std::mutex> hold(k.lock);
    if (k.firstFree != 0) {
      slot = k.firstFree - 1;
      k.firstFree = k.nextFree[slot];
    } else {
      if (k.everUsed == kSlots) return kFull;
      if (!slab.commit(kind, (k.everUsed + size_t{1}) * kSlotBytes[kind])) return kNoMemory;
      slot = k.everUsed++;
      k.states[slot].store(kGenerationOne, std::memory_order_relaxed);
    }
  }
  const uint64_t generation = k.states[slot].load(std::memory_order_acquire) >> 32;
  k.owners[slot].store(owner, std::memory_order_relaxed);
  k.live.fetch_add(1, std::memory_order_relaxed);
  k.states[slot].store(generation << 32 | kLive | 1, std::memory_order_release);
  memory_ = memoryOf(kind, slot);
  state_ = &kinds[kind].states[slot];
  handle_ = generation << kGenerationShift | uint64_t{kind} << kKindShift | slot;
  return kOk;
}

Error disposeKey(KeyHandle handle) {
  if (isForeign(handle)) return kClosed;
  const size_t kind = kindOf(handle), slot = slotOf(handle);
  const uint64_t state = kinds[kind].states[slot].load(std::memory_order_acquire);
  return state >> 32 == generationOf(handle) && dispose(kind, slot, state) ? kOk : kClosed;
}

void disposeKeysOf(Owner owner) { disposeAll(owner); }

KeyCounts liveKeys() { return {kinds[0].live.load(), kinds[1].live.load()}; }

bool openKeyTable() {
  static const bool opened = [] {
    if (!slab.reserve(kSlots * sizeof(RawKey), kSlots * sizeof(SealingKey))) return false;
    for (size_t kind = 0; kind < 2; kind++) slotsBegin[kind].store(slab.begin(kind));
    return slab.commit(0, 1) && slab.commit(1, 1);
  }();
  return opened;
}

SlabFacts slabFacts() { return slab.facts(); }

}  // namespace keyladder
