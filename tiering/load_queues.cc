#include "tiering/load_queues.h"

#include <algorithm>

#include "model/check.h"

namespace quire::tiering {

using Stand = LoadRecord::Stand;

void LoadQueues::add(LoadRecord& load) {
  Tenant& tenant = tenants_[load.tenant.value];
  tenant.domain = load.domain;
  if (is_empty(tenant.waiting)) ++domain(load.domain).waiting_tenants;
  LoadList& list = list_of(tenant.waiting, load);
  load.place = list.insert(list.end(), &load);
  load.stand = Stand::kWaiting;
  ++tenant.loads;
}

void LoadQueues::stop_waiting(Tenant& tenant, LoadRecord& load) {
  list_of(tenant.waiting, load).erase(load.place);
  load.stand = Stand::kNowhere;
  if (tenant.served == &load) tenant.served = nullptr;
  // The next batch load has a bound of its own.
  if (load.is_batch()) tenant.overtakes = 0;
  Domain& of = domain(load.domain);
  if (is_empty(tenant.waiting)) --of.waiting_tenants;
  if (of.reserving == &load) of.reserving = nullptr;
}

void LoadQueues::note_reserved(LoadRecord& load) {
  Tenant& tenant = tenants_.at(load.tenant.value);
  stop_waiting(tenant, load);
  if (is_empty(tenant.reading)) {
    tenant.share = std::max(tenant.share, level_);
    shares_.emplace(tenant.share, load.tenant.value);
  }
  LoadList& list = list_of(tenant.reading, load);
  load.place = list.insert(list.end(), &load);
  load.stand = Stand::kReading;
  ++domain(load.domain).reserved;
}

void LoadQueues::note_issued(LoadRecord& load) {
  stop_reading(load.tenant.value, tenants_.at(load.tenant.value), load);
}

void LoadQueues::stop_reading(uint32_t id, Tenant& tenant, LoadRecord& load) {
  list_of(tenant.reading, load).erase(load.place);
  load.stand = Stand::kNowhere;
  if (is_empty(tenant.reading)) shares_.erase({tenant.share, id});
}

void LoadQueues::remove(LoadRecord& load) {
  const auto tenant = tenants_.find(load.tenant.value);
  if (load.stand == Stand::kWaiting) {
    stop_waiting(tenant->second, load);
  } else {
    if (load.stand == Stand::kReading) stop_reading(load.tenant.value, tenant->second, load);
    --domain(load.domain).reserved;
  }
  if (--tenant->second.loads == 0) tenants_.erase(tenant);
}

void LoadQueues::give_way(LoadRecord& load) {
  QUIRE_CHECK(load.stand == Stand::kWaiting);
  tenants_.at(load.tenant.value).served = nullptr;
  Domain& of = domain(load.domain);
  if (of.reserving == &load) of.reserving = nullptr;
}

bool LoadQueues::has_rival(const LoadRecord& load) const {
  const Domain* of = find_domain(load.domain);
  if (of != nullptr && of->waiting_tenants > 1) return true;
  const Tenant& tenant = tenants_.at(load.tenant.value);
  return load.is_batch() && !tenant.waiting[0].empty() && tenant.overtakes < kMaxOvertakes;
}

LoadQueues::Tenant* LoadQueues::next_tenant() {
  if (tenants_.empty()) return nullptr;
  auto at = tenants_.upper_bound(last_tenant_);
  if (at == tenants_.end()) at = tenants_.begin();
  last_tenant_ = at->first;
  return &at->second;
}

LoadRecord* LoadQueues::to_reserve(Tenant& tenant) {
  if (is_empty(tenant.waiting)) return nullptr;
  LoadRecord* served = tenant.served;
  if (served != nullptr && domain(tenant.domain).reserving == served) return served;
  const LoadList& interactive = tenant.waiting[0];
  const LoadList& batch = tenant.waiting[1];
  const bool overtaken_enough = tenant.overtakes >= kMaxOvertakes && !batch.empty();
  tenant.served = interactive.empty() || overtaken_enough ? batch.front() : interactive.front();
  // Counted when it is chosen: one that ends before it is served has taken a turn all the same.
  if (tenant.served != served && !tenant.served->is_batch() && !batch.empty()) ++tenant.overtakes;
  return tenant.served;
}

const LoadQueues::Domain* LoadQueues::find_domain(model::DomainId id) const {
  const auto found = domains_.find(id.value);
  return found == domains_.end() ? nullptr : &found->second;
}

void LoadQueues::maybe_forget(model::DomainId id) {
  const auto found = domains_.find(id.value);
  if (found != domains_.end() && found->second.loads == 0 && found->second.leaving == 0) {
    domains_.erase(found);
  }
}

void LoadQueues::check_invariants() const {
  std::map<uint16_t, uint32_t> waiting;
  for (const auto& [id, tenant] : tenants_) {
    QUIRE_CHECK(tenant.loads > 0 && tenant.overtakes <= kMaxOvertakes);
    if (!is_empty(tenant.waiting)) ++waiting[tenant.domain.value];
    size_t standing = 0;
    for (const size_t which : {0, 1}) {
      for (const LoadRecord* load : tenant.waiting[which]) {
        QUIRE_CHECK(load->stand == Stand::kWaiting && load->is_batch() == (which == 1));
        // Only one of a domain holds a part of what it needs.
        QUIRE_CHECK(load->reserved == 0 || find_domain(load->domain)->reserving == load);
        ++standing;
      }
      for (const LoadRecord* load : tenant.reading[which]) {
        QUIRE_CHECK(load->stand == Stand::kReading && load->is_reserved());
        ++standing;
      }
    }
    QUIRE_CHECK(standing <= tenant.loads);
    QUIRE_CHECK(shares_.contains({tenant.share, id}) == !is_empty(tenant.reading));
  }
  for (const auto& [id, of] : domains_) {
    const auto found = waiting.find(id);
    QUIRE_CHECK(of.waiting_tenants == (found == waiting.end() ? 0 : found->second));
  }
}

}  // namespace quire::tiering
