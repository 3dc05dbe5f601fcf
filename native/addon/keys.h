// The table of keys, one for the process: a handle is a slot of the slab and how often the slot was handed out.
//
// Every use pins its slot. Disposing refuses new pins at once; the bytes are overwritten when the last pin goes, so that
// no thread ever seals under a key that is being wiped. All functions are thread-safe.

#ifndef KEYLADDER_ADDON_KEYS_H_
#define KEYLADDER_ADDON_KEYS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../kernels/kernel.h"
#include "errors.h"
#include "slab.h"

namespace keyladder {

constexpr size_t kMaxRawBytes = 64;

// Raw bytes of a key. Zero in a forked child: `length` is 0 then.
struct alignas(64) RawKey {
  uint8_t bytes[kMaxRawBytes];
  uint32_t length;
};

// A key ready to seal, and the kernel whose order its powers have. In a forked child `kernel` is null.
struct alignas(64) SealingKey {
  GcmKey gcm;
  const Kernel* kernel;
};

enum class KeyKind : uint32_t { kRaw = 0, kSealing = 1 };

// Below 2^53, never 0: generation 32 bits, kind 1 bit, slot 19 bits.
using KeyHandle = uint64_t;

// Which JavaScript environment (main thread, worker) a key belongs to; from 1.
using Owner = uint32_t;

// In a slot's state: its owner let go, and no more pins are given.
constexpr uint64_t kDisposed = uint64_t{1} << 30;

// Holds a slot for as long as it lives.
class Pinned {
 public:
  Pinned() = default;
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned();

  // Pins the key of a handle. Any number may be given.
  Error pin(KeyKind kind, KeyHandle handle);
  // Takes a free slot, zero but for what the caller writes, pinned.
  Error create(KeyKind kind, Owner owner);
  // Whether its owner let go meanwhile. The bytes stay until this pin goes.
  bool isDisposed() const { return (state_->load(std::memory_order_relaxed) & kDisposed) != 0; }

  KeyHandle handle() const { return handle_; }
  RawKey& raw() const { return *static_cast<RawKey*>(memory_); }
  SealingKey& sealing() const { return *static_cast<SealingKey*>(memory_); }

 private:
  void* memory_ = nullptr;
  const std::atomic<uint64_t>* state_ = nullptr;
  KeyHandle handle_ = 0;
};

// Refuses new pins; wipes now or at the last unpin. `kClosed` for a handle that is not live.
Error disposeKey(KeyHandle handle);

// When an environment exits.
void disposeKeysOf(Owner owner);

struct KeyCounts {
  size_t raw, sealing;
};
KeyCounts liveKeys();

// Reserves the slab and commits its first pages; false where the system refuses. Later calls repeat the answer.
bool openKeyTable();
SlabFacts slabFacts();

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_KEYS_H_
