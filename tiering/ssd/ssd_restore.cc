#include "tiering/ssd/ssd_restore.h"

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>

#include "model/boundary.h"
#include "tiering/disk/manifest_records.h"

namespace quire::tiering {

using cache::NodeKind;
using model::Errc;
using model::Hash256;
using model::NodeId;
using model::Result;

namespace {

constexpr uint32_t low_bits(uint32_t count) { return count >= 32 ? ~0u : (1u << count) - 1; }

class Restorer {
 public:
  explicit Restorer(const RestoreParts& parts) : parts_(parts) {}

  Result<RestoreReport> run() {
    ManifestContents contents = QUIRE_TRY(parts_.manifest->read_roots());
    report_.rejected = contents.rejected;
    restore_roots(contents);
    Result<void> failure;
    report_.rejected += QUIRE_TRY(parts_.manifest->read_runs([&](const RunRecord& run) {
      failure = place(run);
      return failure.ok();
    }));
    QUIRE_TRY(std::move(failure));
    QUIRE_TRY(place_deferred());
    QUIRE_TRY(keep_unsized());
    hold_missing_data();
    parts_.roots->erase_empty(batch());
    if (report_.cleaning.back().empty()) report_.cleaning.pop_back();
    report_.kept = parts_.kept->counts();
    parts_.cache->store().offer_restored();
    return std::move(report_);
  }

 private:
  struct KnownRoot {
    model::RootId id;
    uint32_t number = 0;  // the one its hash has
    bool stale = false;
    std::optional<KeptReason> kept;              // why it has no tree
    const cache::KnownLayout* layout = nullptr;  // null: not known
  };

  void restore_roots(const ManifestContents& contents) {
    std::unordered_map<std::string, uint64_t> epochs;
    for (const auto& [name, epoch] : contents.epochs) {
      epochs[name.first + '\0' + name.second] = epoch;
      restore_epoch(name.first, name.second, epoch);
    }
    uint32_t next = 1;
    for (const RootRecord& record : contents.roots) {
      next = std::max(next, record.id + 1);
      KnownRoot known;
      const std::string name = epoch_name(record.namespace_name, record.tenant);
      auto epoch = epochs.find(record.domain + '\0' + name);
      if (epoch == epochs.end()) {
        epoch = epochs.find(record.domain + '\0' + record.namespace_name);
        if (epoch != epochs.end()) restore_epoch(record.domain, name, epoch->second);
      }
      known.number = parts_.roots->found(record);
      known.stale = epoch != epochs.end() && record.weights_epoch < epoch->second;
      if (!known.stale) restore_root(record, known);
      roots_.emplace(record.id, known);
    }
    parts_.roots->set_next(next);
  }

  // `name` as epoch_name() makes it; one without a tenant counts where a root has no other.
  void restore_epoch(const std::string& domain_name, const std::string& name, uint64_t epoch) {
    const size_t zero = name.find('\0');
    if (zero == std::string::npos) return;
    const auto domain = parts_.cache->add_domain(domain_name);
    if (!domain.ok()) return;
    parts_.cache->names().restore_epoch(*domain, name.substr(zero + 1), name.substr(0, zero),
                                        epoch);
  }

  // With a tree, or with the reason why it has none.
  void restore_root(const RootRecord& record, KnownRoot& known) {
    auto layout = parts_.directory->layouts().load(record.layout_digest);
    if (!layout.ok()) {
      known.kept = KeptReason::kNoLayout;
      return;
    }
    known.kept = KeptReason::kTablesFull;
    // Tells the sizes of slots also where the cache has no place for the layout.
    if (const auto id = sizes_.add(*layout); id.ok()) {
      sizes_.hold(*id);
      known.layout = sizes_.find(*id);
    }
    const auto known_layout = parts_.cache->layouts().add(std::move(*layout));
    const auto domain = parts_.cache->add_domain(record.domain);
    if (!known_layout.ok() || !domain.ok()) return;
    cache::RootKey key;
    key.domain = *domain;
    key.tenant = record.tenant;
    key.namespace_name = record.namespace_name;
    key.weights_epoch = record.weights_epoch;
    key.layout = *known_layout;
    const auto root = parts_.cache->restore_root(key, record.hash);
    if (!root.ok()) {
      const bool too_large = root.code() == Errc::kInvalidArgument;
      known.kept = too_large ? KeptReason::kSegmentTooSmall : KeptReason::kTablesFull;
      return;
    }
    known.kept.reset();
    known.id = *root;
    parts_.roots->restored(known.id, record.hash, known.number);
  }

