// Time to live, renewed by each use (Jung, Berger, Balakrishnan: Modeling TTL-based Internet
// caches, INFOCOM 2003), for a tree of which only leaves may go.
//
// What expires first goes first, expired or not: memory that nobody asks for is not given back. The
// two lifetimes are the classes that providers sell (five minutes; an hour); an entry has the long
// one once it was used again.
#include <memory>
#include <utility>

#include "cache/eviction/keyed_policy.h"

namespace quire::cache {
namespace {

constexpr uint64_t kShortUs = 5ull * 60 * 1'000'000;
constexpr uint64_t kLongUs = 60ull * 60 * 1'000'000;

class Ttl final : public KeyedPolicy {
 public:
  Ttl(const PolicyParts& parts, CandidateHeap heap) : KeyedPolicy(parts, std::move(heap)) {}

 private:
  uint64_t used_key(EntryId entry) const override {
    const uint64_t lifetime = parts_.entries->uses(entry) > 0 ? kLongUs : kShortUs;
    return kFirstKey | (parts_.entries->last_use(entry) + lifetime);
  }
};

}  // namespace

model::Result<std::unique_ptr<EvictionPolicy>> make_ttl(const PolicyParts& parts) {
  CandidateHeap heap = QUIRE_TRY(CandidateHeap::create(parts.entries, parts.max_entries));
  return std::unique_ptr<EvictionPolicy>(std::make_unique<Ttl>(parts, std::move(heap)));
}

}  // namespace quire::cache
