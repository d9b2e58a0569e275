#include "cache/eviction/scope_rules.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace quire::cache {

using model::DomainId;
using model::Errc;
using model::make_error;
using model::Result;
using model::TierId;

namespace {

bool covers(const ScopeName& wide, const ScopeName& name) {
  if (wide.tier != name.tier) return false;
  if (wide.domain.empty()) return true;
  return wide.domain == name.domain && (!wide.tenant || wide.tenant == name.tenant);
}

std::string text_of(const ScopeName& name) {
  return name.domain + (name.tenant ? " tenant \"" + *name.tenant + "\"" : std::string()) + " on " +
         std::string(model::tier_name(name.tier));
}

}  // namespace

std::optional<DomainId> ScopeRules::find_domain(std::string_view name) const {
  for (uint32_t i = 0; i < names_->domain_count(); ++i) {
    const DomainId domain{static_cast<uint16_t>(i)};
    if (names_->domain_name(domain) == name) return domain;
  }
  return std::nullopt;
}

// What is told apart without any rule.
bool ScopeRules::is_default(TierId tier, const Owner& owner) const {
  if (owner.tenant.valid()) return false;
  return owner.domain.valid() == board_->by_domain(tier);
}

std::optional<Owner> ScopeRules::owner_of(const ScopeName& name) const {
  if (const auto open = open_.find(name); open != open_.end()) return open->second;
  if (name.tenant || !board_->is_open(name.tier)) return std::nullopt;
  Owner owner;
  if (!name.domain.empty()) {
    const auto domain = find_domain(name.domain);
    if (!domain) return std::nullopt;
    owner.domain = *domain;
  }
  if (!is_default(name.tier, owner)) return std::nullopt;
  return owner;
}

std::string ScopeRules::policy_of(const ScopeName& name) const {
  const auto of = [&](const ScopeName& one) -> std::string {
    const auto rule = rules_.find(one);
    return rule == rules_.end() ? std::string() : rule->second.policy;
  };
  std::string policy = of(name);
  if (policy.empty()) policy = of({name.tier, name.domain, std::nullopt});
  if (policy.empty() && board_->is_open(name.tier)) policy = board_->default_policy(name.tier);
  return policy;
}

Result<ScopeRule*> ScopeRules::rule_of(const ScopeName& name) {
  const auto rule = rules_.find(name);
  if (rule != rules_.end()) return &rule->second;
  if (rules_.size() >= kMaxOwners) {
    return make_error(Errc::kResourceExhausted,
                      std::to_string(kMaxOwners) + " users and tenants have rules of their own");
  }
  return &rules_[name];
}

Result<Owner> ScopeRules::open(const ScopeName& name, DomainId domain) {
  Owner owner{domain, {}};
  if (name.tenant) owner.tenant = names_->tenants().hold(domain, *name.tenant);
  if (auto set = board_->set_policy(name.tier, owner, policy_of(name)); !set.ok()) {
    if (name.tenant) names_->tenants().release(owner.tenant);
    return std::move(set).error();
  }
  quotas_->open(name.tier, owner);
  open_.emplace(name, owner);
  return owner;
}

void ScopeRules::close(TierId tier, Owner owner) {
  quotas_->close(tier, owner);
  board_->close_scope(tier, owner);
  if (owner.tenant.valid()) names_->tenants().release(owner.tenant);
}

Result<void> ScopeRules::apply(const ScopeName& name) {
  const auto found = rules_.find(name);
  const ScopeRule rule = found == rules_.end() ? ScopeRule{} : found->second;
  if (found != rules_.end() && !rule.says_something()) rules_.erase(found);
  if (!board_->is_open(name.tier)) return {};
  std::optional<Owner> owner = owner_of(name);
  if (!rule.says_something()) {
    if (!owner) return {};
    if (is_default(name.tier, *owner)) {
      quotas_->set(name.tier, *owner, {});
      return board_->set_policy(name.tier, *owner, policy_of(name));
    }
    open_.erase(name);
    close(name.tier, *owner);
    return {};
  }
  if (!owner) {
    const auto domain = find_domain(name.domain);
    if (!domain) return {};  // when it comes
    owner = QUIRE_TRY(open(name, *domain));
  }
  quotas_->set(name.tier, *owner, rule.quota().value_or(Quota{}));
  return board_->set_policy(name.tier, *owner, policy_of(name));
}

