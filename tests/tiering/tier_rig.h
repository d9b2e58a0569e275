// A cache over a small pool with a tier below it, loads and demotion above that, and no daemon:
// everything on one thread, by steps. A domain's share of RAM is kRamObjects spans, of kPageBytes
// unless chosen otherwise. TierRig's tier is one in memory; any other one fits below RigOverTier.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "model/check.h"
#include "tests/support/inspector.h"
#include "tests/support/manual_clock.h"
#include "tests/support/meddler.h"
#include "tests/support/memory_tier.h"
#include "tests/support/object_maker.h"
#include "tests/support/oracle.h"
#include "tiering/io/crc_copy.h"
#include "tiering/tier_set.h"

namespace quire::tests {

struct RigChoice {
  tiering::DemotionOptions demotion{.delay_ms = 0};
  uint16_t domains = 1;
  uint16_t tenants = 1;  // of each domain; "domain" below is domain * tenants + tenant then
  uint64_t page_bytes = 256 << 10;
  uint64_t segment_bytes = 4 << 20;  // of which each domain has one
  bool cluster = false;              // a second tier may be added, below the first
  std::string namespace_name = "model";
  uint64_t weights_epoch = 0;
};

class RigOverTier {
 public:
  static constexpr uint64_t kPageBytes = 256 << 10;
  static constexpr uint64_t kSegmentBytes = 4 << 20;
  static constexpr uint32_t kRamObjects = kSegmentBytes / kPageBytes;

  using MakeTier =
      std::function<std::unique_ptr<tiering::Tier>(cache::Cache*, const model::Clock*)>;
  RigOverTier(const RigChoice& choice, const MakeTier& make_tier)
      : supply_({.budget_bytes = choice.segment_bytes * choice.domains,
                 .segment_bytes = choice.segment_bytes,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 12).value()),
        cache_(make_cache(*pool_, {.max_nodes = 1 << 14, .ssd = true, .cluster = choice.cluster})),
        maker_(*cache_),
        sessions_(size_t{choice.domains} * choice.tenants),
        set_(std::make_unique<tiering::TierSet>(cache_.get(), &clock)) {
    model::Layout layout{.name = "rig", .unit_tokens = 4, .block_tokens = 4};
    layout.groups.push_back(
        {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = choice.page_bytes});
    cache::RootKey key;
    key.namespace_name = choice.namespace_name;
    key.weights_epoch = choice.weights_epoch;
    key.layout = cache_->layouts().add(layout).value();
    for (uint16_t d = 0; d < choice.domains; ++d) {
      key.domain = cache_->add_domain("uid:" + std::to_string(d)).value();
      for (uint16_t t = 0; t < choice.tenants; ++t) {
        key.tenant = t == 0 ? "" : "tenant-" + std::to_string(t);
        QUIRE_CHECK(cache_->open_session(key, 1, sessions_[d * choice.tenants + t]).ok());
      }
    }
    demotion_ = choice.demotion;
    demotion_.ram_bytes = choice.segment_bytes * choice.domains;
    add_tier(make_tier(cache_.get(), &clock));
  }
  RigOverTier(const RigOverTier&) = delete;
  RigOverTier& operator=(const RigOverTier&) = delete;
  virtual ~RigOverTier() {
    set_.reset();
    for (cache::CacheSession& session : sessions_) cache_->close_session(session);
    cache_->check_invariants();
  }

  ManualClock clock;

  void add_tier(std::unique_ptr<tiering::Tier> tier) { set_->add(std::move(tier), demotion_); }
  cache::Cache& cache() { return *cache_; }
  tiering::TierSet& set() { return *set_; }
  tiering::Loads& loads() { return set_->loads(); }
  tiering::Demotion& demotion() { return *set_->members().front().demotion; }
  const tiering::LoadCounters& load_counters() { return loads().counters(model::TierId::kSsd); }
  Inspector inspect() { return Inspector(*cache_); }
  Meddler meddle() { return Meddler(*cache_); }
  model::RootId root_id(uint16_t domain = 0) const { return sessions_[domain].root; }
  // The namespace moves on: what the domain's root holds is of the past.
  void raise_epoch(uint16_t domain = 0) {
    cache::RootKey key = cache_->names().root(root_id(domain)).key;
    ++key.weights_epoch;
    cache::CacheSession later;
    QUIRE_CHECK(cache_->open_session(key, 1, later).ok());
    cache_->close_session(later);
  }
  // By which span `number` is known.
  static model::Hash256 key_of(uint64_t number) {
    model::Hash256 key;
    key.bytes[0] = static_cast<uint8_t>(number);
    key.bytes[1] = static_cast<uint8_t>(number >> 8);
    key.bytes[2] = 1;
    return key;
  }
  model::NodeId root(uint16_t domain = 0) {
    return cache_->names().root(sessions_[domain].root).node;
  }

