#include "tiering/ssd_roots.h"

#include "tiering/manifest_records.h"

namespace quire::tiering {

void SsdRoots::restored(model::RootId root, const RootRecord& record) {
  if (by_root_.size() <= root.value) by_root_.resize(root.value + 1);
  by_root_[root.value] = {record.hash, record.id, true, true};
}

uint32_t SsdRoots::number(model::RootId root) {
  if (by_root_.size() <= root.value) by_root_.resize(root.value + 1);
  Known& known = by_root_[root.value];
  const model::Hash256& hash = cache_->names().root(root).hash;
  if (!known.in_use || known.hash != hash) known = {hash, next_number_++, true, false};
  return known.number;
}

void SsdRoots::describe(model::RootId id, ManifestBatch& batch) {
  const uint32_t number = this->number(id);
  if (by_root_[id.value].durable) return;
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

}  // namespace quire::tiering
