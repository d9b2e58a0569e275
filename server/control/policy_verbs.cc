#include "server/control/policy_verbs.h"

#include <array>
#include <string>

#include "cache/eviction/policy.h"
#include "model/clean_text.h"
#include "server/control/quota_verbs.h"
#include "server/control/scope_file.h"
#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::PolicyAction;

model::Result<void> PolicyVerbs::policy(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::PolicyRequest>(call.payload));
  switch (static_cast<PolicyAction>(request.action)) {
    case PolicyAction::kShow:
      break;
    case PolicyAction::kSet:
      QUIRE_TRY(set(call, request));
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show) or 1 (set)");
  }
  desk_->answer(call.connection, call.type, call.sequence,
                [this](model::MetricSink& sink) { describe(sink); });
  return {};
}

model::Result<void> PolicyVerbs::set(const VerbCall& call, const model::PolicyRequest& request) {
  const cache::ScopeName name =
      QUIRE_TRY(scope_name(request.tier, request.domain, request.of_tenant == 1, request.tenant));
  const std::string policy(QUIRE_TRY(model::from_wire_name(request.policy)));
  QUIRE_TRY(model::check_clean_text(policy, "policy"));  // it will be written to the log
  cache::ScopeRules& rules = cache_->rules();
  // A rule may wait for its domain; a slip in a command should not.
  if (!name.domain.empty() && !rules.find_domain(name.domain)) {
    return make_error(Errc::kNotFound,
                      "no domain " + name.domain + "; quirectl policy show lists them");
  }
  QUIRE_TRY(rules.set_policy(name, policy));
  keeper_->keep(state_text(rules.all()));
  // A warning, so that it is there also where --log_level leaves out what goes well.
  log(LogLevel::kWarning, "audit: uid=" + std::to_string(call.connection.peer().uid) +
                              " set the policy of " + scope_text(name) + " to " + policy);
  return {};
}

void PolicyVerbs::describe(model::MetricSink& sink) const {
  bool switching = false;
  cache_->board().for_each_scope(
      [&](const cache::ScopeOrder& order) { switching = switching || order.switching; });
  sink.text("known", cache::policy_names());
  sink.flag("switching", switching, "Somewhere a new policy takes over still");
  describe_keeper(*keeper_, sink);
  const cache::NamespaceTable& names = cache_->names();
  const auto list = sink.list({.key = "scopes", .prefix = "scope"});
  cache_->board().for_each_scope([&](const cache::ScopeOrder& order) {
    const cache::Owner& owner = order.owner;
    const std::string_view domain =
        owner.domain.valid() ? std::string_view(names.domain_name(owner.domain)) : "*";
    const std::string_view tenant =
        owner.tenant.valid() ? std::string_view(names.tenants().name_of(owner.tenant)) : "*";
    const std::array labels{
        model::MetricLabel{.name = "tier", .text = model::tier_name(order.tier)},
        model::MetricLabel{.name = "domain", .text = domain},
        model::MetricLabel{.name = "tenant", .text = tenant}};
    const auto row = sink.row(labels);
    sink.text("policy", order.policy);
    sink.flag("switching", order.switching, "Some entries are still another policy's");
  });
}

}  // namespace quire::server
