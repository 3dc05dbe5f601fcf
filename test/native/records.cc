// Batches of records against the reference: AES-GCM and XAES-256-GCM, with and without associated data, and with some that
// do not open beside others that do.

#include "../../native/kernels/xaes.h"
#include "suites.h"

namespace keyladder::test {
namespace {

struct Records {
  size_t saltBytes;  // 0: AES-GCM
  Bytes prefix, nonces, values, aad;
  bool hasAad;
  std::vector<uint32_t> valueOffsets, aadOffsets;  // the first may be above 0
  std::vector<Bytes> sealed;                       // whole records, by the reference

  size_t count() const { return valueOffsets.size() - 1; }
  size_t overhead() const { return prefix.size() + saltBytes + kNonceBytes + kTagBytes; }
  Bytes value(size_t i) const { return slice(values, valueOffsets, i); }
  static Bytes slice(const Bytes& data, const std::vector<uint32_t>& offsets, size_t i) {
    return Bytes(data.begin() + offsets[i], data.begin() + offsets[i + 1]);
  }
};

struct Shape {
  size_t count, mostBytes, prefixBytes, saltBytes;
  bool hasAad;
};

Records recordsOf(const TestKey& key, const Shape& shape, Random& random) {
  Records r{shape.saltBytes, random.bytes(shape.prefixBytes), random.bytes(shape.count * (shape.saltBytes + kNonceBytes)),
            {}, {}, shape.hasAad, {static_cast<uint32_t>(random.below(20))}, {static_cast<uint32_t>(random.below(20))}, {}};
  for (size_t i = 0; i < shape.count; i++) {
    r.valueOffsets.push_back(r.valueOffsets.back() + static_cast<uint32_t>(random.below(shape.mostBytes + 1)));
    r.aadOffsets.push_back(r.aadOffsets.back() + static_cast<uint32_t>(random.oneIn(4) ? 0 : random.below(70)));
  }
  r.values = random.bytes(r.valueOffsets.back());
  r.aad = random.bytes(r.aadOffsets.back());
  const size_t nonceBytes = shape.saltBytes + kNonceBytes;
  for (size_t i = 0; i < shape.count; i++) {
    const auto from = r.nonces.begin() + static_cast<ptrdiff_t>(i * nonceBytes);
    const auto rest = from + static_cast<ptrdiff_t>(shape.saltBytes), to = from + static_cast<ptrdiff_t>(nonceBytes);
    const Bytes aad = r.hasAad ? Records::slice(r.aad, r.aadOffsets, i) : Bytes{}, nonce(rest, to);
    const Bytes body = shape.saltBytes == 0
                           ? key.reference.seal(nonce, aad, r.value(i))
                           : ReferenceGcm(referenceXaesKey(key.bytes, Bytes(from, rest))).seal(nonce, aad, r.value(i));
    r.sealed.push_back(r.prefix + Bytes(from, to) + body);
  }
  return r;
}

// A record that must not open, one way or another.
RecordStatus spoil(const Records& r, Bytes& record, Random& random) {
  const size_t what = random.below(4);
  const auto flip = [&](size_t from, size_t to) { record[from + random.below(to - from)] ^= static_cast<uint8_t>(1 << random.below(8)); };
  if (what == 0) {
    record.resize(random.below(r.overhead()));
    return kRecordTooShort;
  }
  if (what == 1 && !r.prefix.empty()) {
    flip(0, r.prefix.size());
    if (random.oneIn(2)) flip(r.prefix.size(), record.size());
    return kRecordOtherPrefix;
  }
  if (what == 2) flip(record.size() - kTagBytes, record.size());
  else flip(r.prefix.size(), record.size());
  return kRecordNotAuthentic;
}

class Caller {
 public:
  explicit Caller(size_t capacity)
      : prefix_(64), nonces_(capacity), src_(capacity), srcOffsets_(capacity), aad_(capacity), aadOffsets_(capacity),
        dst_(capacity), dstOffsets_(capacity), status_(capacity), scratch_(capacity) {}

