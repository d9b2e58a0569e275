#include "cache/accounts/storage_meter.h"

#include <algorithm>

#include "model/check.h"

namespace quire::cache {

using model::TenantId;

void StorageMeter::integrate(Holding& holding, int64_t now_us) {
  const auto passed = static_cast<uint64_t>(now_us - holding.since_us);
  holding.byte_us += WideUnsigned{holding.now.bytes} * passed;
  holding.token_us += WideUnsigned{holding.now.tokens} * passed;
  holding.since_us = now_us;
}

void StorageMeter::start(const model::Clock* clock) {
  clock_ = clock;
  for (OfTenant& tenant : held_) {
    for (const std::unique_ptr<Places>& places : tenant) {
      if (places == nullptr) continue;
      for (Holding& holding : *places) holding.begin_us = holding.since_us = now_us();
    }
  }
}

StorageMeter::Holding& StorageMeter::at(StorageOwner owner, size_t place) {
  if (held_.size() <= owner.tenant.value) held_.resize(owner.tenant.value + size_t{1});
  std::unique_ptr<Places>& places = held_[owner.tenant.value][owner.retention];
  if (places == nullptr) {
    tenants_->hold(owner.tenant);
    retentions_->hold(owner.tenant, owner.retention);
    places = std::make_unique<Places>();
    for (Holding& holding : *places) holding.begin_us = holding.since_us = now_us();
  }
  Holding& holding = (*places)[place];
  integrate(holding, now_us());
  return holding;
}

void StorageMeter::add(StorageOwner owner, size_t place, HeldAmount amount) {
  Holding& holding = at(owner, place);
  holding.now.bytes += amount.bytes;
  holding.now.tokens += amount.tokens;
  holding.most.bytes = std::max(holding.most.bytes, holding.now.bytes);
  holding.most.tokens = std::max(holding.most.tokens, holding.now.tokens);
}

void StorageMeter::remove(StorageOwner owner, size_t place, HeldAmount amount) {
  Holding& holding = at(owner, place);
  QUIRE_CHECK(holding.now.bytes >= amount.bytes && holding.now.tokens >= amount.tokens);
  holding.now.bytes -= amount.bytes;
  holding.now.tokens -= amount.tokens;
  forget_if_empty(owner);
}

void StorageMeter::forget_if_empty(StorageOwner owner) {
  std::unique_ptr<Places>& places = held_[owner.tenant.value][owner.retention];
  const bool is_empty = std::all_of(places->begin(), places->end(), [](const Holding& one) {
    return one.now.bytes == 0 && one.now.tokens == 0 && one.byte_us == 0 && one.token_us == 0;
  });
  if (!is_empty) return;
  places.reset();
  retentions_->release(owner.tenant, owner.retention);
  tenants_->release(owner.tenant);
}

bool StorageMeter::holds_any_of(model::DomainId domain) const {
  for (uint32_t id = 0; id < end_of_ids(); ++id) {
    const bool holds = std::any_of(held_[id].begin(), held_[id].end(),
                                   [](const auto& places) { return places != nullptr; });
    if (holds && tenants_->domain_of(TenantId{id}) == domain) return true;
  }
  return false;
}

HeldStorage StorageMeter::take(StorageOwner owner, size_t place) {
  if (!holds(owner)) return {};
  Holding& holding = (*held_[owner.tenant.value][owner.retention])[place];
  integrate(holding, now_us());
  const HeldStorage taken{.span_us = holding.since_us - holding.begin_us,
                          .byte_us = holding.byte_us,
                          .token_us = holding.token_us,
                          .most_bytes = holding.most.bytes,
                          .most_tokens = holding.most.tokens};
  holding.begin_us = holding.since_us;
  holding.byte_us = holding.token_us = 0;
  holding.most = holding.now;
  forget_if_empty(owner);
  return taken;
}

}  // namespace quire::cache
