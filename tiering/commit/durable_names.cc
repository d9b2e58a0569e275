#include "tiering/commit/durable_names.h"

#include <algorithm>

namespace quire::tiering {

void DurableNames::find_new_layouts(std::span<Transfer* const> transfers) {
  layouts_in_batch_.clear();
  const cache::PrefixTree& tree = cache_->store().tree();
  for (const Transfer* transfer : transfers) {
    const model::RootId root = tree.node(transfer->objects[0].node).root();
    const cache::KnownLayout* layout = cache_->names().root(root).layout;
    if (stored_layouts_.contains(layout->digest)) continue;
    const bool listed =
        std::any_of(layouts_in_batch_.begin(), layouts_in_batch_.end(),
                    [&](const NewLayout& known) { return known.digest == layout->digest; });
    if (!listed) layouts_in_batch_.push_back({layout->digest, layout->layout});
  }
}

void DurableNames::add_to(ManifestBatch& batch, std::span<Transfer* const> transfers) {
  files_in_batch_ = files_->made_count();
  find_new_layouts(transfers);
  const bool files = files_in_batch_ != named_files_;
  features_in_batch_ = 0;
  for (const Transfer* transfer : transfers) features_in_batch_ |= features_of(transfer->run);
  features_in_batch_ &= ~says_features_;
  if (!files && features_in_batch_ == 0 && layouts_in_batch_.empty()) return;
  // Copies: the cache may forget a layout before the manifest's thread is done.
  batch.first([directory = directory_, layouts = layouts_in_batch_, files,
               features = features_in_batch_]() -> model::Result<void> {
    for (const NewLayout& layout : layouts) {
      QUIRE_TRY(directory->layouts().store(layout.digest, layout.layout));
    }
    if (features != 0) QUIRE_TRY(directory->add_incompatible(features));
    return files ? directory->sync_names() : model::Result<void>{};
  });
}

void DurableNames::batch_durable() {
  named_files_ = files_in_batch_;
  says_features_ |= features_in_batch_;
  for (const NewLayout& layout : layouts_in_batch_) stored_layouts_.insert(layout.digest);
}

}  // namespace quire::tiering
