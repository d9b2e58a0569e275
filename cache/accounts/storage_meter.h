// What tenants held over time: bytes and tokens by tenant, retention class and tier, and on any
// tier (each object once, also while it is on two), integrated at every change, for whoever charges
// for storage.
//
//   held  ____|####|__          byte_us += bytes x (now - since), before bytes change
//
// Charged is the tenant whose hits the content serves, each object once, however many sessions
// share it; in a shared namespace that is the domain's tenant without a name. The class is that of
// the session that wrote it first. Tokens are those of spans: a checkpoint has bytes alone.
//
// A tenant is held here, and its class, until what it held was taken: their numbers are nobody
// else's before that.
// Exact in microseconds of the monotonic clock. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/accounts/retention_table.h"
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

struct StorageOwner {
  model::TenantId tenant;
  uint8_t retention = 0;  // number of the class with the tenant
};

struct HeldAmount {
  uint64_t bytes = 0;
  uint64_t tokens = 0;
};

class StorageMeter {
 public:
  StorageMeter(TenantTable* tenants, RetentionTable* retentions)
      : tenants_(tenants), retentions_(retentions) {}

  // From now on; what is held already counts from now. Without it nothing is integrated.
  void start(const model::Clock* clock);
  // A place is a tier's index, or model::kAnyTier. remove() precondition: so much is held.
  static constexpr size_t kPlaces = model::kTierCount + 1;
  void add(StorageOwner owner, size_t place, HeldAmount amount);
  void remove(StorageOwner owner, size_t place, HeldAmount amount);

  // What was held there since it was taken last, or began; zero where that is nothing.
  HeldStorage take(StorageOwner owner, size_t place);
  // Ids that may hold something are below.
  uint32_t end_of_ids() const { return static_cast<uint32_t>(held_.size()); }
  bool holds(StorageOwner owner) const {
    return owner.tenant.value < held_.size() &&
           held_[owner.tenant.value][owner.retention] != nullptr;
  }

  // Something of a tenant of the domain was not taken yet. Looks at all: rare.
  bool holds_any_of(model::DomainId domain) const;

 private:
  struct Holding {
    HeldAmount now;
    int64_t since_us = 0;  // of the last change
    int64_t begin_us = 0;  // of what is summed
    WideUnsigned byte_us = 0;
    WideUnsigned token_us = 0;
    HeldAmount most;  // since then
  };
  using Places = std::array<Holding, kPlaces>;
  // Null: nothing, so the tenant need not be held, nor the class.
  using OfTenant = std::array<std::unique_ptr<Places>, RetentionTable::kNumbers>;

  // What it held was taken, if it was integrated at all.
  void forget_if_empty(StorageOwner owner);
  Holding& at(StorageOwner owner, size_t place);
  int64_t now_us() const { return clock_ == nullptr ? 0 : clock_->now_ns() / 1000; }
  static void integrate(Holding& holding, int64_t now_us);

  TenantTable* tenants_;
  RetentionTable* retentions_;
  const model::Clock* clock_ = nullptr;
  std::vector<OfTenant> held_;  // by tenant
};

}  // namespace quire::cache
