// Tells the ledger with each minute of the wall clock what each tenant held on each tier, by class
// of retention (cache/accounts/storage_meter.h), a bounded number of tenants a step: so no span of
// storage is of two hours, but for the moment that telling takes. Exact up to the minute in which a
// daemon dies: that one is not told. Threads: core only.
#pragma once

#include <cstdint>

#include "cache/cache.h"
#include "model/clock.h"
#include "server/metering/ledger.h"

namespace quire::server {

class StorageFeed {
 public:
  static constexpr int64_t kLookNs = 100'000'000;
  static constexpr int64_t kEndNs = 5'000'000'000;  // at the end the ledger is waited for so long
  static constexpr uint32_t kTenantsPerStep = 64;

  struct Parts {
    cache::Cache* cache = nullptr;
    const model::Clock* clock = nullptr;
    Ledger* ledger = nullptr;
  };
  // From here on what is held is integrated.
  explicit StorageFeed(const Parts& parts);

  // True: there are more in this minute.
  bool step(int64_t now_ns);
  // All of them at once, before the end.
  void tell_all();

 private:
  void tell(model::TenantId tenant);
  void tell_class(cache::StorageOwner owner);

  Parts parts_;
  uint32_t next_ = 0;  // tenant of the pass under way
  int64_t looked_ns_ = 0;
  int64_t minute_ = 0;  // told so far
};

}  // namespace quire::server
