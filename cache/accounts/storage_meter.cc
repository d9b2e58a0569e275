#include "cache/accounts/storage_meter.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {

using model::TenantId;

void StorageMeter::integrate(Holding& holding, int64_t now_us) {
  const auto passed = static_cast<uint64_t>(now_us - holding.since_us);
  holding.byte_us += WideUnsigned{holding.bytes} * passed;
  holding.token_us += WideUnsigned{holding.tokens} * passed;
  holding.since_us = now_us;
}

void StorageMeter::start(const model::Clock* clock) {
  clock_ = clock;
  for (OfTenant& tenant : tenants_held_) {
    for (Holding& holding : tenant.places) holding.begin_us = holding.since_us = now_us();
  }
}

StorageMeter::Holding& StorageMeter::at(TenantId tenant, size_t place) {
  if (tenants_held_.size() <= tenant.value) tenants_held_.resize(tenant.value + size_t{1});
  OfTenant& held = tenants_held_[tenant.value];
  if (!held.counted) {
    tenants_->hold(tenant);
    held.counted = true;
    for (Holding& holding : held.places) holding.begin_us = holding.since_us = now_us();
  }
  Holding& holding = held.places[place];
  integrate(holding, now_us());
  return holding;
}

void StorageMeter::add(TenantId tenant, size_t place, uint64_t bytes, uint64_t tokens) {
  Holding& holding = at(tenant, place);
  holding.bytes += bytes;
  holding.tokens += tokens;
  holding.most_bytes = std::max(holding.most_bytes, holding.bytes);
  holding.most_tokens = std::max(holding.most_tokens, holding.tokens);
}

void StorageMeter::remove(TenantId tenant, size_t place, uint64_t bytes, uint64_t tokens) {
  Holding& holding = at(tenant, place);
  QUIRE_CHECK(holding.bytes >= bytes && holding.tokens >= tokens);
  holding.bytes -= bytes;
  holding.tokens -= tokens;
  forget_if_empty(tenant);
}

void StorageMeter::forget_if_empty(TenantId tenant) {
  OfTenant& held = tenants_held_[tenant.value];
  const bool is_empty = std::all_of(held.places.begin(), held.places.end(), [](const Holding& one) {
    return one.bytes == 0 && one.tokens == 0 && one.byte_us == 0 && one.token_us == 0;
  });
  if (!is_empty) return;
  held.counted = false;
  tenants_->release(tenant);
}

bool StorageMeter::holds_any_of(model::DomainId domain) const {
  for (uint32_t id = 0; id < end_of_ids(); ++id) {
    const TenantId tenant{id};
    if (holds(tenant) && tenants_->domain_of(tenant) == domain) return true;
  }
  return false;
}

HeldStorage StorageMeter::take(TenantId tenant, size_t place) {
  if (!holds(tenant)) return {};
  Holding& holding = tenants_held_[tenant.value].places[place];
  integrate(holding, now_us());
  const HeldStorage taken{.span_us = holding.since_us - holding.begin_us,
                          .byte_us = holding.byte_us,
                          .token_us = holding.token_us,
                          .most_bytes = holding.most_bytes,
                          .most_tokens = holding.most_tokens};
  holding.begin_us = holding.since_us;
  holding.byte_us = holding.token_us = 0;
  holding.most_bytes = holding.bytes;
  holding.most_tokens = holding.tokens;
  forget_if_empty(tenant);
  return taken;
}

}  // namespace quire::cache
