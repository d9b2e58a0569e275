// Layouts known to this daemon, by canonical digest. Equal layouts share one id, which stays while
// a client or a root holds it; the place of one that nobody holds is taken when there is no other.
// Page plans are computed once here, so that the hot path only reads them.
// Threads: core only. Bound: kMaxLayouts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "model/layout.h"
#include "model/page_plan.h"

namespace quire::cache {

inline constexpr size_t kMaxLayouts = 1024;  // a host serves a handful; stops a client that loops

struct KnownLayout {
  model::Layout layout;
  model::Hash256 digest;
  model::GroupMask append = 0;
  model::GroupMask checkpoint = 0;
  uint32_t units_per_block = 1;
  bool needs_checkpoint = false;
  model::PagePlan span_plan;
  model::PagePlan checkpoint_plan;       // at a block end
  model::PagePlan checkpoint_tail_plan;  // cutting a block
  uint32_t layer_count = 0;              // highest layer number + 1, over append groups
  uint32_t replay_tokens = 0;            // to rebuild all checkpoint groups; 0 = not allowed
  bool replay_exact = false;
  uint32_t holders = 0;  // clients that registered it, and roots

  const model::PagePlan& plan(model::FillKind kind, uint32_t end_units) const;
  // True size of the spans of a path that ends so many units from its root.
  uint64_t path_bytes(uint32_t units) const;
};

class LayoutTable {
 public:
  // Precondition: validated. kBusy: kMaxLayouts are held. The caller holds it, or may lose it to
  // the next add().
  model::Result<model::LayoutId> add(model::Layout layout);
  // One holder more, or less: a connection that registered it, or a root.
  void hold(model::LayoutId id) { ++layouts_[id.value]->holders; }
  void release(model::LayoutId id) { --layouts_[id.value]->holders; }
  // Null: no such layout. The record is another layout's once nobody holds it.
  const KnownLayout* find(model::LayoutId id) const;
  size_t size() const { return layouts_.size(); }
  // Called with each layout that loses its place, before it goes.
  void on_forget(std::function<void(const KnownLayout&)> forget) { forget_ = std::move(forget); }

 private:
  std::optional<size_t> find_place();

  std::vector<std::unique_ptr<KnownLayout>> layouts_;
  std::function<void(const KnownLayout&)> forget_;
};

}  // namespace quire::cache