  // The last one is never full.
  ManifestBatch& batch() {
    if (report_.cleaning.empty() || report_.cleaning.back().size() >= kChangesInABatch) {
      report_.cleaning.emplace_back();
    }
    return report_.cleaning.back();
  }

  void erase(const RunRecord& run, model::Counter& counter) {
    counter += run.keys.size();
    batch().truncate_run(run.key, 0);
  }

  bool has_data(const RunRecord& run) {
    return has_data(run.key.slot.region()) &&
           std::all_of(run.more.begin(), run.more.end(),
                       [&](uint16_t region) { return has_data(region); });
  }

  bool has_data(uint32_t region) {
    const uint32_t number = parts_.directory->file_of(region);
    const auto [at, added] = file_bytes_.try_emplace(number, 0);
    if (added) at->second = parts_.directory->data_files().bytes(number);
    return parts_.directory->offset_of(region) + parts_.space->region_bytes() <= at->second;
  }

  // 0: not known.
  static uint64_t slot_size(const KnownRoot& root, const RunRecord& run) {
    if (run.slot_bytes != 0) return run.slot_bytes;
    if (root.layout == nullptr) return 0;
    const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(run.key.kind));
    return slot_bytes(root.layout->plan(kind, run.key.units));
  }

  Result<void> place(const RunRecord& found) {
    const auto known = roots_.find(found.key.root);
    if (known == roots_.end()) return defer(found);
    const KnownRoot& root = known->second;
    if (root.stale) {
      erase(found, report_.stale);
      return {};
    }
    RunRecord run = found;
    // Two numbers had one hash: the runs of the later one move, whole, in one batch.
    if (run.key.root != root.number) {
      run.key.root = root.number;
      ManifestBatch& moving = batch();
      moving.put_run(run);
      moving.truncate_run(found.key, 0);
    }
    if (!has_data(run)) return keep_whole(root, run, KeptReason::kNoData);
    if (root.kept) return keep_whole(root, run, *root.kept);
    if (!fits(run, root)) return keep_whole(root, run, KeptReason::kMisfit);
    if (!parent_of(run, root).valid()) return defer(run);
    return restore(run, root);
  }

  Result<void> defer(const RunRecord& run) {
    deferred_.push_back(run);
    return {};
  }

  // What they depend on was not there when it should have been: it is kept, or it came later (from
  // another number of the root), or it is in no record; unless there are some that do not parse.
  Result<void> place_deferred() {
    const bool sure = report_.rejected == 0 && parts_.manifest->missing_writes() == 0;
    for (const RunRecord& run : deferred_) {
      const auto known = roots_.find(run.key.root);
      if (known != roots_.end() && parent_of(run, known->second).valid()) {
        QUIRE_TRY(restore(run, known->second));
        continue;
      }
      const auto parent = kept_spans_.find(run.parent_key);
      if (parent == kept_spans_.end() && sure) {
        erase(run, report_.orphans);
        continue;
      }
      const KnownRoot& root = known != roots_.end() ? known->second : KnownRoot{};
      QUIRE_TRY(keep_whole(
          root, run, parent != kept_spans_.end() ? parent->second : KeptReason::kParentUnknown));
    }
    return {};
  }

  // --- kept ---

