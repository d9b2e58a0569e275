#include "cache/objects/departure_log.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {

using model::Hash256;
using model::TierId;

namespace {

constexpr int64_t kNsPerDepartureSecond = 1'000'000'000;

// Both halves of the product, as in ChainIndex.
uint64_t mixed(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

model::Result<std::unique_ptr<DepartureLog>> DepartureLog::create(uint64_t bytes, uint64_t seed) {
  QUIRE_CHECK(bytes >= kMinBytes);
  std::unique_ptr<DepartureLog> log(new DepartureLog());
  log->bucket_count_ = std::min<uint64_t>(bytes / sizeof(Bucket), UINT32_MAX);
  log->buckets_ = QUIRE_TRY(allocator::FlatArray<Bucket>::reserve(
      log->bucket_count_, allocator::ReservedMemory::Pages::kSmall));
  // Odd words: none of them makes a product zero.
  for (size_t i = 0; i < log->secrets_.size(); ++i) {
    seed = mixed(seed ^ 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93 + 2 * i);
    log->secrets_[i] = seed | 1;
  }
  return log;
}

uint64_t DepartureLog::print_of(const Hash256& root, NodeKind kind, const Hash256& key) const {
  const uint64_t low = mixed(key.word(0) ^ secrets_[0], key.word(1) ^ secrets_[1]);
  const uint64_t high = mixed(key.word(2) ^ secrets_[2], key.word(3) ^ secrets_[3]);
  const uint64_t origin =
      mixed(root.word(0) ^ secrets_[1], root.word(1) ^ secrets_[2] ^ static_cast<uint64_t>(kind));
  return mixed(low ^ origin ^ secrets_[3], high ^ secrets_[0]);
}

void DepartureLog::set_now(int64_t now_ns) {
  const int64_t now_s = now_ns / kNsPerDepartureSecond + 1;
  now_s_ = static_cast<uint32_t>(std::max<int64_t>(now_s, now_s_));
  if (begun_s_ == 0) begun_s_ = now_s_;
}

// By where the literal lies: as a rule the first comparison is the last.
uint8_t DepartureLog::number_of(std::string_view policy) {
  if (policy.empty()) return 0;
  for (size_t i = 1; i < kMostNames; ++i) {
    if (names_[i].empty()) names_[i] = policy;
    if (names_[i].data() == policy.data()) return static_cast<uint8_t>(i);
  }
  return 0;
}

// Its own, a free one, that of a departure from one tier only, or the oldest. Null: what is there
// says more than what left one tier only.
DepartureLog::Entry* DepartureLog::place_for(Bucket& bucket, uint32_t tag, bool gone) {
  Entry* free = nullptr;
  Entry* oldest_copy = nullptr;
  Entry* oldest_gone = nullptr;
  for (Entry& entry : bucket.entries) {
    if (entry.cause == 0) {
      if (free == nullptr) free = &entry;
      continue;
    }
    if (entry.tag == tag) return &entry;
    Entry*& oldest = entry.gone != 0 ? oldest_gone : oldest_copy;
    if (oldest == nullptr || entry.at_s < oldest->at_s) oldest = &entry;
  }
  if (free != nullptr) return free;
  if (oldest_copy != nullptr) return oldest_copy;
  if (!gone) return nullptr;
  bucket.forgotten_s = std::max(bucket.forgotten_s, oldest_gone->at_s);
  return oldest_gone;
}

void DepartureLog::put(uint64_t print, Entry entry) {
  entry.tag = static_cast<uint32_t>(print);
  entry.at_s = now_s_;
  Entry* place = place_for(buckets_[place_of(print)], entry.tag, entry.gone != 0);
  if (place != nullptr) *place = entry;
}

void DepartureLog::note(uint64_t print, const Departure& departure, TierId tier, bool gone) {
  Entry entry{};
  entry.cause = static_cast<uint8_t>(departure.cause);
  entry.policy = number_of(departure.policy);
  entry.tier = static_cast<uint8_t>(tier) & 0x7f;
  entry.gone = gone ? 1 : 0;
  put(print, entry);
}

void DepartureLog::note_incomplete(uint64_t print, model::GroupIndex missing) {
  Entry entry{};
  entry.cause = static_cast<uint8_t>(DepartureCause::kIncomplete);
  entry.gone = 1;
  entry.group = missing;
  put(print, entry);
}

LastDeparture DepartureLog::find(uint64_t print) const {
  for (const Entry& entry : bucket_of(print).entries) {
    if (entry.cause == 0 || entry.tag != static_cast<uint32_t>(print)) continue;
    return {.at_s = entry.at_s,
            .cause = static_cast<DepartureCause>(entry.cause),
            .tier = static_cast<TierId>(entry.tier),
            .gone = entry.gone != 0,
            .group = entry.group,
            .policy = names_[entry.policy]};
  }
  return {};
}

uint32_t DepartureLog::forgotten_s(uint64_t print) const { return bucket_of(print).forgotten_s; }

}  // namespace quire::cache
