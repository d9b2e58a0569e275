#include "tiering/ssd_restore.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "model/boundary.h"
#include "tiering/manifest_records.h"

namespace quire::tiering {

using cache::NodeKind;
using model::Errc;
using model::NodeId;

namespace {

constexpr size_t kChangesInABatch = 4096;

class Restorer {
 public:
  explicit Restorer(const RestoreParts& parts) : parts_(parts) {}

  model::Result<RestoreReport> run() {
    ManifestContents contents = QUIRE_TRY(parts_.manifest->read_roots());
    report_.rejected = contents.rejected;
    restore_roots(contents);
    model::Result<void> failure;
    QUIRE_TRY(parts_.manifest->read_runs([&](const RunRecord& run) {
      failure = restore(run);
      return failure.ok();
    }));
    if (!failure.ok()) return std::move(failure).error();
    parts_.cache->store().offer_restored();
    return std::move(report_);
  }

 private:
  struct KnownRoot {
    model::RootId id;
    bool stale = false;
    bool without_layout = false;
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
      known.stale = epoch != epochs.end() && record.weights_epoch < epoch->second;
      if (!known.stale) known.without_layout = !restore_root(record, known).ok();
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

  model::Result<void> restore_root(const RootRecord& record, KnownRoot& known) {
    model::Layout layout = QUIRE_TRY(parts_.directory->load_layout(record.layout_digest));
    cache::RootKey key;
    key.domain = QUIRE_TRY(parts_.cache->add_domain(record.domain));
    key.tenant = record.tenant;
    key.namespace_name = record.namespace_name;
    key.weights_epoch = record.weights_epoch;
    key.layout = QUIRE_TRY(parts_.cache->layouts().add(std::move(layout)));
    known.id = QUIRE_TRY(parts_.cache->restore_root(key, record.hash));
    parts_.roots->restored(known.id, record);
    return {};
  }

  // An encoded object takes less than it would as it is.
  model::Result<void> claim(const cache::Root& root, const RunRecord& run) {
    const model::FillKind kind = cache::fill_kind(static_cast<NodeKind>(run.key.kind));
    const uint64_t plain = slot_bytes(root.layout->plan(kind, run.key.units));
    if (run.slot_bytes >= plain) {
      return model::make_error(Errc::kCorrupt, "a run has slots that are larger than its objects");
    }
    return parts_.space->claim(run.key.slot, static_cast<uint32_t>(run.keys.size()),
                               run.slot_bytes != 0 ? run.slot_bytes : plain);
  }

  bool has_data(uint32_t region) {
    const uint32_t number = parts_.directory->file_of(region);
    const auto [at, added] = file_bytes_.try_emplace(number, 0);
    if (added) at->second = parts_.directory->data_file_bytes(number);
    return parts_.directory->offset_of(region) + parts_.space->region_bytes() <= at->second;
  }

  // Only the first `left` objects of the run stay in the manifest.
  void keep_only(const RunRecord& run, uint32_t left) {
    if (report_.cleaning.empty() || report_.cleaning.back().size() >= kChangesInABatch) {
      report_.cleaning.emplace_back();
    }
    report_.cleaning.back().truncate_run(run.key, left);
  }

  model::Result<void> restore(const RunRecord& run) {
    const auto known = roots_.find(run.key.root);
    const auto count = static_cast<uint32_t>(run.keys.size());
    if (known == roots_.end() || known->second.stale || known->second.without_layout) {
      const bool stale = known != roots_.end() && known->second.stale;
      (stale ? report_.stale : report_.without_layout) += count;
      keep_only(run, 0);
      return {};
    }
    const cache::Root& root = parts_.cache->names().root(known->second.id);
    if (!has_data(run.key.slot.region())) {
      report_.without_data += count;
      keep_only(run, 0);
      return {};
    }
    const auto claimed = claim(root, run);
    if (claimed.code() == Errc::kResourceExhausted) {
      report_.beyond_capacity += count;
      keep_only(run, 0);
      return {};
    }
    if (!claimed.ok()) {
      return model::make_error(claimed.code(), claimed.error().text + "; run `quirectl rebuild`");
    }
    ++report_.runs;
    const uint32_t restored = restore_objects(run, root);
    if (restored == count) return {};
    keep_only(run, restored);
    parts_.space->cancel({run.key.slot.value + restored}, count - restored);
    return {};
  }

  NodeId parent_of(const RunRecord& run, const cache::Root& root, model::RootId id) const {
    if (run.parent_units == 0) return run.parent_key == root.hash ? root.node : NodeId{};
    const auto found = parts_.cache->store().tree().find(id, NodeKind::kSpan, run.parent_key);
    if (!found || parts_.cache->store().tree().link(*found).units != run.parent_units) return {};
    return *found;
  }

  // Returns how many of the run's objects are nodes now.
  uint32_t restore_objects(const RunRecord& run, const cache::Root& root) {
    const model::RootId id = roots_.at(run.key.root).id;
    const auto kind = static_cast<NodeKind>(run.key.kind);
    const auto count = static_cast<uint32_t>(run.keys.size());
    NodeId parent = parent_of(run, root, id);
    if (!parent.valid() || !fits(run, root)) {
      report_.orphans += count;
      return 0;
    }
    cache::NodeStore& store = parts_.cache->store();
    // The misses of a run overlap: most of a restart is waiting for memory.
    for (const model::Hash256& key : run.keys) store.tree().prefetch(id, kind, key);
    for (uint32_t i = 0; i < count; ++i) {
      if (store.tree().find(id, kind, run.keys[i])) {
        report_.duplicates += count - i;
        return i;
      }
      const auto node =
          store.add_on_ssd(parent, kind, run.keys[i], run.key.units + i * run.unit_step,
                           {.slot = run.key.slot.value + i,
                            .generation = static_cast<uint16_t>(run.generation + i)});
      if (!node) return i;
      if (kind == NodeKind::kSpan) {
        ++report_.spans;
        parent = *node;
      } else {
        ++report_.checkpoints;
        store.tree().link(*node).first_child = run.owner_tag;
        store.tree().link(*node).kept = run.kept ? 1 : 0;
      }
    }
    return count;
  }

  // What the manifest says of positions agrees with the layout.
  bool fits(const RunRecord& run, const cache::Root& root) const {
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
  std::unordered_map<uint32_t, uint64_t> file_bytes_;
};

}  // namespace

model::Result<RestoreReport> restore_from_manifest(const RestoreParts& parts) {
  return Restorer(parts).run();
}

}  // namespace quire::tiering
