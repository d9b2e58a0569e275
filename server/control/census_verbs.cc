#include "server/control/census_verbs.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

namespace quire::server {

using model::MetricLabel;
using model::TenantId;
using model::TierId;

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

// What a session's processes together do and hold.
struct SessionFacts {
  int64_t last_active_ns = 0;
  uint64_t leases = 0;
  uint64_t shared_bytes = 0;
};
using FactsBySession = std::unordered_map<const Session*, SessionFacts>;

// One that has asked for nothing yet was active when it was opened: now, as far as is known.
FactsBySession gather(const SessionRegistry& registry, int64_t now_ns) {
  FactsBySession found;
  for (Attachment* attachment : registry.attachments()) {
    SessionFacts& facts = found[&attachment->session()];
    const int64_t active_ns = attachment->last_active_ns == 0 ? now_ns : attachment->last_active_ns;
    facts.last_active_ns = std::max(facts.last_active_ns, active_ns);
    facts.leases += attachment->leases.lease_count;
    facts.shared_bytes += attachment->shape().total_bytes();
  }
  return found;
}

// The first so many of them, in order; the others in none.
template <typename Row, typename Before>
void keep_first(std::vector<Row>& rows, Before before) {
  const size_t kept = std::min(rows.size(), model::kMaxMetricRows);
  std::partial_sort(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(kept), rows.end(), before);
  rows.resize(kept);
}

void describe_turn(const Session& session, model::MetricSink& sink) {
  const TurnRecord turn = session.turn.close();
  sink.gauge("turns", turn.turn, "Requests so far");
  sink.gauge("prompt_tokens", turn.prompt_tokens, "Of the present turn");
  sink.gauge("hit_tokens", turn.hit_tokens, "Of these, what the engine resumed from");
  sink.gauge("announced_tokens", turn.announced_tokens, "Of these, announced as an exact hit");
  sink.gauge("output_tokens", turn.output_tokens, "Of its answer so far");
}

struct TenantRow {
  TenantId tenant;
  uint64_t held_bytes = 0;
};

}  // namespace

model::Result<void> CensusVerbs::sessions(const VerbCall& call) {
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { describe_sessions(sink); });
  return {};
}

model::Result<void> CensusVerbs::tenants(const VerbCall& call) {
  parts_.desk->answer(call.connection, call.type, call.sequence,
                      [this](model::MetricSink& sink) { describe_tenants(sink); });
  return {};
}

void CensusVerbs::describe_sessions(model::MetricSink& sink) const {
  const int64_t now_ns = parts_.clock->now_ns();
  const FactsBySession found = gather(*parts_.registry, now_ns);
  std::vector<std::pair<const Session*, SessionFacts>> rows(found.begin(), found.end());
  keep_first(rows, [](const auto& a, const auto& b) {
    return std::pair(-a.second.last_active_ns, a.first->id.value) <
           std::pair(-b.second.last_active_ns, b.first->id.value);
  });
  sink.gauge("sessions_total", found.size(), "Sessions that processes are attached to");
  const auto list = sink.list({.key = "sessions", .prefix = "session"});
  for (const auto& [session, facts] : rows) {
    const std::array labels{
        MetricLabel{.name = "session", .text = {}, .number = session->id.value},
        MetricLabel{.name = "domain", .text = parts_.cache->names().domain_name(session->domain)},
        MetricLabel{.name = "tenant", .text = session->billing.payer},
        MetricLabel{.name = "namespace", .text = session->namespace_name}};
    const auto row = sink.row(labels);
    sink.gauge("processes", session->member_count, "Attached to it");
    const int64_t idle_ns = std::max<int64_t>(0, now_ns - facts.last_active_ns);
    sink.gauge("idle_ms", static_cast<uint64_t>(idle_ns / kNsPerMs), "Since its last request");
    describe_turn(*session, sink);
    sink.gauge("leases", facts.leases, "What its processes keep from leaving");
    sink.gauge("shared_bytes", facts.shared_bytes, "Rings and staging");
  }
}

void CensusVerbs::describe_tenants(model::MetricSink& sink) const {
  const cache::TenantTable& tenants = parts_.cache->names().tenants();
  const cache::AccountTable& accounts = parts_.cache->store().presence().accounts();
  std::unordered_map<uint32_t, uint64_t> sessions;  // by who pays
  parts_.registry->for_each_session(
      [&](const Session& session) { ++sessions[session.cached.payer.value]; });
  std::vector<TenantRow> rows;
  for (uint32_t id = 0; id < tenants.end_of_ids(); ++id) {
    const TenantId tenant{id};
    if (!tenants.in_use(tenant)) continue;
    TenantRow& row = rows.emplace_back(TenantRow{.tenant = tenant});
    for (const TierId tier : model::kTiers) row.held_bytes += accounts.of(tenant, tier).used_bytes;
  }
  sink.gauge("tenants_total", rows.size(), "Tenants that have content or sessions");
  keep_first(rows, [](const TenantRow& a, const TenantRow& b) {
    return a.held_bytes != b.held_bytes ? a.held_bytes > b.held_bytes
                                        : a.tenant.value < b.tenant.value;
  });
  const auto list = sink.list({.key = "tenants", .prefix = "tenant"});
  for (const TenantRow& one : rows) {
    const std::array labels{
        MetricLabel{.name = "domain",
                    .text = parts_.cache->names().domain_name(tenants.domain_of(one.tenant))},
        MetricLabel{.name = "tenant", .text = tenants.name_of(one.tenant)}};
    const auto row = sink.row(labels);
    const auto count = sessions.find(one.tenant.value);
    sink.gauge("sessions", count == sessions.end() ? 0 : count->second, "Open, for which it pays");
    const cache::Account& ram = accounts.of(one.tenant, TierId::kRam);
    sink.gauge("ram_bytes", ram.used_bytes, "Of pages in RAM, true size");
    sink.gauge("ram_reserved_bytes", ram.reserved_bytes, "Kept for what is not visible yet");
    sink.gauge("ram_admitted_bytes", ram.admitted_bytes, "What its sessions may count on");
    sink.gauge("ssd_bytes", accounts.of(one.tenant, TierId::kSsd).used_bytes,
               "Of pages on SSD, true size");
  }
}

}  // namespace quire::server
