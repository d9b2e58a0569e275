#include "server/control/content_verbs.h"

#include <algorithm>
#include <string>

#include "model/clean_text.h"
#include "server/control/quota_verbs.h"
#include "server/start/options.h"

namespace quire::server {

using cache::ContentScope;
using model::Errc;
using model::EvictAction;
using model::make_error;
using model::Result;

namespace {

constexpr uint64_t kUsInSecond = 1'000'000;

Result<ContentScope> content_scope(const model::EvictRequest& request) {
  cache::ScopeName name =
      QUIRE_TRY(scope_name(request.tier, request.domain, request.of_tenant == 1, request.tenant));
  ContentScope scope{.tier = name.tier,
                     .domain = std::move(name.domain),
                     .tenant = std::move(name.tenant),
                     .namespace_name = std::nullopt,
                     .unused_us = request.unused_us};
  if (request.of_namespace != 1) return scope;
  scope.namespace_name = std::string(QUIRE_TRY(model::from_wire_name(request.namespace_name)));
  QUIRE_TRY(model::check_clean_text(*scope.namespace_name, "namespace"));
  return scope;
}

}  // namespace

Result<void> ContentVerbs::evict(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::EvictRequest>(call.payload));
  switch (static_cast<EvictAction>(request.action)) {
    case EvictAction::kNext:
      evict_next(call, request.count);
      return {};
    case EvictAction::kPlan:
    case EvictAction::kGo:
      QUIRE_TRY(start_sweep(request));
      break;
    case EvictAction::kShow:
      break;
    default:
      return make_error(Errc::kInvalidArgument,
                        "action must be 0 (next), 1 (plan), 2 (go) or 3 (show)");
  }
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { describe_sweep(sink); });
  return {};
}

Result<void> ContentVerbs::flush(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::FlushRequest>(call.payload));
  if (parts_.tiers == nullptr || parts_.tiers->members().empty()) {
    return make_error(Errc::kNotFound, std::string(kNoLowerTier));
  }
  switch (static_cast<model::FlushAction>(request.action)) {
    case model::FlushAction::kShow:
      break;
    case model::FlushAction::kStart:
      QUIRE_TRY(parts_.tiers->flush());
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show) or 1 (start)");
  }
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { parts_.tiers->describe_flush(sink); });
  return {};
}

void ContentVerbs::evict_next(const VerbCall& call, uint64_t count) {
  // 0 = all that may go: in steps, like any other number beyond the bound.
  const uint64_t wanted = count == 0 ? model::kMaxEvictedPerFrame : count;
  model::EvictReply reply;
  reply.evicted = parts_.cache->evictor().evict(std::min(wanted, model::kMaxEvictedPerFrame));
  call.reply(model::struct_bytes(reply));
}

Result<void> ContentVerbs::start_sweep(const model::EvictRequest& request) {
  const ContentScope scope = QUIRE_TRY(content_scope(request));
  // What matches nothing is no error; a slip in a command is.
  if (!scope.domain.empty() && !parts_.cache->rules().find_domain(scope.domain)) {
    return make_error(Errc::kNotFound,
                      "no domain " + scope.domain + "; quirectl policy show lists them");
  }
  const bool go = static_cast<EvictAction>(request.action) == EvictAction::kGo;
  QUIRE_TRY(parts_.cache->sweep().start(scope, go));
  return {};
}

void ContentVerbs::describe_sweep(model::MetricSink& sink) const {
  const cache::ContentSweep& sweep = parts_.cache->sweep();
  const ContentScope& scope = sweep.scope();
  sink.flag("running", sweep.is_running(), "It is being looked at, or goes, still");
  sink.flag("dry_run", !sweep.goes(), "Nothing goes: it is only told what would");
  sink.text("tier", model::tier_name(scope.tier));
  sink.text("domain", scope.domain.empty() ? "*" : scope.domain);
  sink.text("tenant", scope.tenant ? std::string_view(*scope.tenant) : "*");
  sink.text("namespace", scope.namespace_name ? std::string_view(*scope.namespace_name) : "*");
  sink.gauge("unused_seconds", scope.unused_us / kUsInSecond, "Not used for so long");
  model::describe(sink, sweep.counts());
}

}  // namespace quire::server