  void check(size_t number, const TestKey& key, const Records& r, Placement placement, Random& random) {
    const Kernel& k = *kernels()[number];
    describe("%s, key %zu, %zu records, prefix %zu, salt %zu, %s, placement %zu", k.name, key.bytes.size(), r.count(),
             r.prefix.size(), r.saltBytes, r.hasAad ? "aad" : "no aad", placement);
    prefix_.place(r.prefix, placement);
    if (r.hasAad) aad_.place(r.aad, placement);
    if (r.hasAad) placeOffsets(aadOffsets_, r.aadOffsets);

    Bytes wire;
    std::vector<uint32_t> offsets = {0};
    for (const Bytes& record : r.sealed) {
      wire.insert(wire.end(), record.begin(), record.end());
      offsets.push_back(static_cast<uint32_t>(wire.size()));
    }
    nonces_.place(r.nonces, placement);
    src_.place(r.values, placement);
    placeOffsets(srcOffsets_, r.valueOffsets);
    dst_.place(wire.size(), placement);
    dstOffsets_.place(4 * (r.count() + 1), kAtEnd);
    RecordBatch batch = batchOf(r);
    batch.nonces = nonces_.data();
    if (r.saltBytes == 0) k.sealRecords(key.of(number), &batch);
    else xaesSealRecords(k, key.of(number), r.saltBytes, &batch);
    CHECK(dst_.holds(wire) && dst_.isAlone() && src_.holds(r.values));
    CHECK(std::memcmp(dstOffsets_.data(), offsets.data(), 4 * offsets.size()) == 0 && dstOffsets_.isAlone());

    for (const size_t bad : {size_t{0}, size_t{1}, size_t{2}, random.below(r.count() + 1), r.count()}) {
      opens(k, key.of(number), r, placement, bad, random);
    }
  }

 private:
  RecordBatch batchOf(const Records& r) {
    RecordBatch batch = {};
    batch.count = r.count();
    batch.prefix = prefix_.data();
    batch.prefixBytes = r.prefix.size();
    batch.src = src_.data();
    batch.srcOffsets = reinterpret_cast<const uint32_t*>(srcOffsets_.data());
    batch.aad = r.hasAad ? aad_.data() : nullptr;
    batch.aadOffsets = r.hasAad ? reinterpret_cast<const uint32_t*>(aadOffsets_.data()) : nullptr;
    batch.dst = dst_.data();
    batch.dstOffsets = reinterpret_cast<uint32_t*>(dstOffsets_.data());
    return batch;
  }

  static void placeOffsets(Guarded& where, const std::vector<uint32_t>& offsets) {
    std::memcpy(where.place(4 * offsets.size(), kAtEnd), offsets.data(), 4 * offsets.size());
  }

  // Opens with `bad` of the records spoiled.
  void opens(const Kernel& k, const GcmKey* gcm, const Records& r, Placement placement, size_t bad, Random& random) {
    if (bad > r.count()) return;
    Bytes wire = random.bytes(random.below(20)), expected, statuses;
    std::vector<uint32_t> offsets = {static_cast<uint32_t>(wire.size())}, plainOffsets = {0};
    size_t room = 0, longest = 0;
    for (size_t i = 0; i < r.count(); i++) {
      Bytes record = r.sealed[i];
      // Exactly `bad` of them: the chance of each is what is left to spoil among what is left.
      const bool spoils = random.below(r.count() - i) < bad;
      statuses.push_back(spoils ? spoil(r, record, random) : kRecordOpened);
      if (spoils) bad--;
      if (!spoils) expected = expected + r.value(i);
      wire = wire + record;
      offsets.push_back(static_cast<uint32_t>(wire.size()));
      plainOffsets.push_back(static_cast<uint32_t>(expected.size()));
      const size_t plain = record.size() < r.overhead() ? 0 : record.size() - r.overhead();
      room += plain;
      if (plain > longest) longest = plain;
    }
    size_t failures = 0;
    for (uint8_t status : statuses) failures += status != kRecordOpened;
    src_.place(wire, placement);
    placeOffsets(srcOffsets_, offsets);
    for (const bool scratch : {false, true}) {
      dst_.place(room, placement);
      dstOffsets_.place(4 * (r.count() + 1), kAtEnd);
      status_.place(r.count(), placement);
      scratch_.place(longest, placement);
      RecordBatch batch = batchOf(r);
      batch.status = status_.data();
      batch.scratch = scratch ? scratch_.data() : nullptr;
      const size_t failed = r.saltBytes == 0 ? k.openRecords(gcm, &batch) : xaesOpenRecords(k, gcm, r.saltBytes, &batch);
      CHECK(failed == failures);
      CHECK(status_.holds(statuses) && status_.isAlone());
      CHECK(std::memcmp(dstOffsets_.data(), plainOffsets.data(), 4 * plainOffsets.size()) == 0);
      CHECK(dst_.holds(expected.data(), expected.size()) && dst_.isAlone() && scratch_.isAlone() && src_.holds(wire));
      // Behind the last that opened: nothing that no tag covers.
      for (size_t i = expected.size(); i < room; i++) CHECK(dst_.data()[i] == 0 || dst_.data()[i] == 0xA5);
    }
  }

