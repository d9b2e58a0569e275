#include "cache/content/content_sweep.h"

#include <algorithm>

namespace quire::cache {

using model::Errc;
using model::NodeId;
using model::Result;
using model::RootId;
using model::TierId;

Result<void> ContentSweep::start(const ContentScope& scope, bool go) {
  if (is_running()) {
    return make_error(Errc::kBusy, "another evict is under way; wait for its end");
  }
  if (!parts_.board->is_open(scope.tier)) {
    return make_error(Errc::kInvalidArgument, "this tier is not in use");
  }
  const uint32_t end = parts_.store->tree().end_of_nodes();
  // Anew each time: memory that nobody touched is zero, and clearing it would take a turn too long.
  stays_ = QUIRE_TRY(allocator::FlatArray<uint64_t>::reserve(
      end / 64 + 1, allocator::ReservedMemory::Pages::kSmall));
  scope_ = scope;
  goes_ = go;
  counts_ = {};
  end_ = end;
  hand_ = 0;
  path_ = {};
  const uint64_t now = parts_.board->now();
  used_before_ = scope.unused_us == 0 ? UINT64_MAX : now - std::min(now, scope.unused_us);
  phase_ = Phase::kCounting;
  return {};
}

bool ContentSweep::step(uint64_t budget) {
  if (!is_running()) return false;
  // Roots come and go between two steps.
  known_root_ = {};
  const uint64_t end = parts_.store->work().steps() + budget;
  while (is_running() && parts_.store->work().steps() < end) {
    parts_.store->work().add(1);
    if (path_.valid()) {
      phase_ == Phase::kCounting ? keep_path() : go_up();
    } else if (hand_ < end_) {
      look();
    } else {
      next_phase();
    }
  }
  return is_running();
}

void ContentSweep::next_phase() {
  hand_ = 0;
  if (phase_ == Phase::kCounting) {
    phase_ = Phase::kGoing;
    return;
  }
  phase_ = Phase::kIdle;
  stays_ = {};
  // What was counted as held may have been let go of, and gone, since.
  const uint64_t matching = counts_.matching_objects;
  const uint64_t rest = matching - std::min<uint64_t>(matching, counts_.objects);
  counts_.pinned_objects = std::min<uint64_t>(counts_.pinned_objects, rest);
  counts_.needed_objects = rest - counts_.pinned_objects;
}

uint64_t ContentSweep::bytes_of(NodeId id) const {
  return parts_.store->presence().plan_of(id).page_bytes;
}

bool ContentSweep::names_root(RootId id) {
  if (id == known_root_) return known_matches_;
  const RootKey& key = parts_.names->root(id).key;
  known_root_ = id;
  known_matches_ =
      (scope_.domain.empty() || parts_.names->domain_name(key.domain) == scope_.domain) &&
      (!scope_.tenant || key.tenant == *scope_.tenant) &&
      (!scope_.namespace_name || key.namespace_name == *scope_.namespace_name);
  return known_matches_;
}

// Precondition: on the tier.
bool ContentSweep::matches(NodeId id) {
  return names_root(node(id).root()) && parts_.board->last_use(id, scope_.tier) < used_before_;
}

// Somebody's pin keeps it on the tier: of a node with a copy below, in RAM, only who reads it.
bool ContentSweep::is_held(NodeId id) const {
  const Node& link = node(id);
  if (scope_.tier == TierId::kRam && link.has_copy_below(TierId::kRam)) {
    return link.is_pinned(PinKind::kResidency);
  }
  return link.is_pinned();
}

bool ContentSweep::is_lost_with_it(NodeId id) const {
  const Node& link = node(id);
  return !link.has_copy_below(scope_.tier) && (scope_.tier == TierId::kRam || !link.is_in_ram());
}

bool ContentSweep::stays(NodeId id) const {
  return (stays_[id.value / 64] >> (id.value % 64) & 1) != 0;
}

void ContentSweep::set_stays(NodeId id) { stays_[id.value / 64] |= uint64_t{1} << (id.value % 64); }

void ContentSweep::look() {
  const NodeId id{hand_++};
  if (!node(id).is_object() || !node(id).is_in(scope_.tier)) return;
  if (phase_ == Phase::kCounting) {
    count(id);
  } else if (goes_) {
    path_ = id;
  } else if (!stays(id) && matches(id)) {
    count_gone(id);
  }
}

// What stays keeps its path; a dry run marks it, and the going itself asks Presence.
void ContentSweep::count(NodeId id) {
  const bool meant = matches(id);
  const bool held = is_held(id);
  if (meant) {
    ++counts_.matching_objects;
    counts_.matching_bytes += bytes_of(id);
    if (held) ++counts_.pinned_objects;
  }
  // On a lower tier only, and something in RAM hangs on it: it is no leaf, whatever leaves the
  // tier.
  const bool needed =
      is_lost_with_it(id) && node(id).has_child_in(TierId::kRam) && scope_.tier != TierId::kRam;
  if (!goes_ && (!meant || held || needed)) path_ = id;
}

// Up to where the path is kept already.
void ContentSweep::keep_path() {
  const NodeId id = path_;
  path_ = {};
  // Made after the start, in a place that came free: not this sweep's.
  if (id.value >= end_ || !node(id).is_object() || !node(id).is_in(scope_.tier)) return;
  if (stays(id)) return;
  set_stays(id);
  path_ = parts_.store->tree().parent(id);
}

// A step up the path, after what hung on it went.
void ContentSweep::go_up() {
  const NodeId id = path_;
  path_ = {};
  if (!node(id).is_object() || !parts_.store->presence().may_leave(id, scope_.tier)) return;
  if (!matches(id)) return;
  count_gone(id);
  path_ = parts_.store->tree().parent(id);
  parts_.store->work().add(kGoCost);
  // With the last object its root may be forgotten, and another be given its id.
  known_root_ = {};
  parts_.evictor->evict_node(scope_.tier, id, DepartureCause::kOperator);
}

void ContentSweep::count_gone(NodeId id) {
  const uint64_t bytes = bytes_of(id);
  ++counts_.objects;
  counts_.bytes += bytes;
  if (!is_lost_with_it(id)) return;
  ++counts_.lost_objects;
  counts_.lost_bytes += bytes;
}

}  // namespace quire::cache
