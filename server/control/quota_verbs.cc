#include "server/control/quota_verbs.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "model/clean_text.h"
#include "server/control/kept_state.h"

namespace quire::server {

using cache::Quota;
using cache::ScopeName;
using model::Errc;
using model::make_error;
using model::QuotaAction;
using model::Result;

namespace {

// "1048576..none": guaranteed and burst of the rule that names exactly this, " weight 4" behind
// them where it is not 1; "none" without a rule.
std::string quota_text(const cache::ScopeRules& rules, const ScopeName& name) {
  const auto rule = rules.all().find(name);
  const auto quota = rule == rules.all().end() ? std::nullopt : rule->second.quota();
  if (!quota) return "none";
  return std::to_string(quota->guaranteed_bytes) + ".." +
         (quota->burst_bytes == UINT64_MAX ? "none" : std::to_string(quota->burst_bytes)) +
         (quota->weight == Quota{}.weight ? "" : " weight " + std::to_string(quota->weight));
}

}  // namespace

Result<ScopeName> scope_name(uint8_t tier, const model::WireName& domain, bool of_tenant,
                             const model::WireName& tenant) {
  if (tier >= model::kTierCount) return make_error(Errc::kInvalidArgument, "no such tier");
  ScopeName name{.tier = static_cast<model::TierId>(tier),
                 .domain = std::string(QUIRE_TRY(model::from_wire_name(domain))),
                 .tenant = std::nullopt};
  QUIRE_TRY(model::check_clean_text(name.domain, "domain"));
  if (!name.domain.empty()) QUIRE_TRY(uid_of_domain(name.domain));
  if (!of_tenant) return name;
  name.tenant = std::string(QUIRE_TRY(model::from_wire_name(tenant)));
  QUIRE_TRY(model::check_clean_text(*name.tenant, "tenant"));
  if (!name.domain.empty()) return name;
  return make_error(Errc::kInvalidArgument, "a tenant belongs to a user: name its domain, uid:N");
}

Result<uint32_t> uid_of_domain(std::string_view domain) {
  constexpr std::string_view kUserPrefix = "uid:";
  uint32_t uid = 0;
  const char* end = domain.data() + domain.size();
  if (domain.starts_with(kUserPrefix)) {
    const auto read = std::from_chars(domain.data() + kUserPrefix.size(), end, uid);
    const bool is_number = read.ec == std::errc() && read.ptr == end;
    // As it is written everywhere else: one with zeros before it would name nobody.
    if (is_number && domain.substr(kUserPrefix.size()) == std::to_string(uid)) return uid;
  }
  return make_error(Errc::kInvalidArgument, "a domain is a user: name it uid:N");
}

std::string scope_text(const ScopeName& name) {
  std::string text = "tier=" + std::string(model::tier_name(name.tier)) +
                     " domain=" + (name.domain.empty() ? "*" : name.domain);
  if (name.tenant) text += " tenant=\"" + *name.tenant + '"';
  return text;
}

void describe_keeper(const StateKeeper& keeper, model::MetricSink& sink) {
  sink.text("state_file", keeper.path());
  sink.flag("saving", !keeper.is_kept(), "A change is not on disk yet");
  sink.text("not_saved", keeper.error());
}

Result<void> QuotaVerbs::quota(const VerbCall& call) {
  const auto request = QUIRE_TRY(model::read_struct<model::QuotaRequest>(call.payload));
  switch (static_cast<QuotaAction>(request.action)) {
    case QuotaAction::kShow:
      break;
    case QuotaAction::kSet:
    case QuotaAction::kClear:
      QUIRE_TRY(change(call, request));
      break;
    default:
      return make_error(Errc::kInvalidArgument, "action must be 0 (show), 1 (set) or 2 (clear)");
  }
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { describe(sink); });
  return {};
}

Result<void> QuotaVerbs::change(const VerbCall& call, const model::QuotaRequest& request) {
  const ScopeName name =
      QUIRE_TRY(scope_name(request.tier, request.domain, request.of_tenant == 1, request.tenant));
  cache::ScopeRules& rules = parts_.cache->rules();
  std::optional<Quota> quota;
  if (static_cast<QuotaAction>(request.action) == QuotaAction::kSet) {
    quota = {.guaranteed_bytes = request.guaranteed_bytes,
             .burst_bytes = request.burst_bytes,
             .weight = static_cast<uint32_t>(std::min<uint64_t>(request.weight, UINT32_MAX))};
  }
  std::string before = quota_text(rules, name);
  QUIRE_TRY(rules.set_quota(name, quota));
  keep_state(*parts_.cache, *parts_.clock, *parts_.keeper);
  call.changed(std::move(before), quota_text(rules, name));
  return {};
}

void QuotaVerbs::describe(model::MetricSink& sink) const {
  describe_keeper(*parts_.keeper, sink);
  const auto list = sink.list({.key = "quotas", .prefix = "quota"});
  for (const auto& [name, rule] : parts_.cache->rules().all()) {
    const std::optional<Quota> quota = rule.quota();
    if (!quota) continue;
    const std::array labels{
        model::MetricLabel{.name = "tier", .text = model::tier_name(name.tier)},
        model::MetricLabel{.name = "domain", .text = name.domain},
        model::MetricLabel{.name = "tenant",
                           .text = name.tenant ? std::string_view(*name.tenant) : "*"}};
    const auto row = sink.row(labels);
    const auto owner = parts_.cache->rules().owner_of(name);
    sink.gauge("held_bytes", owner ? parts_.cache->quotas().held_bytes(name.tier, *owner) : 0,
               "Bytes that it holds there");
    sink.gauge("guaranteed_bytes", quota->guaranteed_bytes,
               "Bytes that nobody else's need takes from it");
    if (quota->burst_bytes != UINT64_MAX) {
      sink.gauge("burst_bytes", quota->burst_bytes, "The most that it may hold");
    }
    sink.gauge("weight", quota->weight, "Its part where several read from the tier at once");
    sink.text("set_by", rule.set_quota ? "quirectl" : "quota_file");
  }
}

}  // namespace quire::server
