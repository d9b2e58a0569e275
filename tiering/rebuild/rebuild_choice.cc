#include "tiering/rebuild/rebuild_choice.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "cache/tree/prefix_tree.h"
#include "model/boundary.h"
#include "model/limits.h"
#include "tiering/disk/manifest_records.h"

namespace quire::tiering {

using cache::KnownLayout;
using cache::NodeKind;
using model::Hash256;
using model::Result;

namespace {

bool is_span(const ScannedObject& object) {
  return static_cast<NodeKind>(object.kind) == NodeKind::kSpan;
}

}  // namespace

void RebuildChoice::choose() {
  find_layouts();
  find_epochs();
  std::erase_if(found_.objects, [&](const ScannedObject& object) { return !is_usable(object); });
  keep_latest();
  drop_orphans();
  group();
}

RebuildReport RebuildChoice::report() const {
  RebuildReport report = report_;
  report.files = found_.files;
  report.regions = found_.regions;
  report.headers = found_.headers;
  report.damaged = found_.damaged;
  report.foreign = found_.foreign;
  report.misplaced = found_.misplaced;
  report.left_over = found_.left_over;
  report.unreadable_bytes = found_.unreadable_bytes;
  report.runs = runs_.size();
  report.roots =
      static_cast<uint64_t>(std::count(needed_roots_.begin(), needed_roots_.end(), true));
  return report;
}

void RebuildChoice::find_layouts() {
  std::unordered_map<Hash256, const KnownLayout*, HashOfHash256> known;
  for (const RootRecord& root : found_.roots) {
    const auto [at, added] = known.try_emplace(root.layout_digest, nullptr);
    if (added) at->second = load_layout(root.layout_digest);
    layouts_.push_back(at->second);
  }
}

const KnownLayout* RebuildChoice::load_layout(const Hash256& digest) {
  Result<model::Layout> layout = directory_.layouts().load(digest);
  if (!layout.ok()) return nullptr;
  const auto id = layout_table_.add(std::move(layout).value());
  return id.ok() ? layout_table_.find(*id) : nullptr;
}

void RebuildChoice::find_epochs() {
  for (const RootRecord& root : found_.roots) {
    const auto [own, added] = epochs_.try_emplace(epoch_of(root), 0);
    // Of an earlier version: without a tenant, for all that have none of their own.
    const auto common = epochs_.find({root.domain, root.namespace_name});
    if (added && common != epochs_.end()) own->second = common->second;
    own->second = std::max(own->second, root.weights_epoch);
  }
}

std::pair<std::string, std::string> RebuildChoice::epoch_of(const RootRecord& root) {
  return {root.domain, epoch_name(root.namespace_name, root.tenant)};
}

bool RebuildChoice::is_usable(const ScannedObject& object) {
  const RootRecord& root = found_.roots[object.root];
  const KnownLayout* layout = layouts_[object.root];
  uint64_t* why = nullptr;
  if (root.weights_epoch < epochs_.at(epoch_of(root))) {
    why = &report_.stale;
  } else if (layout == nullptr) {
    why = &report_.without_layout;
  } else if (!fits(object, *layout)) {
    why = &report_.misfits;
  }
  if (why != nullptr) ++*why;
  return why == nullptr;
}

// As a restart asks of a manifest's run.
bool RebuildChoice::fits(const ScannedObject& object, const KnownLayout& layout) {
  const uint32_t step = layout.units_per_block;
  const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(object.kind));
  if (object.units >= model::kMaxUnits || !model::is_object_end(kind, object.units, step)) {
    return false;
  }
  const bool in_place = (is_span(object) || layout.needs_checkpoint) &&
                        model::parent_units(kind, object.units, step) == object.parent_units;
  const uint64_t plain = slot_bytes(layout.plan(kind, object.units));
  return in_place && (object.encoded ? object.slot_bytes < plain : object.slot_bytes == plain);
}

void RebuildChoice::keep_latest() {
  std::vector<ScannedObject>& objects = found_.objects;
  const auto order = [](const ScannedObject& a, const ScannedObject& b) {
    return std::tie(a.root, a.kind, a.key.bytes, b.generation) <
           std::tie(b.root, b.kind, b.key.bytes, a.generation);
  };
  std::sort(objects.begin(), objects.end(), order);
  const auto same = [](const ScannedObject& a, const ScannedObject& b) {
    return a.root == b.root && a.kind == b.kind && a.key == b.key;
  };
  const auto end = std::unique(objects.begin(), objects.end(), same);
  report_.older_copies = static_cast<uint64_t>(objects.end() - end);
  objects.erase(end, objects.end());
}

// Parents before children, so one pass finds every object whose chain is whole.
void RebuildChoice::drop_orphans() {
  std::vector<ScannedObject>& objects = found_.objects;
  std::sort(objects.begin(), objects.end(), [](const ScannedObject& a, const ScannedObject& b) {
    return std::tie(a.root, a.units, a.kind) < std::tie(b.root, b.units, b.kind);
  });
  std::unordered_map<Hash256, uint32_t, HashOfHash256> spans;  // units, of the present root
  uint32_t root = 0;
  const auto is_orphan = [&](const ScannedObject& object) {
    if (object.root != root) spans.clear();
    root = object.root;
    if (object.parent_units == 0) {
      if (!(object.parent_key == found_.roots[root].hash)) return true;
    } else {
      const auto parent = spans.find(object.parent_key);
      if (parent == spans.end() || parent->second != object.parent_units) return true;
    }
    if (is_span(object)) spans.emplace(object.key, object.units);
    return false;
  };
  std::vector<ScannedObject> kept;
  for (const ScannedObject& object : objects) {
    if (is_orphan(object)) {
      ++report_.orphans;
    } else {
      kept.push_back(object);
    }
  }
  objects.swap(kept);
}

void RebuildChoice::group() {
  std::vector<ScannedObject>& objects = found_.objects;
  std::sort(objects.begin(), objects.end(), [](const ScannedObject& a, const ScannedObject& b) {
    return a.slot.value < b.slot.value;
  });
  needed_roots_.resize(found_.roots.size());
  const ScannedObject* last = nullptr;
  for (const ScannedObject& object : objects) {
    ++(is_span(object) ? report_.spans : report_.checkpoints);
    needed_roots_[object.root] = true;
    if (last == nullptr || !continues(*last, object)) start_run(object);
    runs_.back().keys.push_back(object.key);
    last = &object;
  }
}

bool RebuildChoice::continues(const ScannedObject& last, const ScannedObject& next) const {
  return is_span(last) && is_span(next) && last.root == next.root &&
         last.slot.region() == next.slot.region() && last.slot.value + 1 == next.slot.value &&
         last.generation + 1 == next.generation && next.parent_key == last.key &&
         next.parent_units == last.units && next.encoded == last.encoded &&
         next.retention == last.retention && runs_.back().keys.size() < kMaxRunObjects;
}

void RebuildChoice::start_run(const ScannedObject& object) {
  RunRecord& run = runs_.emplace_back();
  run.key = {.root = found_.roots[object.root].id,
             .units = object.units,
             .kind = object.kind,
             .slot = object.slot};
  run.generation = object.generation;
  run.unit_step = layouts_[object.root]->units_per_block;
  run.parent_units = object.parent_units;
  run.owner_tag = object.owner_tag;
  run.kept = object.kept;
  run.retention = object.retention.data();
  run.parent_key = object.parent_key;
  run.slot_bytes = object.encoded ? object.slot_bytes : 0;
  run.more = object.more;
}

}  // namespace quire::tiering