  Guarded prefix_, nonces_, src_, srcOffsets_, aad_, aadOffsets_, dst_, dstOffsets_, status_, scratch_;
};

void everyPrefix(Caller& caller) {
  Part part("records: prefixes of 0 to 16 bytes, values of 0 to 70 and up to 1000, with and without associated data");
  Random random(21);
  for (size_t keyBytes : kKeySizes) {
    const TestKey key(random.bytes(keyBytes));
    for (size_t prefixBytes = 0; prefixBytes <= 16; prefixBytes++) {
      for (size_t count : {0, 1, 7, 8, 9, 16, 24, 33}) {
        for (size_t most : {0, 16, 64, 70, 1000}) {
          const bool hasAad = random.oneIn(3);
          const Records r = recordsOf(key, {count, most, prefixBytes, 0, hasAad}, random);
          const Placement placement = prefixBytes % 3 == 0 ? kAtEnd : prefixBytes % 3 == 1 ? kAtBegin : random.below(64);
          for (size_t number = 0; number < kernels().size(); number++) caller.check(number, key, r, placement, random);
        }
      }
    }
  }
}

// Values of one length each, so that every length stands in a group of eight of its own.
void everyLength(Caller& caller) {
  Part part("records: every length from 0 to 600");
  Random random(22);
  const TestKey key(random.bytes(32));
  for (size_t bytes = 0; bytes <= 600; bytes++) {
    Records r = recordsOf(key, {8, 0, 5, 0, bytes % 2 == 1}, random);
    for (size_t i = 0; i < 8; i++) r.valueOffsets[i + 1] = r.valueOffsets[i] + static_cast<uint32_t>(bytes);
    r.values = random.bytes(r.valueOffsets[8]);
    for (size_t i = 0; i < 8; i++) {
      const Bytes nonce(r.nonces.begin() + static_cast<ptrdiff_t>(12 * i), r.nonces.begin() + static_cast<ptrdiff_t>(12 * i + 12));
      const Bytes aad = r.hasAad ? Records::slice(r.aad, r.aadOffsets, i) : Bytes{};
      r.sealed[i] = r.prefix + nonce + key.reference.seal(nonce, aad, r.value(i));
    }
    for (size_t number = 0; number < kernels().size(); number++) {
      for (Placement placement : {kAtEnd, kAtBegin}) caller.check(number, key, r, placement, random);
    }
  }
}

void anyRecords(Caller& caller) {
  const size_t cases = effort(5'000);
  Part part("records: random batches against the reference");
  part.note(std::to_string(cases) + " a kernel");
  Random random(23);
  std::vector<std::unique_ptr<TestKey>> keys;
  for (size_t i = 0; i < 30; i++) keys.push_back(std::make_unique<TestKey>(random.bytes(kKeySizes[i % 3])));
  for (size_t i = 0; i < cases; i++) {
    const TestKey& key = *keys[random.below(keys.size())];
    const size_t most = random.oneIn(10) ? 1500 : random.oneIn(2) ? 64 : 150;
    const Records r = recordsOf(key, {random.below(40), most, random.below(17), 0, random.oneIn(2)}, random);
    for (size_t number = 0; number < kernels().size(); number++) {
      caller.check(number, key, r, random.below(kAtBegin + 1), random);
    }
  }
}

void xaes(Caller& caller) {
  Part part("records: XAES-256-GCM, salts of 8 to 12 bytes");
  Random random(24);
  const TestKey key(random.bytes(32));
  for (size_t saltBytes = kMinSaltBytes; saltBytes <= kMaxSaltBytes; saltBytes++) {
    for (size_t i = 0; i < effort(40); i++) {
      const Records r = recordsOf(key, {random.below(12), 200, random.below(17), saltBytes, random.oneIn(2)}, random);
      for (size_t number = 0; number < kernels().size(); number++) {
        caller.check(number, key, r, random.below(kAtBegin + 1), random);
      }
    }
  }
}

}  // namespace

void checkRecords() {
  Caller caller(128 * 1024);
  everyPrefix(caller);
  everyLength(caller);
  anyRecords(caller);
  xaes(caller);
}

}  // namespace keyladder::test
