// Overwriting that the compiler must not drop.

#ifndef KEYLADDER_KERNELS_WIPE_H_
#define KEYLADDER_KERNELS_WIPE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace keyladder {

inline void wipe(void* memory, size_t bytes) {
  if (bytes == 0) return;
#if defined(__GNUC__)
  std::memset(memory, 0, bytes);
  __asm__ volatile("" : : "r"(memory) : "memory");
#else
  for (volatile uint8_t* p = static_cast<uint8_t*>(memory); bytes > 0; bytes--) *p++ = 0;
#endif
}

// Bytes that are overwritten when the scope ends.
template <size_t kBytes>
struct Wiped {
  alignas(64) uint8_t bytes[kBytes];
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { wipe(bytes, kBytes); }
};

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_WIPE_H_
