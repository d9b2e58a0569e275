#include "cache/eviction/evictor.h"

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::NodeId;
using model::TenantId;
using model::TierId;

NodeId Evictor::choose(TierId tier, std::span<const Owner> order, Part part) {
  for (const Owner& owner : order) {
    const NodeId node =
        part == Part::kPinned ? board_->choose_pinned(tier, owner) : board_->choose(tier, owner);
    if (!node.valid()) continue;
    quotas_->gave(owner);
    return node;
  }
  return {};
}

NodeId Evictor::choose(TierId tier, std::span<const Owner> order) {
  const NodeId node = choose(tier, order, Part::kUnpinned);
  return node.valid() ? node : choose(tier, order, Part::kPinned);
}

void Evictor::evict_node(TierId tier, NodeId node, DepartureCause cause) {
  const Node& link = store_->tree().node(node);
  Departure why{cause};
  // Asked only where somebody remembers it.
  if (store_->departures() != nullptr) why.policy = board_->policy_of(node, tier);
  if (tier != TierId::kRam) {
    if (tier == Presence::kPlacedTier) ++evicted_copies_;
    if (link.has_copy_besides(tier)) return store_->lose_copy(node, tier, why);
  } else if (link.has_copy_below(TierId::kRam)) {
    return store_->leave_ram(node, why);
  }
  // Without another copy only a leaf without pins may leave (Presence::may_leave), so drop() does
  // not refuse.
  QUIRE_CHECK(store_->drop(node, why));
}

bool Evictor::evict_for(TenantId asker, Part part) {
  const Owner owner = quotas_->owner_of(TierId::kRam, asker);
  const NodeId node = choose(TierId::kRam, quotas_->turn(TierId::kRam, owner, true), part);
  if (node.valid()) evict_node(TierId::kRam, node, DepartureCause::kPolicy);
  return node.valid();
}

bool Evictor::evict_from_ram(TenantId asker) { return evict_for(asker, Part::kUnpinned); }
bool Evictor::evict_pinned(TenantId asker) { return evict_for(asker, Part::kPinned); }

bool Evictor::evict_own(TierId tier, TenantId asker) {
  const Owner owner = quotas_->owner_of(tier, asker);
  NodeId node = board_->choose(tier, owner);
  if (!node.valid()) node = board_->choose_pinned(tier, owner);
  if (node.valid()) evict_node(tier, node, DepartureCause::kQuota);
  return node.valid();
}

uint64_t Evictor::evict(uint64_t count) {
  uint64_t evicted = 0;
  for (uint16_t d = 0; d < store_->pool().domain_count(); ++d) {
    while (count == 0 || evicted < count) {
      const NodeId node = choose(TierId::kRam, quotas_->turn(TierId::kRam, DomainId{d}));
      if (!node.valid()) break;
      evict_node(TierId::kRam, node, DepartureCause::kOperator);
      ++evicted;
    }
  }
  return evicted;
}

bool Evictor::evict_copy(TierId tier, TenantId asker) {
  const NodeId node =
      choose(tier, asker.valid() ? quotas_->turn(tier, quotas_->owner_of(tier, asker), false)
                                 : quotas_->turn(tier, DomainId{}));
  if (node.valid()) evict_node(tier, node, DepartureCause::kPolicy);
  return node.valid();
}

NodeId Evictor::take_victim(DomainId domain, Part part) {
  const NodeId node = choose(TierId::kRam, quotas_->turn(TierId::kRam, domain), part);
  if (node.valid()) board_->withdraw(node, TierId::kRam);
  return node;
}

NodeId Evictor::take_ram_victim(DomainId domain) { return take_victim(domain, Part::kUnpinned); }
NodeId Evictor::take_pinned_victim(DomainId domain) { return take_victim(domain, Part::kPinned); }

}  // namespace quire::cache
