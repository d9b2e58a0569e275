#include "cache/tree/layout_table.h"

#include <algorithm>

namespace quire::cache {

using model::Errc;
using model::FillKind;

namespace {

// Replay is possible only when every checkpoint group allows it; the longest one decides.
void set_replay(KnownLayout& known) {
  known.replay_exact = true;
  for (size_t g = 0; g < known.layout.groups.size(); ++g) {
    if ((known.checkpoint >> g & 1) == 0) continue;
    const model::Replay& replay = known.layout.groups[g].replay;
    if (replay.tokens == 0) {
      known.replay_tokens = 0;
      known.replay_exact = false;
      return;
    }
    known.replay_tokens = std::max(known.replay_tokens, replay.tokens);
    known.replay_exact = known.replay_exact && replay.exact;
  }
}

uint32_t count_layers(const model::Layout& layout, model::GroupMask append) {
  uint32_t count = 0;
  for (size_t g = 0; g < layout.groups.size(); ++g) {
    if ((append >> g & 1) == 0) continue;
    for (const model::LayerRange& range : layout.groups[g].layers) {
      count = std::max(count, range.layer + 1);
    }
  }
  return count;
}

}  // namespace

const model::PagePlan& KnownLayout::plan(FillKind kind, uint32_t end_units) const {
  if (kind == FillKind::kSpan) return span_plan;
  return end_units % units_per_block == 0 ? checkpoint_plan : checkpoint_tail_plan;
}

model::Result<model::LayoutId> LayoutTable::add(model::Layout layout) {
  const model::Hash256 digest = model::layout_digest(layout);
  for (uint32_t i = 0; i < layouts_.size(); ++i) {
    if (layouts_[i]->digest == digest) return model::LayoutId{i};
  }
  const std::optional<size_t> place = find_place();
  if (!place) {
    return model::make_error(Errc::kBusy, "1024 layouts are in use; close sessions of some");
  }
  auto known = std::make_unique<KnownLayout>();
  known->digest = digest;
  known->append = model::append_groups(layout);
  known->checkpoint = model::checkpoint_groups(layout);
  known->units_per_block = layout.units_per_block();
  known->needs_checkpoint = model::needs_checkpoint(layout);
  known->span_plan = model::plan_pages(layout, FillKind::kSpan, layout.block_tokens, 0);
  known->checkpoint_plan = model::plan_pages(layout, FillKind::kCheckpoint, layout.block_tokens, 0);
  // Wherever a checkpoint cuts its block, it has the same pages: the first unit stands for all.
  known->checkpoint_tail_plan =
      model::plan_pages(layout, FillKind::kCheckpoint, layout.unit_tokens, 0);
  known->layer_count = count_layers(layout, known->append);
  known->layout = std::move(layout);
  set_replay(*known);
  layouts_[*place] = std::move(known);
  return model::LayoutId{static_cast<uint32_t>(*place)};
}

// A free place, that of one that nobody holds if there is no other.
uint64_t KnownLayout::path_bytes(uint32_t units) const {
  return units / units_per_block * span_plan.page_bytes;
}

std::optional<size_t> LayoutTable::find_place() {
  if (layouts_.size() < kMaxLayouts) {
    layouts_.emplace_back();
    return layouts_.size() - 1;
  }
  const auto unused = std::find_if(layouts_.begin(), layouts_.end(),
                                   [](const auto& known) { return known->holders == 0; });
  if (unused == layouts_.end()) return std::nullopt;
  // The next add() overwrites the record: whoever keeps something by its digest learns of it now.
  if (forget_) forget_(**unused);
  return static_cast<size_t>(unused - layouts_.begin());
}

const KnownLayout* LayoutTable::find(model::LayoutId id) const {
  return id.value < layouts_.size() ? layouts_[id.value].get() : nullptr;
}

}  // namespace quire::cache
