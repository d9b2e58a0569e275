// Which checkpoints an operator wants written, by name: of all, of a domain's users and of tenants.
// A session is asked by the narrowest rule that names it; where there is none, by the default. Who
// tells sessions: CheckpointTeller (server/sessions).
// A wider rule takes the place of those of all that it covers. Rules wait here for domains that are
// not there yet. Threads: core only. Rare calls; allocates. Bound: kMaxOwners.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "model/checkpoint_policy.h"
#include "model/result.h"

namespace quire::cache {

// As ScopeName, without a tier: a checkpoint is written to all of them or none.
struct CheckpointScope {
  std::string domain;                 // "uid:N"; empty: all
  std::optional<std::string> tenant;  // who pays; none: whoever of the domain has no rule

  friend auto operator<=>(const CheckpointScope&, const CheckpointScope&) = default;
};

class CheckpointRules {
 public:
  // In order of domain and tenant, so the wider ones first.
  using Rules = std::map<CheckpointScope, model::CheckpointPolicy>;

  // As the daemon was started.
  void set_default(const model::CheckpointPolicy& policy) { default_ = policy; }
  // kInvalidArgument: a tenant without a domain. kResourceExhausted: kMaxOwners rules.
  model::Result<void> set(const CheckpointScope& scope, const model::CheckpointPolicy& policy);
  // What sessions of this domain are asked for, of which this tenant pays.
  model::CheckpointPolicy policy_of(std::string_view domain, std::string_view tenant) const;
  // Where no rule of a domain says something else.
  model::CheckpointPolicy widest() const;
  const Rules& all() const { return rules_; }

 private:
  model::CheckpointPolicy default_;
  Rules rules_;
};

}  // namespace quire::cache
