#include "cache/fill/checkpoint_rules.h"

#include "cache/accounts/owner.h"

namespace quire::cache {

using model::CheckpointPolicy;
using model::Errc;
using model::make_error;
using model::Result;

namespace {

bool covers(const CheckpointScope& wide, const CheckpointScope& scope) {
  if (wide.domain.empty()) return true;
  return wide.domain == scope.domain && (!wide.tenant || wide.tenant == scope.tenant);
}

}  // namespace

Result<void> CheckpointRules::set(const CheckpointScope& scope, const CheckpointPolicy& policy) {
  if (scope.domain.empty() && scope.tenant) {
    return make_error(Errc::kInvalidArgument, "a tenant belongs to a user: name its domain, uid:N");
  }
  // First what goes: it may be what makes room.
  std::erase_if(rules_, [&](const auto& rule) { return covers(scope, rule.first); });
  if (rules_.size() >= kMaxOwners) {
    return make_error(Errc::kResourceExhausted,
                      std::to_string(kMaxOwners) + " users and tenants have checkpoint rules");
  }
  rules_[scope] = policy;
  return {};
}

CheckpointPolicy CheckpointRules::widest() const {
  const auto rule = rules_.find({});
  return rule == rules_.end() ? default_ : rule->second;
}

CheckpointPolicy CheckpointRules::policy_of(std::string_view domain,
                                            std::string_view tenant) const {
  if (rules_.empty()) return default_;
  auto rule = rules_.find({std::string(domain), std::string(tenant)});
  if (rule == rules_.end()) rule = rules_.find({std::string(domain), std::nullopt});
  return rule == rules_.end() ? widest() : rule->second;
}

}  // namespace quire::cache