Result<void> ScopeRules::open_tier(TierId tier) {
  if (!board_->by_domain(tier)) quotas_->open(tier, {});
  const auto rule = rules_.find({tier, "", std::nullopt});
  if (rule != rules_.end() && rule->second.policy != kAutoName) {
    QUIRE_TRY(board_->set_policy(tier, rule->second.policy));
  }
  for (uint32_t i = 0; i < names_->domain_count(); ++i) {
    QUIRE_TRY(add_domain(DomainId{static_cast<uint16_t>(i)}));
  }
  return {};
}

Result<void> ScopeRules::add_domain(DomainId domain) {
  QUIRE_TRY(board_->add_domain(domain));
  for (const TierId tier : model::kTiers) {
    if (!board_->is_open(tier) || !board_->by_domain(tier)) continue;
    if (!quotas_->is_open(tier, {domain, {}})) quotas_->open(tier, {domain, {}});
  }
  std::vector<ScopeName> names;
  for (const auto& [name, rule] : rules_) {
    if (name.domain == names_->domain_name(domain)) names.push_back(name);
  }
  for (const ScopeName& name : names) QUIRE_TRY(apply(name));
  return {};
}

void ScopeRules::forget_domain(DomainId domain) {
  std::erase_if(open_, [&](const auto& open) {
    const auto& [name, owner] = open;
    if (owner.domain != domain) return false;
    quotas_->close(name.tier, owner);
    if (owner.tenant.valid()) names_->tenants().release(owner.tenant);
    return true;
  });
  for (const TierId tier : model::kTiers) {
    if (quotas_->is_open(tier, {domain, {}})) quotas_->close(tier, {domain, {}});
  }
  board_->forget_domain(domain);
}

Result<void> ScopeRules::check_not_busy(const ScopeName& name) const {
  std::vector<Owner> owners;
  const auto add = [&](const ScopeName& one) {
    if (const auto owner = owner_of(one); owner && covers(name, one)) owners.push_back(*owner);
  };
  add(name);
  for (const auto& [one, owner] : open_) add(one);
  bool busy = false;
  board_->for_each_scope([&](const ScopeOrder& scope) {
    if (scope.tier != name.tier || !scope.switching) return;
    busy = busy || name.domain.empty() ||
           std::find(owners.begin(), owners.end(), scope.owner) != owners.end();
  });
  if (!busy) return {};
  return make_error(Errc::kBusy, "a switch of policies is under way there; wait for its end");
}

Result<void> ScopeRules::restore(const ScopeName& name, const ScopeRule& rule) {
  const bool follows = rule.policy == kAutoName && name.domain.empty();
  if (!rule.policy.empty() && !follows) QUIRE_TRY(TierBoard::find(rule.policy));
  ScopeRule* known = QUIRE_TRY(rule_of(name));
  known->policy = rule.policy;
  known->set_quota = rule.set_quota;
  if (!name.domain.empty()) return apply(name);
  if (!board_->is_open(name.tier) || rule.policy.empty() || follows) return {};
  return board_->set_policy(name.tier, rule.policy);
}

Result<void> ScopeRules::set_policy(const ScopeName& name, std::string_view policy) {
  QUIRE_TRY(TierBoard::find(policy));
  if (!board_->is_open(name.tier)) {
    return make_error(Errc::kInvalidArgument, "this tier is not in use");
  }
  QUIRE_TRY(check_not_busy(name));
  ScopeRule* rule = QUIRE_TRY(rule_of(name));
  if (name.domain.empty()) QUIRE_TRY(board_->set_policy(name.tier, policy));
  std::vector<ScopeName> covered;
  for (auto& [one, other] : rules_) {
    if (!covers(name, one) || one == name) continue;
    other.policy.clear();
    covered.push_back(one);
  }
  rule->policy = policy;
  if (!name.domain.empty()) QUIRE_TRY(apply(name));
  for (const ScopeName& one : covered) QUIRE_TRY(apply(one));
  return {};
}

Result<void> ScopeRules::set_auto(TierId tier, std::string_view first) {
  const ScopeName name{tier, "", std::nullopt};
  QUIRE_TRY(set_policy(name, first));
  rules_.at(name).policy = kAutoName;
  return {};
}

