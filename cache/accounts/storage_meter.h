// What tenants held over time: bytes and tokens by tenant and tier, and on any tier (each object
// once, also while it is on two), integrated at every change, for whoever charges for storage.
//
//   held  ____|####|__          byte_us += bytes x (now - since), before bytes change
//
// Charged is the tenant whose hits the content serves, each object once, however many sessions
// share it; in a shared namespace that is the domain's tenant without a name. Tokens are those of
// spans: a checkpoint has bytes alone.
//
// A tenant is held here until what it held was taken: its number is nobody else's before that.
// Exact in microseconds of the monotonic clock. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cache/accounts/tenant_table.h"
#include "model/clock.h"
#include "model/ids.h"

namespace quire::cache {

__extension__ using WideUnsigned = unsigned __int128;

struct HeldStorage {
  int64_t span_us = 0;  // the time it is of, up to now
  WideUnsigned byte_us = 0;
  WideUnsigned token_us = 0;
  uint64_t most_bytes = 0;  // at any instant of it
  uint64_t most_tokens = 0;
};

class StorageMeter {
 public:
  explicit StorageMeter(TenantTable* tenants) : tenants_(tenants) {}

  // From now on; what is held already counts from now. Without it nothing is integrated.
  void start(const model::Clock* clock);
  // A place is a tier's index, or model::kAnyTier. remove() precondition: so much is held.
  static constexpr size_t kPlaces = model::kTierCount + 1;
  void add(model::TenantId tenant, size_t place, uint64_t bytes, uint64_t tokens);
  void remove(model::TenantId tenant, size_t place, uint64_t bytes, uint64_t tokens);

  // What the tenant held there since it was taken last, or began; zero where that is nothing.
  HeldStorage take(model::TenantId tenant, size_t place);
  // Ids that may hold something are below.
  uint32_t end_of_ids() const { return static_cast<uint32_t>(tenants_held_.size()); }
  bool holds(model::TenantId tenant) const {
    return tenant.value < tenants_held_.size() && tenants_held_[tenant.value].counted;
  }

  // Something of a tenant of the domain was not taken yet. Looks at all: rare.
  bool holds_any_of(model::DomainId domain) const;

 private:
  struct Holding {
    uint64_t bytes = 0;
    uint64_t tokens = 0;
    int64_t since_us = 0;  // of the last change
    int64_t begin_us = 0;  // of what is summed
    WideUnsigned byte_us = 0;
    WideUnsigned token_us = 0;
    uint64_t most_bytes = 0;  // since then
    uint64_t most_tokens = 0;
  };
  struct OfTenant {
    std::array<Holding, kPlaces> places;
    bool counted = false;  // and so held in the table
  };

  // What it held was taken, if it was integrated at all.
  void forget_if_empty(model::TenantId tenant);
  Holding& at(model::TenantId tenant, size_t place);
  int64_t now_us() const { return clock_ == nullptr ? 0 : clock_->now_ns() / 1000; }
  static void integrate(Holding& holding, int64_t now_us);

  TenantTable* tenants_;
  const model::Clock* clock_ = nullptr;
  std::vector<OfTenant> tenants_held_;  // by tenant
};

}  // namespace quire::cache
