// A cache over a small pool, with an SSD policy, whose nodes a test makes by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "cache/eviction/coarse_lru_policy.h"
#include "cache/eviction/lru_policy.h"
#include "model/check.h"

namespace quire::cache {

// A = 4, B = 8; append "global", and with checkpoints a state group: pages of one block each.
inline model::Layout rig_layout(bool checkpoints) {
  model::Layout layout;
  layout.name = "rig";
  layout.unit_tokens = 4;
  layout.block_tokens = 8;
  layout.groups.push_back(
      {.name = "global", .kind = model::GroupKind::kAppend, .page_bytes = 4096});
  if (checkpoints) {
    layout.groups.push_back(
        {.name = "state", .kind = model::GroupKind::kState, .page_bytes = 4096});
  }
  return layout;
}

class StoreRig {
 public:
  static constexpr uint64_t kMaxNodes = 1 << 14;

  explicit StoreRig(bool checkpoints = false)
      : supply_({.budget_bytes = 4 << 20,
                 .segment_bytes = 4 << 20,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 16).value()) {
    CacheOptions options;
    options.max_nodes = kMaxNodes;
    options.policy_factory = [] {
      return model::Result<std::unique_ptr<EvictionPolicy>>(LruPolicy::create(kMaxNodes).value());
    };
    cache_ = Cache::create(options, pool_.get()).value();
    store().attach_ssd(CoarseLruPolicy::create(kMaxNodes).value());
    RootKey key;
    key.domain = *cache_->add_domain("uid:1");
    key.namespace_name = "model";
    key.layout = *cache_->layouts().add(rig_layout(checkpoints));
    QUIRE_CHECK(cache_->open_session(key, 1, session_).ok());
  }
  ~StoreRig() { cache_->close_session(session_); }

  NodeStore& store() { return cache_->store(); }
  Cache& cache() { return *cache_; }
  CacheSession& session() { return session_; }
  const Root& root() { return cache_->names().root(session_.root); }
  NodeLink& link(model::NodeId node) { return store().tree().link(node); }

  static model::Hash256 key(uint64_t number) {
    model::Hash256 hash;
    for (size_t i = 0; i < 8; ++i) hash.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
    return hash;
  }
  // Slots for the pages of an object; empty when there is no room.
  std::vector<model::SlotId> slots(NodeKind kind, uint32_t units) {
    const auto fill =
        kind == NodeKind::kSpan ? model::FillKind::kSpan : model::FillKind::kCheckpoint;
    std::vector<model::SlotId> slots;
    for (const model::PlannedPage& page : root().layout->plan(fill, units).pages) {
      model::SlotId slot;
      NodeStore::Room room;
      do {
        room = store().allocate(root().classes[page.group], root().key.domain, {}, slot);
      } while (room == NodeStore::Room::kPending);
      if (room == NodeStore::Room::kNone) {
        for (const model::SlotId taken : slots) pool_->free(taken);
        return {};
      }
      slots.push_back(slot);
    }
    return slots;
  }
  // A span below `parent` with this key; invalid when there is no room.
  model::NodeId add_span(model::NodeId parent, uint64_t number) {
    const uint32_t units = link(parent).units + 2;
    store().pin(parent);  // making room must not take it
    const auto pages = slots(NodeKind::kSpan, units);
    const auto node = pages.empty()
                          ? std::nullopt
                          : store().add(parent, NodeKind::kSpan, key(number), units, pages);
    store().unpin(parent);
    return node.value_or(model::NodeId{});
  }
  std::vector<model::NodeId> add_chain(uint32_t count, uint64_t first_number) {
    std::vector<model::NodeId> chain;
    model::NodeId parent = root().node;
    for (uint32_t i = 0; i < count; ++i) {
      parent = add_span(parent, first_number + i);
      chain.push_back(parent);
    }
    return chain;
  }

 private:
  allocator::SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<Cache> cache_;
  CacheSession session_;
};

}  // namespace quire::cache