bool ScopeRules::is_auto(TierId tier) const {
  const auto rule = rules_.find({tier, "", std::nullopt});
  return rule == rules_.end() ? auto_by_default_[model::index_of(tier)]
                              : rule->second.policy == kAutoName;
}

bool ScopeRules::names_policy(const ScopeName& name) const {
  const auto rule = rules_.find(name);
  return rule != rules_.end() && !rule->second.policy.empty();
}

bool ScopeRules::follows(TierId tier, Owner owner) const {
  if (!is_auto(tier)) return false;
  if (!owner.domain.valid()) return true;
  ScopeName name{tier, names_->domain_name(owner.domain), std::nullopt};
  if (names_policy(name)) return false;
  if (!owner.tenant.valid()) return true;
  name.tenant = names_->tenants().name_of(owner.tenant);
  return !names_policy(name);
}

Result<void> ScopeRules::follow(TierId tier, std::string_view policy) {
  QUIRE_TRY(TierBoard::find(policy));
  std::vector<Owner> owners;
  bool busy = false;
  board_->for_each_scope([&](const ScopeOrder& scope) {
    if (scope.tier != tier || scope.policy == policy || !follows(tier, scope.owner)) return;
    busy = busy || scope.switching;
    owners.push_back(scope.owner);
  });
  if (busy) return make_error(Errc::kBusy, "a switch of policies is under way there");
  for (const Owner& owner : owners) QUIRE_TRY(board_->set_policy(tier, owner, policy));
  board_->set_default(tier, policy);
  return {};
}

Result<void> ScopeRules::check_quota(const ScopeName& name, const Quota& quota) const {
  if (name.domain.empty()) {
    return make_error(Errc::kInvalidArgument, "a quota belongs to a user: name its domain, uid:N");
  }
  if (quota.burst_bytes < quota.guaranteed_bytes) {
    return make_error(Errc::kInvalidArgument,
                      "the burst of " + text_of(name) + " is below its guarantee");
  }
  if (quota.weight == 0 || quota.weight > kMaxWeight) {
    return make_error(Errc::kInvalidArgument, "the weight of " + text_of(name) + " must be 1 to " +
                                                  std::to_string(kMaxWeight));
  }
  return {};
}

Result<void> ScopeRules::check_sums(const Rules& rules) const {
  for (const TierId tier : model::kTiers) {
    const uint64_t most = bytes_[model::index_of(tier)] / 100 * kGuaranteedPercent;
    uint64_t sum = 0;
    for (const auto& [name, rule] : rules) {
      if (name.tier != tier || !rule.quota()) continue;
      const uint64_t more = rule.quota()->guaranteed_bytes;
      sum = more > UINT64_MAX - sum ? UINT64_MAX : sum + more;
    }
    if (sum == 0 || bytes_[model::index_of(tier)] == 0 || sum <= most) continue;
    return make_error(Errc::kInvalidArgument,
                      std::to_string(sum) + " bytes would be guaranteed on " +
                          std::string(model::tier_name(tier)) + "; at most " +
                          std::to_string(most) + " can be, 90 % of the tier");
  }
  return {};
}

Result<void> ScopeRules::set_quota(const ScopeName& name, std::optional<Quota> quota) {
  QUIRE_TRY(check_quota(name, quota.value_or(Quota{})));
  Rules after = rules_;
  after[name].set_quota = quota;
  QUIRE_TRY(check_sums(after));
  ScopeRule* rule = QUIRE_TRY(rule_of(name));
  rule->set_quota = quota;
  return apply(name);
}

Result<void> ScopeRules::set_file_quotas(const std::vector<NamedQuota>& quotas) {
  Rules after = rules_;
  for (auto& [name, rule] : after) rule.file_quota.reset();
  for (const NamedQuota& one : quotas) {
    QUIRE_TRY(check_quota(one.name, one.quota));
    after[one.name].file_quota = one.quota;
  }
  QUIRE_TRY(check_sums(after));
  if (after.size() > kMaxOwners) {
    return make_error(Errc::kResourceExhausted,
                      std::to_string(kMaxOwners) + " users and tenants may have rules");
  }
  std::vector<ScopeName> names;
  for (const auto& [name, rule] : after) names.push_back(name);
  rules_ = std::move(after);
  for (const ScopeName& name : names) QUIRE_TRY(apply(name));
  return {};
}

}  // namespace quire::cache
