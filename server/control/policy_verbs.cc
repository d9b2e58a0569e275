#include "server/control/policy_verbs.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cache/eviction/policy.h"
#include "model/clean_text.h"
#include "server/control/kept_state.h"
#include "server/control/quota_verbs.h"

namespace quire::server {

using model::Errc;
using model::make_error;
using model::PolicyAction;
using model::TierId;

namespace {

struct PolicyAdvice {
  TierId tier{};
  uint8_t window = 0;
  GhostReport report;
  std::string_view present;  // who is in charge; of several scopes, of the first
};

void describe_totals(const cache::WindowTotals& totals, model::MetricSink& sink) {
  const auto percent = [&](double tokens) {
    return totals.prompt_tokens > 0 ? 100 * tokens / totals.prompt_tokens : 0;
  };
  sink.gauge("prompt_tokens", static_cast<uint64_t>(totals.prompt_tokens), "Tokens asked for");
  sink.gauge("hit_tokens", static_cast<uint64_t>(totals.hit_tokens), "Of these, found");
  sink.ratio("hit_percent", percent(totals.hit_tokens), "Of the tokens asked for");
  sink.gauge("ceiling_tokens", static_cast<uint64_t>(totals.ceiling_tokens),
             "What an infinite cache would have found");
  sink.ratio("ceiling_percent", percent(totals.ceiling_tokens), "Of the tokens asked for");
}

void describe_row(const cache::GhostRow& row, bool present, model::MetricSink& sink) {
  const std::string size =
      (row.size_percent > 0 ? "+" : "") + std::to_string(row.size_percent) + "%";
  const std::array labels{model::MetricLabel{.name = "policy", .text = row.policy},
                          model::MetricLabel{.name = "size", .text = size}};
  const auto scope = sink.row(labels);
  sink.gauge("hit_tokens", static_cast<uint64_t>(row.hits.hit_tokens), "Would have been found");
  sink.ratio("hit_percent", row.hits.percent, "Of the tokens asked for");
  sink.ratio("error_points", row.hits.error_points, "Of the percent, for the sample's sake");
  sink.flag("now", present, "What the tier does at present");
}

void describe_advice(const PolicyAdvice& advice, model::MetricSink& sink) {
  const GhostReport::Window& window = advice.report.windows[advice.window];
  sink.text("tier", model::tier_name(advice.tier));
  sink.text("window", kWindowNames[advice.window]);
  sink.text("policy", advice.present);
  describe_totals(window.totals, sink);
  sink.ratio("sample", advice.report.near_rate, "Of conversations, at the tier's size");
  sink.ratio("other_sizes_sample", advice.report.far_rate, "Of conversations, at other sizes");
  std::vector<cache::GhostRow> rows = window.rows;
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.policy != b.policy ? a.policy < b.policy : a.size_percent < b.size_percent;
  });
  const auto list = sink.list({.key = "rows", .prefix = "advice"});
  for (const cache::GhostRow& row : rows) {
    describe_row(row, row.policy == advice.present && row.size_percent == 0, sink);
  }
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
    case PolicyAction::kAdvise:
      return advise(call, request);
    case PolicyAction::kSetCheckpoints:
      QUIRE_TRY(checkpoints_.set(call, request));
      break;
    case PolicyAction::kAdviseCheckpoints:
      return checkpoints_.advise(call, request);
    default:
      return make_error(Errc::kInvalidArgument,
                        "action must be 0 (show), 1 (set), 2 (advise), 3 (set checkpoints) or 4 "
                        "(advise checkpoints)");
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
  std::string before = rules.policy_of(name);
  if (policy == cache::kAutoName) {
    QUIRE_TRY(set_auto(name));
  } else {
    QUIRE_TRY(rules.set_policy(name, policy));
  }
  keep_state(*cache_, *clock_, *keeper_);
  call.changed(std::move(before), policy);
  return {};
}

model::Result<void> PolicyVerbs::set_auto(const cache::ScopeName& name) {
  if (ghosts_ == nullptr) return make_error(Errc::kNotFound, std::string(kNoGhosts));
  if (!name.domain.empty()) {
    return make_error(Errc::kInvalidArgument, "auto is for a whole tier; leave the domain out");
  }
  return cache_->rules().set_auto(name.tier, ghosts_->report(name.tier).best);
}

model::Result<void> PolicyVerbs::advise(const VerbCall& call, const model::PolicyRequest& request) {
  if (ghosts_ == nullptr) return make_error(Errc::kNotFound, std::string(kNoGhosts));
  if (request.window >= kGhostWindows.size()) {
    return make_error(Errc::kInvalidArgument, "no such window");
  }
  if (request.tier >= model::kTierCount || !cache_->board().is_open(TierId{request.tier})) {
    return make_error(Errc::kInvalidArgument, "this tier is not in use");
  }
  const auto tier = static_cast<TierId>(request.tier);
  PolicyAdvice advice{.tier = tier, .window = request.window, .report = ghosts_->report(tier)};
  cache_->board().for_each_scope([&](const cache::ScopeOrder& order) {
    if (order.tier == tier && advice.present.empty()) advice.present = order.policy;
  });
  desk_->answer(call.connection, call.type, call.sequence,
                [&](model::MetricSink& sink) { describe_advice(advice, sink); });
  return {};
}

void PolicyVerbs::describe(model::MetricSink& sink) const {
  bool switching = false;
  cache_->board().for_each_scope(
      [&](const cache::ScopeOrder& order) { switching = switching || order.switching; });
  sink.text("known", cache::policy_names() + (ghosts_ == nullptr ? "" : ", auto"));
  switching = switching || checkpoints_.is_telling();
  sink.flag("switching", switching, "Somewhere a new policy takes over still");
  describe_keeper(*keeper_, sink);
  const cache::NamespaceTable& names = cache_->names();
  checkpoints_.describe(sink);
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
    const bool follows = cache_->rules().follows(order.tier, owner);
    sink.text("policy",
              follows ? "auto (" + std::string(order.policy) + ")" : std::string(order.policy));
    sink.flag("switching", order.switching, "Some entries are still another policy's");
  });
}

}  // namespace quire::server
