#include "server/control/policy_verbs.h"

#include <array>
#include <optional>

#include "cache/eviction/policy.h"
#include "model/clean_text.h"
#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::PolicyAction;
using model::TierId;

namespace {

std::optional<model::DomainId> find_domain(const cache::NamespaceTable& names,
                                           std::string_view wanted) {
  for (uint32_t i = 0; i < names.domain_count(); ++i) {
    const model::DomainId domain{static_cast<uint16_t>(i)};
    if (names.domain_name(domain) == wanted) return domain;
  }
  return std::nullopt;
}

}  // namespace

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
  if (request.tier >= model::kTierCount) return make_error(Errc::kInvalidArgument, "no such tier");
  const auto tier = static_cast<TierId>(request.tier);
  const std::string policy(QUIRE_TRY(model::from_wire_name(request.policy)));
  const std::string domain(QUIRE_TRY(model::from_wire_name(request.domain)));
  // Both will be written to the log.
  QUIRE_TRY(model::check_clean_text(policy, "policy"));
  QUIRE_TRY(model::check_clean_text(domain, "domain"));
  cache::EvictionBoard& board = cache_->board();
  if (domain.empty()) {
    QUIRE_TRY(board.set_policy(tier, policy));
  } else if (tier != TierId::kRam) {
    return make_error(Errc::kInvalidArgument,
                      "one policy orders all of this tier; leave the domain out");
  } else {
    const auto found = find_domain(cache_->names(), domain);
    if (!found) {
      return make_error(Errc::kNotFound,
                        "no domain " + domain + "; quirectl policy show lists them");
    }
    QUIRE_TRY(board.set_policy(tier, *found, policy));
  }
  // A warning, so that it is there also where --log_level leaves out what goes well.
  log(LogLevel::kWarning, "audit: uid=" + std::to_string(call.connection.peer().uid) +
                              " set the policy of tier=" + std::string(model::tier_name(tier)) +
                              " domain=" + (domain.empty() ? "*" : domain) + " to " + policy);
  return {};
}

void PolicyVerbs::describe(model::MetricSink& sink) const {
  bool switching = false;
  cache_->board().for_each_scope(
      [&](const cache::ScopeOrder& order) { switching = switching || order.switching; });
  sink.text("known", cache::policy_names());
  sink.flag("switching", switching, "Somewhere a new policy takes over still");
  const auto list = sink.list({.key = "scopes", .prefix = "scope"});
  cache_->board().for_each_scope([&](const cache::ScopeOrder& order) {
    const std::string_view domain =
        order.domain.valid() ? std::string_view(cache_->names().domain_name(order.domain)) : "*";
    const std::array labels{
        model::MetricLabel{.name = "tier", .text = model::tier_name(order.tier)},
        model::MetricLabel{.name = "domain", .text = domain}};
    const auto row = sink.row(labels);
    sink.text("policy", order.policy);
    sink.flag("switching", order.switching, "Some entries are still another policy's");
  });
}

}  // namespace quire::server
