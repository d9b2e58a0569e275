#include "tiering/restore/restored_roots.h"

#include <algorithm>
#include <utility>

#include "tiering/disk/manifest_records.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tiering {

using model::Errc;

uint64_t RestoredRoot::slot_size(const RunRecord& run) const {
  if (run.slot_bytes != 0) return run.slot_bytes;
  if (layout == nullptr) return 0;
  const model::FillKind kind = cache::fill_kind(static_cast<cache::NodeKind>(run.key.kind));
  return slot_bytes(layout->plan(kind, run.key.units));
}

const RestoredRoot* RestoredRoots::find(uint32_t number) const {
  const auto found = by_number_.find(number);
  return found != by_number_.end() ? &found->second : nullptr;
}

void RestoredRoots::restore(const ManifestContents& contents) {
  Epochs epochs;
  for (const auto& [name, epoch] : contents.epochs) {
    epochs[name.first + '\0' + name.second] = epoch;
    restore_epoch(name.first, name.second, epoch);
  }
  uint32_t next = 1;
  for (const RootRecord& record : contents.roots) {
    next = std::max(next, record.id + 1);
    const std::optional<uint64_t> epoch = epoch_of(record, epochs);
    RestoredRoot root;
    root.number = roots_->found(record);
    root.stale = epoch && record.weights_epoch < *epoch;
    if (!root.stale) make_tree(record, root);
    by_number_.emplace(record.id, root);
  }
  roots_->set_next(next);
}

// An earlier version wrote epochs without a tenant: one of these counts where a root has no other,
// and is its tenant's from now on.
std::optional<uint64_t> RestoredRoots::epoch_of(const RootRecord& record, const Epochs& epochs) {
  const std::string name = epoch_name(record.namespace_name, record.tenant);
  if (const auto own = epochs.find(record.domain + '\0' + name); own != epochs.end()) {
    return own->second;
  }
  const auto old = epochs.find(record.domain + '\0' + record.namespace_name);
  if (old == epochs.end()) return {};
  restore_epoch(record.domain, name, old->second);
  return old->second;
}

// `name` as epoch_name() makes it; one without a tenant counts where a root has no other.
void RestoredRoots::restore_epoch(const std::string& domain_name, const std::string& name,
                                  uint64_t epoch) {
  const size_t zero = name.find('\0');
  if (zero == std::string::npos) return;
  const auto domain = cache_->add_domain(domain_name);
  if (!domain.ok()) return;
  cache_->names().restore_epoch(*domain, name.substr(zero + 1), name.substr(0, zero), epoch);
}

// With a tree, or with the reason why it has none.
void RestoredRoots::make_tree(const RootRecord& record, RestoredRoot& root) {
  auto layout = directory_->layouts().load(record.layout_digest);
  if (!layout.ok()) {
    root.kept = KeptReason::kNoLayout;
    return;
  }
  root.kept = KeptReason::kTablesFull;
  // Tells the sizes of slots also where the cache has no place for the layout.
  if (const auto id = sizes_.add(*layout); id.ok()) {
    sizes_.hold(*id);
    root.layout = sizes_.find(*id);
  }
  const auto known_layout = cache_->layouts().add(std::move(*layout));
  const auto domain = cache_->add_domain(record.domain);
  if (!known_layout.ok() || !domain.ok()) return;
  cache::RootKey key;
  key.domain = *domain;
  key.tenant = record.tenant;
  key.namespace_name = record.namespace_name;
  key.weights_epoch = record.weights_epoch;
  key.layout = *known_layout;
  const auto made = cache_->restore_root(key, record.hash);
  if (!made.ok()) {
    const bool too_large = made.code() == Errc::kInvalidArgument;
    root.kept = too_large ? KeptReason::kSegmentTooSmall : KeptReason::kTablesFull;
    return;
  }
  root.kept.reset();
  root.id = *made;
  roots_->restored(root.id, record.hash, root.number);
}

}  // namespace quire::tiering