  Result<void> keep_whole(const KnownRoot& root, const RunRecord& run, KeptReason reason) {
    const auto count = static_cast<uint32_t>(run.keys.size());
    SsdKept::Run kept{.key = run.key,
                      .count = count,
                      .kept = low_bits(count),
                      .reason = reason,
                      .held = false,
                      .slot_bytes = slot_size(root, run),
                      .more = run.more};
    parts_.roots->add_run(run.key.root);
    note_kept_spans(run, 0, reason);
    // Without data a size says nothing of what lies there.
    if (kept.slot_bytes == 0 || reason == KeptReason::kNoData || !has_data(run)) {
      unsized_.push_back(kept);
      return {};
    }
    QUIRE_TRY(claim(run.key.slot, count, kept.slot_bytes, run.more));
    parts_.kept->add(kept);
    return {};
  }

  void note_kept_spans(const RunRecord& run, uint32_t first, KeptReason reason) {
    if (static_cast<NodeKind>(run.key.kind) != NodeKind::kSpan) return;
    for (size_t i = first; i < run.keys.size(); ++i) kept_spans_.emplace(run.keys[i], reason);
  }

  // Last, for others may tell the slot size of their region.
  Result<void> keep_unsized() {
    for (SsdKept::Run& run : unsized_) {
      const uint64_t size = parts_.space->slot_bytes(run.key.slot.region());
      run.held = size == 0 || !run.more.empty();
      QUIRE_TRY(run.held ? hold(run) : claim(run.key.slot, run.count, size));
      parts_.kept->add(run);
    }
    return {};
  }

  Result<void> hold(const SsdKept::Run& run) {
    std::vector<uint32_t> regions(run.more.begin(), run.more.end());
    regions.push_back(run.key.slot.region());
    for (const uint32_t region : regions) {
      if (parts_.space->stock().is_taken(region)) {
        return model::make_error(Errc::kCorrupt, "region " + std::to_string(region) +
                                                     " is claimed twice; run `quirectl rebuild`");
      }
      parts_.space->stock().hold(region, has_data(region));
      if (!has_data(region)) missing_files_.emplace(parts_.directory->file_of(region), 0);
    }
    return {};
  }

  // A file that is missing is not made anew, nor a short one made longer, as long as anything is
  // kept for it: what it had would pass for damaged when it is looked at next.
  void hold_missing_data() {
    const auto per_file = static_cast<uint32_t>(parts_.directory->superblock().regions_per_file);
    for (const auto& [number, unused] : missing_files_) {
      for (uint32_t i = 0; i < per_file; ++i) {
        const uint64_t region = uint64_t{number} * per_file + i;
        if (region >= kMaxRegions || has_data(static_cast<uint32_t>(region))) continue;
        parts_.space->stock().hold(static_cast<uint32_t>(region), false);
        parts_.kept->hold_for_missing(static_cast<uint32_t>(region));
      }
    }
  }

  Result<void> claim(SsdSlot first, uint32_t count, uint64_t slot_bytes,
                     std::span<const uint16_t> more = {}) {
    Result<void> claimed = parts_.space->claim(first, count, slot_bytes, more);
    if (claimed.ok()) return claimed;
    return model::make_error(claimed.code(), claimed.error().text + "; run `quirectl rebuild`");
  }

  // --- restored ---

  Result<void> restore(const RunRecord& run, const KnownRoot& root) {
    const auto count = static_cast<uint32_t>(run.keys.size());
    const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(run.key.kind));
    // An encoded object takes less than it would as it is.
    if (run.slot_bytes >= slot_bytes(root.layout->plan(kind, run.key.units))) {
      return model::make_error(
          Errc::kCorrupt,
          "a run has slots that are larger than its objects; run `quirectl rebuild`");
    }
    QUIRE_TRY(claim(run.key.slot, count, slot_size(root, run), run.more));
    parts_.roots->add_run(run.key.root);
    const Placed placed = restore_objects(run, root);
    const uint32_t kept = low_bits(count) & ~placed.served;
    if (placed.served != 0) ++report_.runs;
    if (kept == 0) return {};
    const KeptReason reason = placed.full ? KeptReason::kIndexFull : KeptReason::kDuplicate;
    parts_.kept->add({.key = run.key,
                      .count = count,
                      .kept = kept,
                      .reason = reason,
                      .held = false,
                      .slot_bytes = slot_size(root, run),
                      .more = run.more});
    if (placed.full) note_kept_spans(run, placed.end, reason);
    return {};
  }

