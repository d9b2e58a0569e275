#include "tiering/disk/ssd_roots.h"

#include "model/check.h"
#include "tiering/disk/manifest_records.h"

namespace quire::tiering {

uint32_t SsdRoots::found(const RootRecord& record) {
  by_number_[record.id] = {.hash = record.hash, .runs = 0, .durable = true};
  emptied_.push_back(record.id);  // unless a run of it is found
  return by_hash_.try_emplace(record.hash, record.id).first->second;
}

void SsdRoots::restored(model::RootId root, const model::Hash256& hash, uint32_t number) {
  if (by_root_.size() <= root.value) by_root_.resize(root.value + 1);
  by_root_[root.value] = {hash, number, true};
}

uint32_t SsdRoots::number(model::RootId root) {
  if (by_root_.size() <= root.value) by_root_.resize(root.value + 1);
  Known& known = by_root_[root.value];
  const model::Hash256& hash = cache_->names().root(root).hash;
  if (known.in_use && known.hash == hash) return known.number;
  const auto found = by_hash_.find(hash);
  known = {hash, found != by_hash_.end() ? found->second : next_number_++, true};
  return known.number;
}

SsdRoots::Entry& SsdRoots::entry_of(const Known& known) {
  const auto [at, added] = by_number_.try_emplace(known.number, Entry{.hash = known.hash});
  if (added) by_hash_.try_emplace(known.hash, known.number);
  return at->second;
}

void SsdRoots::describe(model::RootId id, ManifestBatch& batch) {
  const uint32_t number = this->number(id);
  if (entry_of(by_root_[id.value]).durable) return;
  const cache::Root& root = cache_->names().root(id);
  const std::string& domain = cache_->names().domain_name(root.key.domain);
  batch.put_epoch(domain, epoch_name(root.key.namespace_name, root.key.tenant),
                  root.key.weights_epoch);
  batch.put_root({.id = number,
                  .hash = root.hash,
                  .layout_digest = root.layout->digest,
                  .weights_epoch = root.key.weights_epoch,
                  .domain = domain,
                  .tenant = root.key.tenant,
                  .namespace_name = root.key.namespace_name});
}

void SsdRoots::remove_run(uint32_t number) {
  Entry& entry = by_number_.at(number);
  QUIRE_CHECK(entry.runs > 0);
  if (--entry.runs == 0) emptied_.push_back(number);
}

void SsdRoots::erase_empty(ManifestBatch& batch) {
  for (const uint32_t number : emptied_) {
    const auto at = by_number_.find(number);
    if (at == by_number_.end() || at->second.runs > 0) continue;
    batch.erase_root(number);
    const auto hash = by_hash_.find(at->second.hash);
    if (hash != by_hash_.end() && hash->second == number) by_hash_.erase(hash);
    by_number_.erase(at);
  }
  emptied_.clear();
}

}  // namespace quire::tiering