  // A span with bytes of its own, in RAM only. Precondition: RAM has room, or can make some.
  model::NodeId add_span(model::NodeId parent, uint64_t number, uint16_t domain = 0,
                         const std::string& retention = {}) {
    NewObject span{.root = sessions_[domain].root, .parent = parent, .retention = retention};
    span.hash = key_of(number);
    span.units = parent == root(domain) ? 1 : inspect().object(parent).units + 1;
    const model::NodeId node = maker_.make_now(span);
    QUIRE_CHECK(node.valid());
    const std::span<std::byte> bytes = inspect().pages(node).front().bytes;
    fill_page(bytes, number, 0);
    meddle().set_checksum(node, tiering::crc32c(bytes.data(), bytes.size()));
    numbers_[node.value] = number;
    return node;
  }
  std::vector<model::NodeId> add_chain(uint32_t count, uint64_t first_number, uint16_t domain = 0) {
    std::vector<model::NodeId> chain;
    model::NodeId parent = root(domain);
    for (uint32_t i = 0; i < count; ++i) {
      parent = add_span(parent, first_number + i, domain);
      chain.push_back(parent);
    }
    return chain;
  }
  // Of a node that this rig did not make: by what number its bytes were made.
  void number(model::NodeId node, uint64_t number) { numbers_[node.value] = number; }
  // A chain whose pages are on the tier only.
  std::vector<model::NodeId> add_below(uint32_t count, uint64_t first_number, uint16_t domain = 0) {
    std::vector<model::NodeId> chain = add_chain(count, first_number, domain);
    QUIRE_CHECK(settle());
    meddle().evict();
    for (const model::NodeId node : chain) QUIRE_CHECK(!inspect().in_ram(node));
    return chain;
  }
  // Nothing is known any more of what is on no faster tier than the cluster.
  void forget_cluster() {
    while (meddle().forget_from_cluster()) {
    }
  }
  // As a match asks: something may be on a tier only that cannot be read now.
  bool cache_has_unreachable() { return cache_->store().presence().has_unreachable(); }
  // In RAM, and every byte as it was made.
  bool is_right(model::NodeId node) {
    const auto pages = inspect().pages(node);
    return pages.size() == 1 && check_page(pages.front().bytes, numbers_.at(node.value), 0) &&
           pages.front().crc32c ==
               tiering::crc32c(pages.front().bytes.data(), pages.front().bytes.size());
  }

  void step(uint32_t count = 1) {
    for (uint32_t i = 0; i < count; ++i) set_->step();
  }
  // Steps until it is so. Segments are made by another thread meanwhile: false only when it never
  // comes.
  bool until(const std::function<bool()>& condition) {
    constexpr uint32_t kSteps = 200'000;
    for (uint32_t i = 0; i < kSteps; ++i) {
      if (condition()) return true;
      clock.advance(std::chrono::microseconds(100));
      step();
      std::this_thread::yield();
    }
    return condition();
  }
  // All that is there has a copy below RAM.
  bool settle() {
    return until([&] { return inspect().counters().all_on_ssd() && set_->idle(); });
  }
  // How the load with this tag ended, as soon as it does.
  model::Errc end_of(uint64_t tag) {
    model::Errc code = model::Errc::kInternal;
    const bool ended = until([&] {
      auto& finished = loads().finished();
      for (auto at = finished.begin(); at != finished.end(); ++at) {
        if (at->tag != tag) continue;
        code = at->code;
        finished.erase(at);
        return true;
      }
      return false;
    });
    QUIRE_CHECK(ended);
    return code;
  }
  // Nothing of loads and jobs is left over.
  bool is_clean() {
    return until([&] { return set_->idle(); }) && inspect().pin_count() == 0 &&
           inspect().moving_count() == 0 &&
           inspect().ram_slot_count() == inspect().ram_page_count();
  }

 private:
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<cache::Cache> cache_;
  ObjectMaker maker_;
  std::vector<cache::CacheSession> sessions_;
  std::unique_ptr<tiering::TierSet> set_;
  tiering::DemotionOptions demotion_;
  std::unordered_map<uint32_t, uint64_t> numbers_;  // of nodes, for their bytes
};

struct TierChoice {
  MemoryTierOptions tier;
  tiering::DemotionOptions demotion{.delay_ms = 0};
  uint16_t domains = 1;
  uint16_t tenants = 1;
  uint64_t page_bytes = RigOverTier::kPageBytes;
  uint64_t segment_bytes = RigOverTier::kSegmentBytes;
  // A cluster beside the tier.
  std::optional<MemoryTierOptions> cluster;
};

class TierRig : public RigOverTier {
 public:
  explicit TierRig(const TierChoice& choice = {})
      : RigOverTier({.demotion = choice.demotion,
                     .domains = choice.domains,
                     .tenants = choice.tenants,
                     .page_bytes = choice.page_bytes,
                     .segment_bytes = choice.segment_bytes,
                     .cluster = choice.cluster.has_value()},
                    [&](cache::Cache* cache, const model::Clock*) {
                      return std::make_unique<MemoryTier>(cache, choice.tier);
                    }) {
    if (!choice.cluster) return;
    MemoryTierOptions options = *choice.cluster;
    options.id = model::TierId::kCluster;
    add_tier(std::make_unique<MemoryTier>(&cache(), options));
  }

  MemoryTier& tier() { return static_cast<MemoryTier&>(*set().members().front().tier); }
  // Precondition: chosen.
  MemoryTier& cluster() { return static_cast<MemoryTier&>(*set().members().back().tier); }
};

}  // namespace quire::tests
