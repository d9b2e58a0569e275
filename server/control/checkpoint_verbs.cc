#include "server/control/checkpoint_verbs.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "model/checkpoint_policy.h"
#include "server/control/kept_state.h"
#include "server/control/quota_verbs.h"
#include "server/runtime/log.h"

namespace quire::server {

using model::CheckpointPolicy;
using model::Errc;
using model::make_error;
using model::Result;

namespace {

void describe_rule(const cache::CheckpointScope& scope, const CheckpointPolicy& policy,
                   model::MetricSink& sink) {
  const std::array labels{
      model::MetricLabel{.name = "domain",
                         .text = scope.domain.empty() ? std::string_view("*") : scope.domain},
      model::MetricLabel{.name = "tenant",
                         .text = scope.tenant ? std::string_view(*scope.tenant) : "*"}};
  const auto row = sink.row(labels);
  sink.text("policy", model::checkpoint_policy_text(policy));
}

}  // namespace

Result<void> CheckpointVerbs::set(const VerbCall& call, const model::PolicyRequest& request) {
  // Checked as what names a tier, of which checkpoints have none.
  const cache::ScopeName whose =
      QUIRE_TRY(scope_name(0, request.domain, request.of_tenant == 1, request.tenant));
  const std::string_view word = QUIRE_TRY(model::from_wire_name(request.policy));
  const CheckpointPolicy policy = QUIRE_TRY(model::parse_checkpoint_policy(word));
  // A rule may wait for its domain; a slip in a command should not.
  if (!whose.domain.empty() && !parts_.cache->rules().find_domain(whose.domain)) {
    return make_error(Errc::kNotFound,
                      "no domain " + whose.domain + "; quirectl policy show lists them");
  }
  const cache::CheckpointScope scope{whose.domain, whose.tenant};
  QUIRE_TRY(parts_.cache->checkpoint_rules().set(scope, policy));
  parts_.teller->begin();
  keep_state(*parts_.cache, *parts_.clock, *parts_.keeper);
  std::string whom = " domain=" + (scope.domain.empty() ? "*" : scope.domain);
  if (scope.tenant) whom += " tenant=\"" + *scope.tenant + '"';
  // A warning, so that it is there also where --log_level leaves out what goes well.
  log(LogLevel::kWarning, "audit: uid=" + std::to_string(call.connection.peer().uid) +
                              " set the checkpoints of" + whom + " to " +
                              model::checkpoint_policy_text(policy));
  return {};
}

void CheckpointVerbs::describe(model::MetricSink& sink) const {
  const cache::CheckpointRules& rules = parts_.cache->checkpoint_rules();
  const auto list = sink.list({.key = "checkpoints", .prefix = "checkpoints"});
  describe_rule({}, rules.widest(), sink);
  for (const auto& [scope, policy] : rules.all()) {
    if (!scope.domain.empty()) describe_rule(scope, policy, sink);
  }
}

}  // namespace quire::server
