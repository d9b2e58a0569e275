#include "cache/tree/node_runs.h"

#include <bit>

#include "model/check.h"

namespace quire::cache {

using model::NodeId;
using model::Result;

Result<NodeRuns> NodeRuns::create(uint64_t max_ids) {
  // "id + 1" must fit 32 bits, also for the last id of the last run.
  if (max_ids > UINT32_MAX - kRunIds) {
    return model::make_error(model::Errc::kInvalidArgument, "max_nodes is above 2^32 - 17");
  }
  NodeRuns ids;
  ids.max_ids_ = max_ids;
  const uint64_t max_runs = (max_ids + kRunIds - 1) / kRunIds;
  ids.runs_ = QUIRE_TRY(allocator::FlatArray<Run>::reserve(
      max_runs + kListHeads, allocator::ReservedMemory::Pages::kSmall));
  for (uint32_t list = 0; list < kListHeads; ++list) {
    ids.runs_[list] = Run{.next = list, .previous = list, .used = 0, .color = 0};
  }
  return ids;
}

bool NodeRuns::take(NodeId id, uint32_t color) {
  if (used_count_ == max_ids_) return false;
  const uint32_t run = id.value / kRunIds;
  // Runs are opened in order: one further on would leave runs between that stand in no list.
  if (run > run_count_ || (run == run_count_ && !may_open_run())) return false;
  if (run == run_count_) open_run();
  if (in_use(id)) return false;
  mark(id, color);
  return true;
}

std::optional<NodeId> NodeRuns::take_run_start(uint32_t color) {
  if (used_count_ == max_ids_) return std::nullopt;
  if (empty_run_count_ == 0) {
    if (!may_open_run()) return std::nullopt;
    open_run();
  }
  const NodeId id{(runs_[kFreeList].next - kListHeads) * kRunIds};
  mark(id, color);
  return id;
}

std::optional<NodeId> NodeRuns::take_filler(uint32_t color) {
  if (used_count_ == max_ids_) return std::nullopt;
  const uint32_t own = kPartialLists + color;
  if (runs_[own].next != own) return fill_gap(own);
  if (const auto start = take_run_start(color)) return start;
  for (uint32_t list = kPartialLists; list < kListHeads; ++list) {
    if (runs_[list].next != list) return fill_gap(list);
  }
  return std::nullopt;
}

// Precondition: the list has a run.
NodeId NodeRuns::fill_gap(uint32_t list) {
  const uint32_t place = runs_[list].next;
  const uint16_t free_ids = static_cast<uint16_t>(~runs_[place].used);
  const uint32_t last = static_cast<uint32_t>(std::bit_width(free_ids)) - 1;
  const NodeId id{(place - kListHeads) * kRunIds + last};
  mark(id, list - kPartialLists);
  return id;
}

void NodeRuns::release(NodeId id) {
  QUIRE_CHECK(in_use(id));
  Run& run = run_of(id);
  const uint32_t place = id.value / kRunIds + kListHeads;
  const bool was_full = run.used == kFull;
  run.used = static_cast<uint16_t>(run.used & ~(1u << id.value % kRunIds));
  --used_count_;
  // It stays in the partial list. A full run is in no list, so there is nothing to unlink from.
  if (!was_full && run.used != 0) return;
  if (!was_full) unlink(place);
  link_last(run.used == 0 ? kFreeList : list_of(run), place);
  if (run.used == 0) ++empty_run_count_;
}

bool NodeRuns::in_use(NodeId id) const {
  return id.value < end_of_ids() && (run_of(id).used >> id.value % kRunIds & 1) != 0;
}

bool NodeRuns::may_open_run() const {
  if (run_count_ + kListHeads == runs_.max_count()) return false;
  // Empty runs are no gaps: they go whole to the next chain.
  const uint64_t gaps = uint64_t{run_count_ - empty_run_count_} * kRunIds - used_count_;
  return gaps <= kFreeGaps + used_count_ / 2;
}

void NodeRuns::open_run() {
  link_last(kFreeList, run_count_ + kListHeads);
  ++run_count_;
  ++empty_run_count_;
}

void NodeRuns::mark(NodeId id, uint32_t color) {
  Run& run = run_of(id);
  const uint32_t place = id.value / kRunIds + kListHeads;
  const bool was_empty = run.used == 0;
  run.used = static_cast<uint16_t>(run.used | 1u << id.value % kRunIds);
  ++used_count_;
  if (was_empty) {
    --empty_run_count_;
    run.color = static_cast<uint16_t>(color);
  }
  if (was_empty || run.used == kFull) unlink(place);
  if (was_empty) link_last(list_of(run), place);
}

void NodeRuns::unlink(uint32_t place) {
  const Run& run = runs_[place];
  runs_[run.previous].next = run.next;
  runs_[run.next].previous = run.previous;
}

void NodeRuns::link_last(uint32_t list, uint32_t place) {
  const uint32_t last = runs_[list].previous;
  runs_[place].previous = last;
  runs_[place].next = list;
  runs_[last].next = place;
  runs_[list].previous = place;
}

uint64_t NodeRuns::check_list(uint32_t list) const {
  uint64_t length = 0;
  uint32_t previous = list;
  for (uint32_t place = runs_[list].next; place != list; place = runs_[place].next) {
    const Run& run = runs_[place];
    QUIRE_CHECK(run.previous == previous);
    QUIRE_CHECK(list == kFreeList ? run.used == 0 : run.used != 0 && run.used != kFull);
    QUIRE_CHECK(list == kFreeList || list == list_of(run));
    previous = place;
    ++length;
  }
  QUIRE_CHECK(runs_[list].previous == previous);
  return length;
}

void NodeRuns::check_invariants() const {
  uint64_t used = 0;
  uint64_t partial = 0;
  uint64_t empty = 0;
  for (uint32_t run = 0; run < run_count_; ++run) {
    const uint16_t mask = runs_[run + kListHeads].used;
    used += static_cast<uint64_t>(std::popcount(mask));
    partial += mask != 0 && mask != kFull ? 1 : 0;
    empty += mask == 0 ? 1 : 0;
  }
  QUIRE_CHECK(used == used_count_ && used <= max_ids_);
  QUIRE_CHECK(empty == empty_run_count_);
  QUIRE_CHECK(check_list(kFreeList) == empty);
  uint64_t listed = 0;
  for (uint32_t list = kPartialLists; list < kListHeads; ++list) listed += check_list(list);
  QUIRE_CHECK(listed == partial);
}

}  // namespace quire::cache
