// A call's arguments, checked for memory safety; JavaScript has checked what they mean.

#ifndef KEYLADDER_ADDON_ARGUMENTS_H_
#define KEYLADDER_ADDON_ARGUMENTS_H_

#include <node_api.h>

#include "environment.h"
#include "errors.h"

namespace keyladder {

constexpr size_t kMostArguments = 12;
constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

// Bytes of a Uint8Array. Valid for the length of the call: no JavaScript runs meanwhile, only other threads do, and
// those reach it only where it is `shared`.
struct View {
  uint8_t* data;
  size_t bytes;
  bool shared;

  const uint8_t* end() const { return data + bytes; }
};

struct Offsets {
  uint32_t* data;
  size_t count;
  uint64_t limit;  // the largest value it can hold
};

inline bool overlap(const uint8_t* a, size_t aBytes, const uint8_t* b, size_t bBytes) {
  if (aBytes == 0 || bBytes == 0) return false;
  const auto x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
  return x < y + bBytes && y < x + aBytes;
}
inline bool overlap(const View& a, const View& b) { return overlap(a.data, a.bytes, b.data, b.bytes); }

// Reads arguments one by one and remembers the first error: callers read all, then look at `error` once.
class Arguments {
 public:
  // Reads `count` arguments; further ones are not looked at, missing ones are undefined.
  Arguments(napi_env env, napi_callback_info info, size_t count);

  Error error() const { return error_; }
  napi_env env() const { return env_; }
  Environment& environment() const { return *environment_; }
  napi_value value(size_t index) const { return values_[index]; }

  // A whole number from 0 to `most`. Up to 2^31 a fraction is cut off; all else that is no such number is an error.
  uint64_t whole(size_t index, uint64_t most = kMaxSafeInteger) {
    int64_t number;
    const napi_status status = napi_get_value_int64(env_, values_[index], &number);
    // 0 may also stand for NaN or infinity, a large number for one that was cut off: both are rare, so ask again.
    if (status == napi_ok && number > 0 && number <= INT32_MAX && static_cast<uint64_t>(number) <= most) {
      return static_cast<uint64_t>(number);
    }
    return exactWhole(index, most);
  }
  // A key's handle: mostly too large for the short way of `whole`.
  KeyHandle handle(size_t index) { return exactWhole(index, kMaxSafeInteger); }
  // A Uint8Array; `shared` says whether it stands in a SharedArrayBuffer.
  View bytes(size_t index);
  // The same, where it does not matter (inputs, whose bytes are loaded once): costs less; `shared` is false.
  View input(size_t index);
  // A Uint32Array or Int32Array.
  Offsets offsets(size_t index);
  bool isUndefined(size_t index);

 private:
  uint64_t exactWhole(size_t index, uint64_t most);
  View view(size_t index, bool askShared);
  void fail(Error error) {
    if (error_ == kOk) error_ = error;
  }

  napi_env env_;
  Environment* environment_ = nullptr;
  Error error_ = kOk;
  napi_value values_[kMostArguments];
};

// A native function: returns a number from 0, or an `Error`.
using Function = int64_t (*)(Arguments& arguments);

napi_value numberOf(napi_env env, int64_t number);

// The function as Node-API calls it, with that many arguments.
template <Function kFunction, size_t kCount>
napi_value entry(napi_env env, napi_callback_info info) {
  static_assert(kCount <= kMostArguments, "they have room");
  Arguments arguments(env, info, kCount);
  return numberOf(env, arguments.error() == kOk ? kFunction(arguments) : int64_t{arguments.error()});
}

}  // namespace keyladder

#endif  // KEYLADDER_ADDON_ARGUMENTS_H_
