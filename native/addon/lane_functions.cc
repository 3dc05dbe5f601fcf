#include "functions.h"

namespace keyladder {

namespace {

// What a lane's memory begins with: six numbers of 32 bits, in the machine's order, that count from its beginning.
struct Texts {
  uint32_t nonceAt, aadAt, aadBytes, srcAt, bytes, dstAt;
};
constexpr size_t kTextsBytes = sizeof(Texts);

// Each number is read once: other threads may write to it.
Texts readTexts(const Lane& lane) {
  const volatile uint32_t* words = reinterpret_cast<const volatile uint32_t*>(lane.begin);
  return {words[0], words[1], words[2], words[3], words[4], words[5]};
}

// Where they are, if all lies within the lane and the output touches neither the numbers nor an input.
struct Located {
  const uint8_t *nonce, *aad, *src;
  uint8_t* dst;
};

Error locate(const Lane& lane, const Texts& t, uint64_t srcBytes, uint64_t dstBytes, Located& out) {
  const auto outside = [&lane](uint64_t at, uint64_t bytes) { return at + bytes > lane.bytes; };
  if (outside(t.nonceAt, kNonceBytes) || outside(t.aadAt, t.aadBytes) || outside(t.srcAt, srcBytes)) return kOutside;
  if (outside(t.dstAt, dstBytes)) return kTooSmall;
  const auto meets = [&t, dstBytes](uint64_t at, uint64_t bytes) {
    return bytes > 0 && dstBytes > 0 && at < t.dstAt + dstBytes && t.dstAt < at + bytes;
  };
  if (meets(0, kTextsBytes) || meets(t.nonceAt, kNonceBytes) || meets(t.aadAt, t.aadBytes)) return kOverlap;
  // In place, or apart from the text; from its tag, where that stands behind it, in any case.
  if (t.srcAt != t.dstAt ? meets(t.srcAt, srcBytes) : srcBytes > dstBytes && meets(uint64_t{t.srcAt} + t.bytes, kTagBytes)) {
    return kOverlap;
  }
  uint8_t* begin = const_cast<uint8_t*>(lane.begin);
  out = {begin + t.nonceAt, begin + t.aadAt, begin + t.srcAt, begin + t.dstAt};
  return kOk;
}

// The lane of a number, if its key still serves. A key that was disposed lets go of its lane here.
Error laneOf(Arguments& a, uint64_t number, Lane*& lane) {
  lane = a.environment().lanes.find(number);
  if (lane == nullptr) return kClosed;
  if (lane->key.isDisposed()) {
    if (napi_delete_reference(a.env(), lane->held) != napi_ok) return kRuntime;
    a.environment().lanes.remove(number);
    return kClosed;
  }
  return lane->key.sealing().kernel == nullptr || lane->key.sealing().gcm.rounds == 0 ? kForked : kOk;
}

}  // namespace

std::unique_ptr<Lane>* Lanes::add(uint32_t* number) {
  for (size_t at = 0; at < kMost; at++) {
    if (lanes_[at] != nullptr || generations_[at] == kLastGeneration) continue;
    generations_[at]++;
    *number = generations_[at] << kBits | static_cast<uint32_t>(at);
    return &lanes_[at];
  }
  return nullptr;
}

void Lanes::remove(uint64_t number) { lanes_[number & (kMost - 1)].reset(); }

int64_t laneBind(Arguments& a) {
  const KeyHandle handle = a.handle(0);
  const View memory = a.bytes(1);
  if (a.error() != kOk) return a.error();
  // Memory that is not shared could be transferred away under the lane.
  if (!memory.shared || reinterpret_cast<uintptr_t>(memory.data) % alignof(Texts) != 0) return kBadArgument;
  if (memory.bytes < kTextsBytes) return kTooSmall;
  auto lane = std::make_unique<Lane>();
  if (const Error error = lane->key.pin(KeyKind::kSealing, handle)) return error;
  uint32_t number;
  std::unique_ptr<Lane>* place = a.environment().lanes.add(&number);
  if (place == nullptr) return kFull;
  if (napi_create_reference(a.env(), a.value(1), 1, &lane->held) != napi_ok) return kRuntime;
  lane->begin = memory.data;
  lane->bytes = memory.bytes;
  *place = std::move(lane);
  return number;
}

int64_t laneSeal(Arguments& a) {
  Lane* lane;
  const uint64_t number = a.whole(0);
  if (const Error error = a.error() == kOk ? laneOf(a, number, lane) : a.error()) return error;
  const Texts t = readTexts(*lane);
  Located at;
  if (const Error error = locate(*lane, t, t.bytes, uint64_t{t.bytes} + kTagBytes, at)) return error;
  const SealingKey& k = lane->key.sealing();
  k.kernel->seal(&k.gcm, at.nonce, kNonceBytes, at.aad, t.aadBytes, at.src, t.bytes, at.dst, at.dst + t.bytes);
  return kOk;
}

int64_t laneOpen(Arguments& a) {
  Lane* lane;
  const uint64_t number = a.whole(0);
  if (const Error error = a.error() == kOk ? laneOf(a, number, lane) : a.error()) return error;
  const Texts t = readTexts(*lane);
  Located at;
  if (const Error error = locate(*lane, t, uint64_t{t.bytes} + kTagBytes, t.bytes, at)) return error;
  const Borrowed scratch(a.environment().plaintext, size_t{t.bytes} + 1);
  if (scratch.get() == nullptr) return kNoMemory;
  uint8_t tag[kTagBytes];
  std::memcpy(tag, at.src + t.bytes, kTagBytes);
  const SealingKey& k = lane->key.sealing();
  return k.kernel->open(&k.gcm, at.nonce, kNonceBytes, at.aad, t.aadBytes, at.src, t.bytes, tag, at.dst, scratch.get());
}

int64_t laneFree(Arguments& a) {
  const uint64_t number = a.whole(0);
  if (a.error() != kOk) return a.error();
  Lane* lane = a.environment().lanes.find(number);
  if (lane == nullptr) return kClosed;
  if (napi_delete_reference(a.env(), lane->held) != napi_ok) return kRuntime;
  a.environment().lanes.remove(number);
  return kOk;
}

}  // namespace keyladder
