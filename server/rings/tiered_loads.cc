#include "server/rings/tiered_loads.h"

namespace quire::server {

model::Result<void> TieredLoads::start(const WaitingLoad& waiting,
                                       std::span<const model::NodeId> missing,
                                       int64_t deadline_ns) {
  if (tiers_ == nullptr) {
    return model::make_error(model::Errc::kUnavailable, "this daemon has no tier below RAM");
  }
  const uint64_t tag = next_tag_++;
  const auto load_class = waiting.attachment->session().cached.batch_class
                              ? model::LoadClass::kBatch
                              : model::LoadClass::kInteractive;
  QUIRE_TRY(tiers_->loads().start({.tag = tag,
                                   .load_class = load_class,
                                   .order = waiting.order,
                                   .deadline_ns = deadline_ns,
                                   .nodes = missing}));
  waiting_.emplace(tag, waiting);
  OfLease& of_lease = of_lease_[waiting.load.lease.value];
  of_lease.attachment = waiting.attachment;
  ++of_lease.count;
  return {};
}

// Blocks before the first one that is missing are described as they come; the client reads them
// once the count, stored after them, covers them.
void TieredLoads::publish_progress(uint64_t tag, WaitingLoad& waiting) {
  const model::NodeId missing = tiers_->loads().next_missing(tag);
  const cache::PrefixTree& tree = cache_->store().tree();
  uint32_t ready = waiting.load.block_count;
  model::NodeId last_ready = waiting.load.last;
  if (missing.valid() && missing != waiting.load.checkpoint) {
    const cache::Node& last = tree.node(waiting.load.last);
    const cache::Root& root = cache_->names().root(last.root());
    const uint32_t behind =
        (last.units() - tree.node(missing).units()) / root.layout->units_per_block;
    ready = waiting.load.block_count - 1 - behind;
    last_ready = tree.parent(missing);
  }
  if (ready <= waiting.blocks_ready) return;
  cache_->reader().describe_blocks(waiting.load, last_ready, waiting.blocks_ready,
                                   ready - waiting.blocks_ready, waiting.out);
  waiting.blocks_ready = ready;
  waiting.attachment->publish_load_ready(waiting.progress_slot,
                                         ready * waiting.load.pages_per_span);
}

void TieredLoads::end(Attachment& attachment) {
  std::erase_if(waiting_, [&](const auto& entry) {
    if (entry.second.attachment != &attachment) return false;
    tiers_->loads().cancel(entry.first);
    forget(entry.second);
    return true;
  });
}

void TieredLoads::forget(const WaitingLoad& waiting) {
  const auto of_lease = of_lease_.find(waiting.load.lease.value);
  if (--of_lease->second.count == 0) of_lease_.erase(of_lease);
}

bool TieredLoads::holds(const Attachment& attachment, model::LeaseId lease) const {
  const auto of_lease = of_lease_.find(lease.value);
  return of_lease != of_lease_.end() && of_lease->second.attachment == &attachment;
}

void TieredLoads::prefetch(std::span<const model::NodeId> missing, int64_t deadline_ns) {
  if (tiers_ == nullptr || missing.empty()) return;
  // Advice may be ignored: a full or failed tier is no error here.
  (void)tiers_->loads().start({.tag = kPrefetchTag | next_tag_++,
                               .load_class = model::LoadClass::kBatch,
                               .deadline_ns = deadline_ns,
                               .nodes = missing});
}

}  // namespace quire::server
