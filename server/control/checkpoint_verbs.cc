#include "server/control/checkpoint_verbs.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "model/checkpoint_policy.h"
#include "server/control/kept_state.h"
#include "server/control/quota_verbs.h"

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

double percent_of(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

// What is known of less than a minute says little of an hour: as if it had been a minute.
uint64_t per_hour(uint64_t bytes, int64_t covered_us) {
  constexpr double kMinuteUs = 60e6;
  constexpr double kHourUs = 60 * kMinuteUs;
  const double hours = std::max(static_cast<double>(covered_us), kMinuteUs) / kHourUs;
  return static_cast<uint64_t>(static_cast<double>(bytes) / hours);
}

void describe_advised(const CheckpointPolicy& policy, const cache::CheckpointTotals::Row& row,
                      const CheckpointReport::Window& window, model::MetricSink& sink) {
  const std::string text = model::checkpoint_policy_text(policy);
  const std::array labels{model::MetricLabel{.name = "policy", .text = text}};
  const auto scope = sink.row(labels);
  sink.gauge("exact_tokens", row.exact_tokens, "Would have been resumed from");
  sink.ratio("exact_percent", percent_of(row.exact_tokens, window.totals.prompt_tokens),
             "Of the tokens asked for");
  sink.gauge("written_bytes", row.written_bytes, "Of checkpoints, would have been written");
  sink.gauge("written_bytes_per_hour", per_hour(row.written_bytes, window.covered_us),
             "The same an hour");
}

void describe_advice(const CheckpointReport::Window& window, model::MetricSink& sink) {
  const cache::CheckpointTotals& totals = window.totals;
  sink.gauge_us("covered_us", static_cast<uint64_t>(window.covered_us),
                "Of the window, what is over since the start");
  sink.gauge("prompts", totals.prompts, "Matches of layouts that have checkpoints");
  sink.gauge("prompt_tokens", totals.prompt_tokens, "Tokens asked for by these");
  sink.gauge("exact_tokens", totals.exact_tokens, "Of these, announced as exact hits");
  sink.ratio("exact_percent", percent_of(totals.exact_tokens, totals.prompt_tokens),
             "Of the tokens asked for");
  sink.gauge("written_bytes", totals.written_bytes, "Of checkpoints that were written");
  sink.gauge("written_bytes_per_hour", per_hour(totals.written_bytes, window.covered_us),
             "The same an hour");
  const auto list = sink.list({.key = "rows", .prefix = "checkpoint_advice"});
  const auto& policies = cache::CheckpointGhosts::policies();
  for (size_t i = 0; i < policies.size(); ++i) {
    describe_advised(policies[i], totals.rows[i], window, sink);
  }
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
  cache::CheckpointRules& rules = parts_.cache->checkpoint_rules();
  std::string before =
      model::checkpoint_policy_text(rules.policy_of(scope.domain, scope.tenant.value_or("")));
  QUIRE_TRY(rules.set(scope, policy));
  parts_.teller->begin();
  keep_state(*parts_.cache, *parts_.clock, *parts_.keeper);
  call.changed(std::move(before), model::checkpoint_policy_text(policy));
  return {};
}

Result<void> CheckpointVerbs::advise(const VerbCall& call,
                                     const model::PolicyRequest& request) const {
  if (parts_.ghosts == nullptr) return make_error(Errc::kNotFound, std::string(kNoGhosts));
  if (request.window >= kGhostWindows.size()) {
    return make_error(Errc::kInvalidArgument, "no such window");
  }
  const CheckpointReport report = parts_.ghosts->checkpoint_report();
  const CheckpointPolicy widest = parts_.cache->checkpoint_rules().widest();
  parts_.desk->answer(call.connection, call.type, call.sequence, [&](model::MetricSink& sink) {
    sink.text("window", kWindowNames[request.window]);
    sink.text("policy", model::checkpoint_policy_text(widest));
    describe_advice(report.windows[request.window], sink);
  });
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
