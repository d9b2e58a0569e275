// Makes room: whose turn it is (QuotaTable), which entry (EvictionBoard), and the act
// (ObjectStore).
//
// What is pinned (NamespacePins) is asked last: once nobody who is asked has anything else.
//
// Threads: core only. O(log n) an eviction, and O(owners of a domain) where some were told apart.
#pragma once

#include <cstdint>

#include "cache/accounts/quota_table.h"
#include "cache/eviction/eviction_board.h"
#include "cache/objects/object_store.h"
#include "model/ids.h"
#include "model/metrics.h"

namespace quire::cache {

class Evictor {
 public:
  Evictor(ObjectStore* store, EvictionBoard* board, QuotaTable* quotas)
      : store_(store), board_(board), quotas_(quotas) {}

  // One object out of RAM, of the domain's own, for this tenant; nothing that is pinned. False:
  // nothing else may go.
  bool evict_from_ram(model::TenantId asker);
  // The same of what is pinned.
  bool evict_pinned(model::TenantId asker);
  // Only of what the asker's owner has.
  bool evict_own(model::TierId tier, model::TenantId asker);
  // Over all domains; returns how many went. 0 = everything that may go.
  uint64_t evict(uint64_t count);
  // A copy below RAM, for this tenant; none: for nobody. False: none may go. Of the hint tier it is
  // a node that is on no other one, which is forgotten here.
  bool evict_copy(model::TierId tier, model::TenantId asker);
  // Some owner has more that may go than is found now, while scopes change.
  bool may_find_more(model::TierId tier) const { return board_->is_settling(tier); }
  // This one. Precondition: it may leave the tier (Presence::may_leave).
  void evict_node(model::TierId tier, model::NodeId node, DepartureCause cause);
  // Who would leave RAM next, withdrawn: offered again with its next unpin. None: nobody.
  model::NodeId take_ram_victim(model::DomainId domain);
  model::NodeId take_pinned_victim(model::DomainId domain);
  // Copies on the device that evict_copy() gave up.
  const model::Counter& evicted_copies() const { return evicted_copies_; }

 private:
  enum class Part : uint8_t { kUnpinned, kPinned };
  // The first of these owners that has something to give; then it gave.
  model::NodeId choose(model::TierId tier, std::span<const Owner> order, Part part);
  model::NodeId choose(model::TierId tier, std::span<const Owner> order);
  bool evict_for(model::TenantId asker, Part part);
  model::NodeId take_victim(model::DomainId domain, Part part);

  ObjectStore* store_;
  EvictionBoard* board_;
  QuotaTable* quotas_;
  model::Counter evicted_copies_{"evicted_copies",
                                 "Copies given up to make room on the device",
                                 {model::MetricFamily::kEvictedGroups, R"(reason="room")"}};
};

}  // namespace quire::cache