  NodeId parent_of(const RunRecord& run, const KnownRoot& known) const {
    if (known.kept || known.stale) return {};
    const cache::Root& root = parts_.cache->names().root(known.id);
    if (run.parent_units == 0) return run.parent_key == root.hash ? root.node : NodeId{};
    const auto found = parts_.cache->store().tree().find(known.id, NodeKind::kSpan, run.parent_key);
    if (!found || parts_.cache->store().tree().node(*found).units() != run.parent_units) return {};
    return *found;
  }

  struct Placed {
    uint32_t served = 0;  // bits of the objects that are nodes with this copy
    uint32_t end = 0;     // how many were looked at
    bool full = false;    // the index has no place for the rest
  };

  Placed restore_objects(const RunRecord& run, const KnownRoot& root) {
    const auto kind = static_cast<NodeKind>(run.key.kind);
    cache::ObjectStore& store = parts_.cache->store();
    NodeId parent = parent_of(run, root);
    Placed placed;
    // The misses of a run overlap: most of a restart is waiting for memory.
    for (const Hash256& key : run.keys) store.tree().prefetch(root.id, kind, key);
    for (; placed.end < run.keys.size(); ++placed.end) {
      const uint32_t i = placed.end;
      const cache::CopyPlace place{.slot = run.key.slot.value + i,
                                   .generation = static_cast<uint16_t>(run.generation + i)};
      auto node = store.tree().find(root.id, kind, run.keys[i]);
      if (!node) {
        node = store.restore({.parent = parent,
                              .kind = kind,
                              .key = run.keys[i],
                              .units = run.key.units + i * run.unit_step},
                             model::TierId::kSsd, place);
        placed.full = !node;
        if (placed.full) break;
        placed.served |= 1u << i;
        note_restored(run, *node);
      }
      parent = *node;
    }
    return placed;
  }

  void note_restored(const RunRecord& run, NodeId node) {
    if (static_cast<NodeKind>(run.key.kind) == NodeKind::kSpan) {
      ++report_.spans;
      return;
    }
    ++report_.checkpoints;
    cache::NodeMarks& marks = parts_.cache->store().tree().marks();
    marks.set_owner_tag(node, run.owner_tag);
    marks.set_kept(node, run.kept);
  }

  // What the manifest says of positions agrees with the layout.
  static bool fits(const RunRecord& run, const KnownRoot& root) {
    const uint32_t step = root.layout->units_per_block;
    const uint64_t end = run.key.units + uint64_t{run.unit_step} * run.keys.size();
    if (end >= model::kMaxUnits) return false;
    const auto kind = static_cast<NodeKind>(run.key.kind);
    if (!cache::is_object(kind)) return false;
    const model::FillKind filled = cache::fill_kind(kind);
    const bool in_place = model::is_object_end(filled, run.key.units, step) &&
                          model::parent_units(filled, run.key.units, step) == run.parent_units;
    if (kind == NodeKind::kSpan) return in_place && run.unit_step == step;
    return in_place && run.keys.size() == 1 && root.layout->needs_checkpoint;
  }

  RestoreParts parts_;
  RestoreReport report_;
  std::unordered_map<uint32_t, KnownRoot> roots_;  // by number in the manifest
  cache::LayoutTable sizes_;
  std::unordered_map<uint32_t, uint64_t> file_bytes_;
  std::vector<RunRecord> deferred_;
  std::vector<SsdKept::Run> unsized_;
  std::unordered_map<Hash256, KeptReason, HashOfHash256> kept_spans_;
  std::map<uint32_t, int> missing_files_;
};

}  // namespace

Result<RestoreReport> restore_from_manifest(const RestoreParts& parts) {
  return Restorer(parts).run();
}

}  // namespace quire::tiering
