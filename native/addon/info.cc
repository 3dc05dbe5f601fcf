#include "info.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "../dispatch/dispatch.h"
#include "keys.h"

namespace keyladder {

namespace {

Napi::Object verdictOf(Napi::Env env, size_t kernel, CpuFeatures features) {
  const Verdict verdict = judge(kernel, features);
  Napi::Object out = Napi::Object::New(env);
  out.Set("name", kKernels[kernel]->name);
  out.Set("can", verdict.can);
  out.Set("should", verdict.should);
  out.Set("why", verdict.why);
  return out;
}

Napi::Object memoryOf(Napi::Env env) {
  const SlabFacts facts = slabFacts();
  Napi::Object out = Napi::Object::New(env);
  out.Set("reservedBytes", static_cast<double>(facts.reservedBytes));
  out.Set("committedBytes", static_cast<double>(facts.committedBytes));
  out.Set("lockedBytes", static_cast<double>(facts.lockedBytes));
  Napi::Array refused = Napi::Array::New(env);
  for (const char* text : {facts.lockRefused, facts.dumpRefused, facts.forkRefused}) {
    if (text != nullptr) refused.Set(refused.Length(), text);
  }
  out.Set("refused", refused);
  return out;
}

// The kernel of a call's first argument; `kKernelCount` where that is none.
size_t kernelOf(const Napi::CallbackInfo& call) {
  if (!call[0].IsNumber()) return kKernelCount;
  const double number = call[0].As<Napi::Number>().DoubleValue();
  return number >= 0 && number < static_cast<double>(kKernelCount) ? static_cast<size_t>(number) : kKernelCount;
}

KeyHandle handleOf(const Napi::CallbackInfo& call) {
  return static_cast<KeyHandle>(call[0].As<Napi::Number>().Int64Value());
}

// resetSelfTest(kernel, fail): the next question tests again, against a flipped bit where `fail` is true.
Napi::Value resetHook(const Napi::CallbackInfo& call) {
  const size_t kernel = kernelOf(call);
  if (kernel < kKernelCount) resetSelfTest(kernel, call[1].ToBoolean());
  return call.Env().Undefined();
}

// judge(kernel, names): the verdict for a machine with these features only.
Napi::Value judgeHook(const Napi::CallbackInfo& call) {
  const size_t kernel = kernelOf(call);
  if (kernel == kKernelCount || !call[1].IsArray()) return call.Env().Undefined();
  const Napi::Array names = call[1].As<Napi::Array>();
  CpuFeatures features = 0;
  for (uint32_t i = 0; i < names.Length(); i++) {
    const std::string name = names.Get(i).ToString();
    for (size_t f = 0; f < kCpuFeatureCount; f++) {
      if (name == cpuFeatureName(f)) features |= CpuFeatures{1} << f;
    }
  }
  return verdictOf(call.Env(), kernel, features);
}

// kernelOf(handle): the name of the kernel that a sealing key was made for; undefined for other keys.
Napi::Value kernelHook(const Napi::CallbackInfo& call) {
  Pinned key;
  if (!call[0].IsNumber() || key.pin(KeyKind::kSealing, handleOf(call)) != kOk) return call.Env().Undefined();
  return Napi::String::New(call.Env(), key.sealing().kernel->name);
}

// afterFork(handle): what pinning the key gives in a forked child; undefined where there is no fork.
Napi::Value forkHook(const Napi::CallbackInfo& call) {
#if defined(_WIN32)
  return call.Env().Undefined();
#else
  if (!call[0].IsNumber()) return call.Env().Undefined();
  const KeyHandle handle = handleOf(call);
  const pid_t child = fork();
  if (child == 0) {
    Pinned raw, sealing;
    const Error error = raw.pin(KeyKind::kRaw, handle);
    _exit(-(error == kClosed ? sealing.pin(KeyKind::kSealing, handle) : error));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return call.Env().Undefined();
  return Napi::Number::New(call.Env(), -WEXITSTATUS(status));
#endif
}

}  // namespace

Napi::Value info(const Napi::CallbackInfo& call) {
  const Napi::Env env = call.Env();
  const CpuFeatures features = cpuFeatures();
  Napi::Object out = Napi::Object::New(env);
  Napi::Array names = Napi::Array::New(env);
  for (size_t i = 0; i < kCpuFeatureCount; i++) {
    if ((features >> i) & 1) names.Set(names.Length(), cpuFeatureName(i));
  }
  Napi::Array kernels = Napi::Array::New(env);
  for (size_t i = 0; i < kKernelCount; i++) kernels.Set(static_cast<uint32_t>(i), verdictOf(env, i, features));
  Napi::Object keys = Napi::Object::New(env);
  const KeyCounts live = liveKeys();
  keys.Set("raw", static_cast<double>(live.raw));
  keys.Set("sealing", static_cast<double>(live.sealing));
  out.Set("features", names);
  out.Set("kernels", kernels);
  out.Set("keys", keys);
  out.Set("memory", memoryOf(env));
  return out;
}

Napi::Value selfTest(const Napi::CallbackInfo& call) {
  const size_t kernel = kernelOf(call);
  if (kernel == kKernelCount) return Napi::String::New(call.Env(), "there is no such kernel");
  const Verdict verdict = judge(kernel, cpuFeatures());
  if (!verdict.can) return Napi::String::New(call.Env(), verdict.why);
  const char* failure = selfTestFailure(kernel);
  return failure == nullptr ? call.Env().Undefined() : Napi::String::New(call.Env(), failure);
}

Napi::Value errorTexts(Napi::Env env) {
  Napi::Array out = Napi::Array::New(env, kErrorCount);
  for (uint32_t i = 0; i < kErrorCount; i++) {
    Napi::Object text = Napi::Object::New(env);
    text.Set("code", kErrorTexts[i].code);
    text.Set("message", kErrorTexts[i].message);
    out.Set(i, text);
  }
  return out;
}

Napi::Object testing(Napi::Env env) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("resetSelfTest", Napi::Function::New(env, resetHook));
  out.Set("judge", Napi::Function::New(env, judgeHook));
  out.Set("kernelOf", Napi::Function::New(env, kernelHook));
  out.Set("afterFork", Napi::Function::New(env, forkHook));
  return out;
}

}  // namespace keyladder
