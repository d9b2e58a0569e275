// In which order loads are served: a queue a tenant, and the tenants take turns.
//
//   tenant:  waiting --it has all the RAM it needs--> reading --all of it was asked for--> nowhere
//              interactive, batch (who reserves next)   interactive, batch (who reads next)
//
// 1. Of a tenant's waiting loads one is served. Once it holds something it stays that until it has
//    all it needs, gives way or ends: one that came later never takes its place half way.
// 2. Interactive loads go before batch ones, but at most kMaxOvertakes of them while a batch load
//    waits: then it is its turn. So a batch load with n others before it starts after at most
//    (n + 1) * kMaxOvertakes interactive loads of its tenant, and the one that was being served
//    when it came. What is read goes by the same rule, turn by turn.
// 3. Who reads next is the tenant that had least of its share: bytes over its weight (stride
//    scheduling, Waldspurger 1995). So tenants that always have something to read get bytes in
//    proportion to their weights, but for one piece each. Who had nothing to read saves nothing
//    up, and what it leaves goes to the others: nobody starves.
// 4. A choice costs O(log tenants), whatever number of loads there is.
// Threads: core only. Lifetime: loads stay where they are while they stand here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "model/ids.h"
#include "tiering/load_record.h"

namespace quire::tiering {

// Of a batch load by interactive ones of its tenant. As many as cost a turn's user nothing that he
// would notice, and few enough that a batch goes on below a flood of them.
inline constexpr uint32_t kMaxOvertakes = 16;

class LoadQueues {
 public:
  // What is bounded by domain, and the memory that its tenants share. Loads fills in the first
  // three.
  struct Domain {
    size_t loads = 0;
    size_t nodes = 0;  // of these loads, and of those that are let go
    uint32_t leaving = 0;
    uint32_t reserved = 0;            // of these loads, those that have all they need
    uint32_t waiting_tenants = 0;     // with a load that lacks something
    LoadRecord* reserving = nullptr;  // holds a part of what it needs; null: nobody does
  };
  class Tenant {
   private:
    friend class LoadQueues;
    using ByClass = std::array<LoadList, 2>;  // interactive, batch

    model::DomainId domain;
    ByClass waiting;
    ByClass reading;
    size_t loads = 0;              // that did not end
    LoadRecord* served = nullptr;  // of those that wait
    uint32_t overtakes = 0;        // of the first batch load that waits
    uint32_t turns = 0;            // of reading
    uint64_t share = 0;            // what it read, in kShareUnits over its weight
  };

  // Behind those of its tenant and class. It holds nothing yet.
  void add(LoadRecord& load);
  // It has all it needs now: it reads, and another one of its tenant is served.
  void note_reserved(LoadRecord& load);
  // All of it was asked for. It stands nowhere, but counts as reserved until it ends.
  void note_issued(LoadRecord& load);
  // It ended, wherever it stood. Its tenant goes with the last of them.
  void remove(LoadRecord& load);
  // It holds nothing any more, and another one may be served. Precondition: it waits.
  void give_way(LoadRecord& load);
  // Whether somebody would use what the load gave back: another tenant of its domain, or of its
  // own tenant one that goes before it.
  bool has_rival(const LoadRecord& load) const;

  // Offers reads piece by piece, `pieces` at most: offer(tenant), to the one that had least of its
  // share, says how many bytes it took and what the tenant's weight is; 0 bytes: it is not asked
  // again in this round. It may note_issued() loads of that tenant. True: more might have been
  // taken.
  struct Taken {
    uint64_t bytes = 0;
    uint32_t weight = 1;
  };
  template <typename Offer>
  bool read_by_share(uint32_t pieces, Offer&& offer);

  // The tenant whose turn it is, one after the other; null: no load stands anywhere.
  Tenant* next_tenant();
  // Which of the tenant's loads reserves now; null: all have what they need.
  LoadRecord* to_reserve(Tenant& tenant);
  // Those of it that are to be read, first those whose turn it is. visit(load): false ends it. It
  // may note_issued() that load, no other.
  template <typename Visit>
  void for_each_to_read(Tenant& tenant, Visit&& visit);

  size_t tenant_count() const { return tenants_.size(); }
  size_t domain_count() const { return domains_.size(); }
  // Made where there is none.
  Domain& domain(model::DomainId id) { return domains_[id.value]; }
  // Null: it has nothing here.
  const Domain* find_domain(model::DomainId id) const;
  // Drops it when nothing is left of it.
  void maybe_forget(model::DomainId id);
  void check_invariants() const;

 private:
  using ByClass = Tenant::ByClass;
  static bool is_empty(const ByClass& lists) { return lists[0].empty() && lists[1].empty(); }
  static LoadList& list_of(ByClass& lists, const LoadRecord& load) {
    return lists[load.is_batch() ? 1 : 0];
  }
  // A share is counted in pages by a 1,024th: 2^64 of them are 2^66 bytes at a weight of 1.
  static constexpr uint64_t kShareBytes = 4096;
  static constexpr uint64_t kShareUnits = 1024;
  void stop_waiting(Tenant& tenant, LoadRecord& load);
  void stop_reading(uint32_t id, Tenant& tenant, LoadRecord& load);

  std::map<uint32_t, Tenant> tenants_;  // by id; one without loads is erased
  std::map<uint16_t, Domain> domains_;  // likewise
  uint32_t last_tenant_ = 0;            // whose turn it was
  // Tenants with something to read, by (share, id): those not asked in vain in this round.
  std::set<std::pair<uint64_t, uint32_t>> shares_;
  std::vector<uint32_t> sated_;  // the others
  uint64_t level_ = 0;           // the share of who read last: who comes anew begins there
};

template <typename Offer>
bool LoadQueues::read_by_share(uint32_t pieces, Offer&& offer) {
  for (; pieces > 0 && !shares_.empty(); --pieces) {
    const auto [share, id] = *shares_.begin();
    Tenant& tenant = tenants_.at(id);
    const Taken taken = offer(tenant);
    if (taken.bytes > 0) {
      level_ = share;
      const uint64_t parts = (taken.bytes + kShareBytes - 1) / kShareBytes;
      tenant.share = share + parts * kShareUnits / taken.weight;
    }
    // It may have nothing left to read, and be out of the order by now.
    if (shares_.erase({share, id}) == 0) continue;
    if (taken.bytes > 0) {
      shares_.emplace(tenant.share, id);
    } else {
      sated_.push_back(id);
    }
  }
  const bool more = !shares_.empty();
  for (const uint32_t id : sated_) shares_.emplace(tenants_.at(id).share, id);
  sated_.clear();
  return more;
}

template <typename Visit>
void LoadQueues::for_each_to_read(Tenant& tenant, Visit&& visit) {
  // Now and then the other way round: a tier's records go to who asks first.
  const bool batch_first = ++tenant.turns % (kMaxOvertakes + 1) == 0;
  for (const size_t which : {batch_first ? 1u : 0u, batch_first ? 0u : 1u}) {
    LoadList& loads = tenant.reading[which];
    for (auto at = loads.begin(); at != loads.end();) {
      LoadRecord& load = **at++;  // before it may leave the list
      if (!visit(load)) return;
    }
  }
}

}  // namespace quire::tiering
