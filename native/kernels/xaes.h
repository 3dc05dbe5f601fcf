// XAES-256-GCM (C2SP): each record has a key of its own, derived from the master key and the front of its nonce, so that
// random nonces do not collide. Over the block function and the GCM of any kernel.

#ifndef KEYLADDER_KERNELS_XAES_H_
#define KEYLADDER_KERNELS_XAES_H_

#include "kernel.h"

namespace keyladder {

constexpr size_t kMinSaltBytes = 8;
constexpr size_t kMaxSaltBytes = 12;

// As `Kernel::sealRecords` and `openRecords`, but a record's nonce is `saltBytes` (8 to 12) that derive its key, then 12.
// `master` is an AES-256 key expanded by `kernel`.
void xaesSealRecords(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch);
size_t xaesOpenRecords(const Kernel& kernel, const GcmKey* master, size_t saltBytes, const RecordBatch* batch);

}  // namespace keyladder

#endif  // KEYLADDER_KERNELS_XAES_H_
