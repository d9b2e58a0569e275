#include "tiering/restore/ssd_restore.h"

#include <optional>
#include <utility>
#include <vector>

#include "model/boundary.h"
#include "tiering/restore/restored_roots.h"
#include "tiering/restore/run_keeper.h"

namespace quire::tiering {

using cache::NodeKind;
using model::Errc;
using model::Hash256;
using model::NodeId;
using model::Result;

namespace {

// What the manifest says of positions agrees with the layout.
bool fits(const RunRecord& run, const RestoredRoot& root) {
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

// Runs come parents first, so one pass places almost all of them; those whose parent was not there
// wait for the end, when it is known what else is.
class Restorer {
 public:
  explicit Restorer(const RestoreParts& parts)
      : parts_(parts),
        roots_(parts.cache, parts.directory, parts.roots),
        keeper_({.directory = parts.directory,
                 .space = parts.space,
                 .roots = parts.roots,
                 .kept = parts.kept}) {}

  Result<RestoreReport> run() {
    ManifestContents contents = QUIRE_TRY(parts_.manifest->read_roots());
    report_.rejected = contents.rejected;
    roots_.restore(contents);
    Result<void> failure;
    report_.rejected += QUIRE_TRY(parts_.manifest->read_runs([&](const RunRecord& run) {
      failure = place(run);
      return failure.ok();
    }));
    QUIRE_TRY(std::move(failure));
    QUIRE_TRY(place_deferred());
    QUIRE_TRY(keeper_.finish());
    // After all runs: a root without any goes with the same batches.
    parts_.roots->erase_empty(batch());
    if (report_.cleaning.back().empty()) report_.cleaning.pop_back();
    report_.kept = parts_.kept->counts();
    parts_.cache->store().offer_restored();
    return std::move(report_);
  }

 private:
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

  Result<void> place(const RunRecord& found) {
    const RestoredRoot* known = roots_.find(found.key.root);
    if (known == nullptr) return defer(found);
    const RestoredRoot& root = *known;
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
    // What is not there first: it is so whatever the root says.
    if (!keeper_.has_data(run)) return keep(run, root, KeptReason::kNoData);
    if (root.kept) return keep(run, root, *root.kept);
    if (!fits(run, root)) return keep(run, root, KeptReason::kMisfit);
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
      const RestoredRoot* known = roots_.find(run.key.root);
      if (known != nullptr && parent_of(run, *known).valid()) {
        QUIRE_TRY(restore(run, *known));
        continue;
      }
      const std::optional<KeptReason> parent = keeper_.reason_of(run.parent_key);
      if (!parent && sure) {
        erase(run, report_.orphans);
        continue;
      }
      QUIRE_TRY(keep(run, known != nullptr ? *known : RestoredRoot{},
                     parent.value_or(KeptReason::kParentUnknown)));
    }
    return {};
  }

  Result<void> keep(const RunRecord& run, const RestoredRoot& root, KeptReason reason) {
    return keeper_.keep(run, root.slot_size(run), reason);
  }

  Result<void> restore(const RunRecord& run, const RestoredRoot& root) {
    const auto count = static_cast<uint32_t>(run.keys.size());
    const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(run.key.kind));
    // An encoded object takes less than it would as it is.
    if (run.slot_bytes >= slot_bytes(root.layout->plan(kind, run.key.units))) {
      return model::make_error(
          Errc::kCorrupt,
          "a run has slots that are larger than its objects; run `quirectl rebuild`");
    }
    QUIRE_TRY(keeper_.claim(run, root.slot_size(run)));
    parts_.roots->add_run(run.key.root);
    const Placed placed = restore_objects(run, root);
    const uint32_t kept = low_bits(count) & ~placed.served;
    if (placed.served != 0) ++report_.runs;
    if (kept == 0) return {};
    const KeptReason reason = placed.full ? KeptReason::kIndexFull : KeptReason::kDuplicate;
    keeper_.keep_some(run, root.slot_size(run), kept, reason);
    // What hangs on a duplicate hangs on the copy that is served.
    if (placed.full) keeper_.note_kept_spans(run, placed.end, reason);
    return {};
  }

  NodeId parent_of(const RunRecord& run, const RestoredRoot& known) const {
    if (!known.has_tree()) return {};
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

  // None where the tenant has content of too many others, which only kept runs can have brought.
  cache::RetentionHold retention_of(const RunRecord& run, const RestoredRoot& root) const {
    cache::NamespaceTable& names = parts_.cache->names();
    auto held = names.retentions().hold(names.root(root.id).tenant, run.retention);
    return held.ok() ? std::move(held).value() : cache::RetentionHold();
  }

  Placed restore_objects(const RunRecord& run, const RestoredRoot& root) {
    const auto kind = static_cast<NodeKind>(run.key.kind);
    cache::ObjectStore& store = parts_.cache->store();
    const cache::RetentionHold retention = retention_of(run, root);
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
                              .units = run.key.units + i * run.unit_step,
                              .retention = retention.number()},
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

  RestoreParts parts_;
  RestoreReport report_;
  RestoredRoots roots_;
  RunKeeper keeper_;
  std::vector<RunRecord> deferred_;
};

}  // namespace

Result<RestoreReport> restore_from_manifest(const RestoreParts& parts) {
  return Restorer(parts).run();
}

}  // namespace quire::tiering
