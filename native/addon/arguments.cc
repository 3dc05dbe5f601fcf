#include "arguments.h"

namespace keyladder {

namespace {

// Where an empty array points: never read, never null.
uint8_t nothing[1];

}  // namespace

Arguments::Arguments(napi_env env, napi_callback_info info, size_t count) : env_(env) {
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, values_, nullptr, &data) != napi_ok || data == nullptr) {
    error_ = kRuntime;
    return;
  }
  environment_ = static_cast<Environment*>(data);
}

uint64_t Arguments::exactWhole(size_t index, uint64_t most) {
  double number;
  if (napi_get_value_double(env_, values_[index], &number) != napi_ok) {
    fail(kBadArgument);
    return 0;
  }
  // NaN fails the comparison too. By way of a signed number: that conversion is one instruction.
  if (number >= 0 && number <= static_cast<double>(most)) {
    const int64_t whole = static_cast<int64_t>(number);
    if (static_cast<double>(whole) == number) return static_cast<uint64_t>(whole);
  }
  fail(kBadArgument);
  return 0;
}

View Arguments::view(size_t index, bool askShared) {
  constexpr View kNone = {nothing, 0, false};
  napi_typedarray_type type;
  size_t length;
  void* data;
  napi_value buffer;
  if (napi_get_typedarray_info(env_, values_[index], &type, &length, &data, askShared ? &buffer : nullptr, nullptr) !=
          napi_ok ||
      type != napi_uint8_array) {
    fail(kBadArgument);
    return kNone;
  }
  if (length == 0) {
    bool isBuffer = false, detached = false;
    if (napi_get_typedarray_info(env_, values_[index], nullptr, nullptr, nullptr, &buffer, nullptr) != napi_ok ||
        napi_is_arraybuffer(env_, buffer, &isBuffer) != napi_ok ||
        (isBuffer && napi_is_detached_arraybuffer(env_, buffer, &detached) != napi_ok)) {
      fail(kRuntime);
    } else if (detached) {
      fail(kDetached);
    }
    return kNone;
  }
  if (data == nullptr) {
    fail(kDetached);
    return kNone;
  }
  bool isBuffer = true;
  if (askShared && napi_is_arraybuffer(env_, buffer, &isBuffer) != napi_ok) fail(kRuntime);
  return {static_cast<uint8_t*>(data), length, !isBuffer};
}

View Arguments::bytes(size_t index) { return view(index, true); }

View Arguments::input(size_t index) { return view(index, false); }

Offsets Arguments::offsets(size_t index) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, values_[index], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      (type != napi_uint32_array && type != napi_int32_array)) {
    fail(kBadArgument);
    return {nullptr, 0, 0};
  }
  if (length == 0 || data == nullptr) {
    fail(kOffsets);
    return {nullptr, 0, 0};
  }
  return {static_cast<uint32_t*>(data), length, type == napi_int32_array ? 0x7fffffffu : 0xffffffffu};
}

bool Arguments::isUndefined(size_t index) {
  napi_valuetype type;
  if (napi_typeof(env_, values_[index], &type) != napi_ok) {
    fail(kRuntime);
    return true;
  }
  return type == napi_undefined;
}

napi_value numberOf(napi_env env, int64_t number) {
  napi_value value = nullptr;
  const napi_status status = number >= INT32_MIN && number <= INT32_MAX
                                 ? napi_create_int32(env, static_cast<int32_t>(number), &value)
                                 : napi_create_double(env, static_cast<double>(number), &value);
  return status == napi_ok ? value : nullptr;
}

}  // namespace keyladder
