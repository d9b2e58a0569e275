// What an operator wants of parts of a tier, by name: policies and quotas of a domain's users and
// tenants. Rules wait here for domains that are not there yet, and for those that come back.
//
//   rule --the domain is there--> an owner that is told apart: a row of QuotaTable, a scope of
//                                 EvictionBoard, and a hold of the tenant's id
//
// A rule says what differs from the next wider one; one that says nothing ends. A wider policy
// replaces those of all that it covers. Threads: core only. Rare calls; allocates.
#pragma once

#include <array>
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/accounts/quota_table.h"
#include "cache/eviction/eviction_board.h"
#include "cache/tree/namespace_table.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

struct ScopeName {
  model::TierId tier = model::TierId::kRam;
  std::string domain;                 // "uid:N"; empty: all of the tier
  std::optional<std::string> tenant;  // none: what no tenant of the domain has a rule for

  friend auto operator<=>(const ScopeName&, const ScopeName&) = default;
};

struct ScopeRule {
  std::string policy;               // empty: as the next wider one
  std::optional<Quota> set_quota;   // by a command; goes before the file's
  std::optional<Quota> file_quota;  // of --quota_file

  std::optional<Quota> quota() const { return set_quota ? set_quota : file_quota; }
  bool says_something() const { return !policy.empty() || quota().has_value(); }
};

struct NamedQuota {
  ScopeName name;
  Quota quota;
};

class ScopeRules {
 public:
  // Of a tier's bytes at most so many parts of 100 are guaranteed: the rest lets everybody in.
  static constexpr uint64_t kGuaranteedPercent = 90;

  ScopeRules(NamespaceTable* names, QuotaTable* quotas, EvictionBoard* board)
      : names_(names), quotas_(quotas), board_(board) {}

  // The tier is on, with so many bytes: rules of it count.
  model::Result<void> open_tier(model::TierId tier);
  void set_capacity(model::TierId tier, uint64_t bytes) { bytes_[model::index_of(tier)] = bytes; }

  // A switch begins at once where the domain is there. kInvalidArgument: no such policy, or tier.
  // kBusy: a switch of what it covers is under way; nothing changed. kResourceExhausted: kMaxOwners
  // rules.
  model::Result<void> set_policy(const ScopeName& name, std::string_view policy);
  // Of the whole tier; `first` is in charge until follow() says otherwise. Errors as set_policy().
  model::Result<void> set_auto(model::TierId tier, std::string_view first);
  // As the daemon was started, where no rule says something else.
  void set_auto_by_default(model::TierId tier) { auto_by_default_[model::index_of(tier)] = true; }
  bool is_auto(model::TierId tier) const;
  // No narrower rule names its policy, and the tier is auto.
  bool follows(model::TierId tier, Owner owner) const;
  // Of all that follow. kBusy: a switch of one is under way.
  model::Result<void> follow(model::TierId tier, std::string_view policy);
  // nullopt: the file's, if it has one. kInvalidArgument: more guaranteed than the tier has, a
  // burst below the guarantee, or no domain named.
  model::Result<void> set_quota(const ScopeName& name, std::optional<Quota> quota);
  // Of an earlier life. kInvalidArgument: no such policy. kResourceExhausted as above.
  model::Result<void> restore(const ScopeName& name, const ScopeRule& rule);
  // Takes the place of all that the file said before; nothing changes when one of them is wrong.
  model::Result<void> set_file_quotas(const std::vector<NamedQuota>& quotas);

  model::Result<void> add_domain(model::DomainId domain);
  // Precondition: nothing of it is anywhere; its id will be another's.
  void forget_domain(model::DomainId domain);
  // In order of tier, domain and tenant.
  const std::map<ScopeName, ScopeRule>& all() const { return rules_; }
  // What orders it now, or will when its domain comes. Empty: the tier is not in use.
  std::string policy_of(const ScopeName& name) const;
  // None: no client of this user has been here.
  std::optional<model::DomainId> find_domain(std::string_view name) const;
  // None: the domain, or tenant, is not told apart now.
  std::optional<Owner> owner_of(const ScopeName& name) const;

 private:
  using Rules = std::map<ScopeName, ScopeRule>;
  model::Result<void> check_quota(const ScopeName& name, const Quota& quota) const;
  model::Result<void> check_sums(const Rules& rules) const;
  model::Result<void> check_not_busy(const ScopeName& name) const;
  model::Result<ScopeRule*> rule_of(const ScopeName& name);
  // The owner is told apart, has the rule's quota and policy; or is not, where it says nothing.
  model::Result<void> apply(const ScopeName& name);
  model::Result<Owner> open(const ScopeName& name, model::DomainId domain);
  void close(model::TierId tier, Owner owner);
  bool is_default(model::TierId tier, const Owner& owner) const;
  bool names_policy(const ScopeName& name) const;

  NamespaceTable* names_;
  QuotaTable* quotas_;
  EvictionBoard* board_;
  Rules rules_;
  std::array<uint64_t, model::kTierCount> bytes_{};  // 0: not known yet
  std::array<bool, model::kTierCount> auto_by_default_{};
  std::map<ScopeName, Owner> open_;  // what rules opened; holds the tenant's id
};

}  // namespace quire::cache
