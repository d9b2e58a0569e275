// Retention classes by number: by what names ("5m", "1h") a tenant wants its content kept, so that
// what it holds is told apart by them. A node has two bits for it.
//
// A number belongs to a tenant and stands for one name as long as a session, a node or what was
// held and not told yet names it; then another may have it. 0 is content without a class.
// Threads: core only. Rare calls, but for number to number; allocates. Bound: three a tenant.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cache/accounts/tenant_table.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

class RetentionHold;

class RetentionTable {
 public:
  static constexpr size_t kNumbers = 4;  // 0 among them

  explicit RetentionTable(TenantTable* tenants) : tenants_(tenants) {}

  // Finds the class or gives it a number, for as long as the hold lives. The empty name is 0.
  // kResourceExhausted: the tenant has as many others in use.
  model::Result<RetentionHold> hold(model::TenantId tenant, std::string_view name);
  // Once more, and the tenant with it. Precondition: held; 0 needs none.
  void hold(model::TenantId tenant, uint8_t number);
  void release(model::TenantId tenant, uint8_t number);
  // Empty for 0. Precondition: held. Valid for as long.
  const std::string& name_of(model::TenantId tenant, uint8_t number) const;

 private:
  struct Class {
    std::string name;
    uint64_t holders = 0;  // 0: the number is free
  };
  using Classes = std::array<Class, kNumbers - 1>;  // number - 1

  TenantTable* tenants_;
  std::unordered_map<uint32_t, Classes> of_tenants_;  // with some in use
};

// Move-only. The table outlives it.
class RetentionHold {
 public:
  RetentionHold() = default;
  // Precondition: held already.
  RetentionHold(RetentionTable* table, model::TenantId tenant, uint8_t number)
      : table_(table), tenant_(tenant), number_(number) {
    if (table_ != nullptr) table_->hold(tenant_, number_);
  }
  RetentionHold(RetentionHold&& other) noexcept { swap(other); }
  RetentionHold& operator=(RetentionHold&& other) noexcept {
    RetentionHold taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~RetentionHold() {
    if (table_ != nullptr) table_->release(tenant_, number_);
  }
  uint8_t number() const { return number_; }

 private:
  void swap(RetentionHold& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(tenant_, other.tenant_);
    std::swap(number_, other.number_);
  }

  RetentionTable* table_ = nullptr;
  model::TenantId tenant_;
  uint8_t number_ = 0;
};

}  // namespace quire::cache
