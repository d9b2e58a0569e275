// What the paths of open sessions and leases could keep in RAM at most, by domain: an upper bound,
// for whoever has to know beforehand what eviction can make of room (RamRoom). A path that several
// hold counts for each of them; so it is more than what is really kept, never less.
// Threads: core only. Lifetime: the accounts outlive the hold.
#pragma once

#include <cstdint>
#include <utility>

#include "cache/accounts/account_table.h"
#include "model/ids.h"

namespace quire::cache {

// One path that may not leave RAM. Move-only.
class PathHold {
 public:
  PathHold() = default;
  PathHold(AccountTable* accounts, model::DomainId domain, uint64_t bytes)
      : accounts_(accounts), domain_(domain), bytes_(bytes) {
    accounts_->hold_path(domain_, bytes_);
  }
  PathHold(PathHold&& other) noexcept { swap(other); }
  PathHold& operator=(PathHold&& other) noexcept {
    PathHold taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PathHold() {
    if (accounts_ != nullptr) accounts_->release_path(domain_, bytes_);
  }
  bool valid() const { return accounts_ != nullptr; }

 private:
  void swap(PathHold& other) noexcept {
    std::swap(accounts_, other.accounts_);
    std::swap(domain_, other.domain_);
    std::swap(bytes_, other.bytes_);
  }

  AccountTable* accounts_ = nullptr;
  model::DomainId domain_;
  uint64_t bytes_ = 0;
};

}  // namespace quire::cache
