#include "cache/eviction/evictor.h"

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::NodeId;
using model::TierId;

bool Evictor::evict_from_ram(DomainId domain) {
  const NodeId node = board_->choose(TierId::kRam, domain);
  if (!node.valid()) return false;
  if (store_->tree().node(node).has_copy_below(TierId::kRam)) {
    store_->leave_ram(node);
  } else {
    // Without a copy only a leaf without pins may leave (Presence::may_leave), so drop() does not
    // refuse.
    QUIRE_CHECK(store_->drop(node, DropReason::kEvicted));
  }
  return true;
}

uint64_t Evictor::evict(uint64_t count) {
  uint64_t evicted = 0;
  for (uint16_t d = 0; d < store_->pool().domain_count(); ++d) {
    while ((count == 0 || evicted < count) && evict_from_ram(DomainId{d})) ++evicted;
  }
  return evicted;
}

bool Evictor::evict_copy(TierId tier) {
  const NodeId node = board_->choose(tier, DomainId{});
  if (!node.valid()) return false;
  ++evicted_copies_;
  if (store_->tree().node(node).is_in_ram()) {
    store_->lose_copy(node, tier, Why::kEvicted);
  } else {
    QUIRE_CHECK(store_->drop(node, DropReason::kEvicted));
  }
  return true;
}

NodeId Evictor::take_ram_victim(DomainId domain) {
  const NodeId node = board_->choose(TierId::kRam, domain);
  if (node.valid()) board_->withdraw(node, TierId::kRam);
  return node;
}

}  // namespace quire::cache
