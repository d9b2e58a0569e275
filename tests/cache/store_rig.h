// A cache over a small pool, with an SSD policy, whose nodes a test makes by hand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/check.h"
#include "tests/support/inspector.h"
#include "tests/support/meddler.h"
#include "tests/support/object_maker.h"

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

  explicit StoreRig(bool checkpoints = false) : StoreRig(rig_layout(checkpoints)) {}
  // With a tier below the SSD that is shared with others.
  static StoreRig with_cluster(uint64_t max_nodes = kMaxNodes) {
    return StoreRig(rig_layout(false), 4 << 20, max_nodes, true);
  }
  // `budget_bytes`: a domain needs a segment of 4 MiB.
  explicit StoreRig(const model::Layout& layout, uint64_t budget_bytes = 4 << 20,
                    uint64_t max_nodes = kMaxNodes, bool cluster = false)
      : supply_({.budget_bytes = budget_bytes,
                 .segment_bytes = 4 << 20,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 16).value()),
        cache_(
            tests::make_cache(*pool_, {.max_nodes = max_nodes, .ssd = true, .cluster = cluster})),
        maker_(*cache_) {
    RootKey key;
    key.domain = *cache_->add_domain("uid:1");
    key.namespace_name = "model";
    key.layout = *cache_->layouts().add(layout);
    QUIRE_CHECK(cache_->open_session(key, 1, session_).ok());
  }
  ~StoreRig() { cache_->close_session(session_); }

  ObjectStore& store() { return cache_->store(); }  // for tests whose subject it is
  Cache& cache() { return *cache_; }
  CacheSession& session() { return session_; }
  const Root& root() { return cache_->names().root(session_.root); }
  tests::Inspector inspect() { return tests::Inspector(*cache_); }
  tests::Meddler meddle() { return tests::Meddler(*cache_); }
  uint32_t units(model::NodeId node) { return inspect().object(node).units; }
  uint64_t slot_count() { return inspect().usage(root().key.domain).slots; }

  static model::Hash256 key(uint64_t number) {
    model::Hash256 hash;
    for (size_t i = 0; i < 8; ++i) hash.bytes[i] = static_cast<uint8_t>(number >> (8 * i));
    return hash;
  }
  // Slots for the pages of an object, behind those of another one where that can be; empty when
  // there is no room.
  std::vector<model::SlotId> slots(model::FillKind kind, uint32_t units,
                                   std::vector<model::SlotId> slots = {}) {
    while (maker_.take_slots(session_.root, kind, units, slots) == tests::Room::kPending) {
    }
    return slots;
  }
  // An object below `parent` with this key; invalid when there is no room.
  model::NodeId add(model::FillKind kind, model::NodeId parent, uint64_t number, uint32_t units) {
    return maker_.make_now({.root = session_.root,
                            .parent = parent,
                            .kind = kind,
                            .hash = key(number),
                            .units = units});
  }
  model::NodeId add_span(model::NodeId parent, uint64_t number) {
    return add(model::FillKind::kSpan, parent, number, units(parent) + 2);
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
  tests::ObjectMaker maker_;
  CacheSession session_;
};

}  // namespace quire::cache
