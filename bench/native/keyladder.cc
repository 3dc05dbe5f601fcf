// The kernels of this project, each by itself.

#include "contender.h"
#include "kernel.h"

namespace bench {
namespace {

class Kernel final : public Contender {
 public:
  Kernel(const keyladder::Kernel& kernel, const uint8_t* key) : Contender(kernel.name), kernel_(kernel) {
    kernel_.expand(&key_, key, kKeyBytes);
  }

  void seal(Work& work) override {
    switch (work.kind) {
      case Kind::kBuffer:
        kernel_.seal(&key_, work.nonces.data(), kNonceBytes, nullptr, 0, work.plain.data(), work.itemBytes,
                     work.wire.data(), work.wire.data() + work.itemBytes);
        return;
      case Kind::kFrames: {
        const keyladder::FrameBatch batch = framesOf(work, work.plain.data(), work.wire.data());
        kernel_.sealFrames(&key_, &batch);
        return;
      }
      case Kind::kRecords: {
        const keyladder::RecordBatch batch = recordsOf(work, work.plain, work.plainOffsets, work.wire);
        kernel_.sealRecords(&key_, &batch);
        return;
      }
    }
  }

  bool open(Work& work) override {
    switch (work.kind) {
      case Kind::kBuffer:
        return kernel_.open(&key_, work.nonces.data(), kNonceBytes, nullptr, 0, work.wire.data(), work.itemBytes,
                            work.wire.data() + work.itemBytes, work.opened.data(), nullptr);
      case Kind::kFrames: {
        const keyladder::FrameBatch batch = framesOf(work, work.wire.data(), work.opened.data());
        return kernel_.openFrames(&key_, &batch);
      }
      case Kind::kRecords: {
        const keyladder::RecordBatch batch = recordsOf(work, work.wire, work.wireOffsets, work.opened);
        return kernel_.openRecords(&key_, &batch) == 0;
      }
    }
    return false;
  }

  bool hasCtr() const override { return true; }
  void ctr(Work& work) override {
    kernel_.ctr(&key_, work.nonces.data(), work.plain.data(), work.itemBytes, work.wire.data());
  }

 private:
  static keyladder::FrameBatch framesOf(const Work& work, const uint8_t* src, uint8_t* dst) {
    keyladder::FrameBatch batch = {};
    batch.messageId = work.messageId.data();
    batch.messageIdBytes = work.messageId.size();
    batch.frameBytes = work.itemBytes;
    batch.firstSequence = 1;
    batch.regularFrames = static_cast<uint32_t>(work.count);
    batch.src = src;
    batch.dst = dst;
    return batch;
  }

  static keyladder::RecordBatch recordsOf(Work& work, const std::vector<uint8_t>& src,
                                          const std::vector<uint32_t>& srcOffsets, std::vector<uint8_t>& dst) {
    keyladder::RecordBatch batch = {};
    batch.count = work.count;
    batch.prefix = work.prefix.data();
    batch.prefixBytes = work.prefix.size();
    batch.nonces = work.nonces.data();
    batch.src = src.data();
    batch.srcOffsets = srcOffsets.data();
    batch.dst = dst.data();
    batch.dstOffsets = work.writtenOffsets.data();
    batch.status = work.status.data();
    return batch;
  }

  const keyladder::Kernel& kernel_;
  keyladder::GcmKey key_;
};

}  // namespace

void addKernels(Contenders& all, const uint8_t key[kKeyBytes]) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool aes = __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  const bool vaes = aes && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("vaes") &&
                    __builtin_cpu_supports("vpclmulqdq");
  const bool avx512 = vaes && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512) all.push_back(std::make_unique<Kernel>(keyladder::kAvx512, key));
  if (vaes) all.push_back(std::make_unique<Kernel>(keyladder::kAvx2, key));
  if (aes) all.push_back(std::make_unique<Kernel>(keyladder::kAesni, key));
#endif
}

}  // namespace bench
