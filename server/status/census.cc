#include "server/status/census.h"

#include <algorithm>
#include <array>

namespace quire::server {

using model::kMaxMetricRows;
using model::MetricLabel;
using model::TenantId;
using model::TierId;

namespace {

constexpr int64_t kNsPerIdleMs = 1'000'000;

void say_turn(const Session& session, model::MetricSink& sink) {
  const TurnRecord turn = session.turn.close();
  sink.gauge("turns", turn.turn, "Requests so far");
  sink.gauge("prompt_tokens", turn.prompt_tokens, "Of the present turn");
  sink.gauge("hit_tokens", turn.hit_tokens, "Of these, what the engine resumed from");
  sink.gauge("announced_tokens", turn.announced_tokens, "Of these, announced as an exact hit");
  sink.gauge("output_tokens", turn.output_tokens, "Of its answer so far");
}

}  // namespace

bool SessionCensus::step() {
  const std::vector<Attachment*>& attachments = registry_->attachments();
  const size_t end = std::min(attachments.size(), next_ + kLooksPerStep);
  for (; next_ < end; ++next_) {
    part_ == Part::kChoose ? choose(*attachments[next_]) : add_up(*attachments[next_]);
  }
  if (part_ == Part::kChoose) keep_latest();
  if (next_ < attachments.size()) return false;
  if (part_ == Part::kAddUp) return true;
  part_ = Part::kAddUp;
  next_ = 0;
  return false;
}

// One that has asked for nothing yet was active when it was opened: now, as far as is known.
void SessionCensus::choose(Attachment& attachment) {
  const int64_t active_ns =
      attachment.last_active_ns == 0 ? clock_->now_ns() : attachment.last_active_ns;
  const uint64_t session = attachment.session().id.value;
  const auto [known, added] = row_of_.try_emplace(session, rows_.size());
  if (added) rows_.push_back({.session = session});
  Row& row = rows_[known->second];
  row.last_active_ns = std::max(row.last_active_ns, active_ns);
}

void SessionCensus::add_up(Attachment& attachment) {
  const auto known = row_of_.find(attachment.session().id.value);
  if (known == row_of_.end()) return;
  Row& row = rows_[known->second];
  row.leases += attachment.leases.lease_count;
  row.shared_bytes += attachment.lane().shape().total_bytes();
}

// The latest first, and of those of one time the oldest session.
void SessionCensus::keep_latest() {
  std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return std::pair(-a.last_active_ns, a.session) < std::pair(-b.last_active_ns, b.session);
  });
  if (rows_.size() > kMaxMetricRows) rows_.resize(kMaxMetricRows);
  row_of_.clear();
  for (size_t i = 0; i < rows_.size(); ++i) row_of_.emplace(rows_[i].session, i);
}

void SessionCensus::say(model::MetricSink& sink) const {
  const int64_t now_ns = clock_->now_ns();
  sink.gauge("sessions_total", registry_->session_count(), "Open sessions");
  const auto list = sink.list({.key = "sessions", .prefix = "session"});
  for (const Row& facts : rows_) {
    const Session* session = registry_->find(facts.session);
    if (session == nullptr) continue;  // it ended meanwhile
    const std::array labels{
        MetricLabel{.name = "session", .text = {}, .number = facts.session},
        MetricLabel{.name = "domain", .text = cache_->names().domain_name(session->domain)},
        MetricLabel{.name = "tenant", .text = session->billing.payer},
        MetricLabel{.name = "namespace", .text = session->namespace_name}};
    const auto row = sink.row(labels);
    sink.gauge("processes", session->member_count, "Attached to it");
    const int64_t idle_ns = std::max<int64_t>(0, now_ns - facts.last_active_ns);
    sink.gauge("idle_ms", static_cast<uint64_t>(idle_ns / kNsPerIdleMs), "Since its last request");
    say_turn(*session, sink);
    sink.gauge("leases", facts.leases, "What its processes keep from leaving");
    sink.gauge("shared_bytes", facts.shared_bytes, "Rings, hashes and page descriptors");
  }
}

bool TenantCensus::step() {
  const cache::TenantTable& tenants = cache_->names().tenants();
  const cache::AccountTable& accounts = cache_->store().presence().accounts();
  const uint32_t end = std::min(tenants.end_of_ids(), next_ + kLooksPerStep);
  for (; next_ < end; ++next_) {
    const TenantId tenant{next_};
    if (!tenants.in_use(tenant)) continue;
    ++count_;
    Place& place = places_.emplace_back(Place{.tenant = tenant});
    for (const TierId tier : model::kTiers) {
      place.held_bytes += accounts.of(tenant, tier).used_bytes;
    }
  }
  keep_largest();
  return next_ >= tenants.end_of_ids();
}

void TenantCensus::keep_largest() {
  std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
    return a.held_bytes != b.held_bytes ? a.held_bytes > b.held_bytes
                                        : a.tenant.value < b.tenant.value;
  });
  if (places_.size() > kMaxMetricRows) places_.resize(kMaxMetricRows);
}

void TenantCensus::say(model::MetricSink& sink) const {
  const cache::TenantTable& tenants = cache_->names().tenants();
  const cache::AccountTable& accounts = cache_->store().presence().accounts();
  sink.gauge("tenants_total", count_, "Tenants that have content or sessions");
  const auto list = sink.list({.key = "tenants", .prefix = "tenant"});
  for (const auto& [tenant, held_bytes] : places_) {
    if (!tenants.in_use(tenant)) continue;  // it is gone
    const std::array labels{
        MetricLabel{.name = "domain",
                    .text = cache_->names().domain_name(tenants.domain_of(tenant))},
        MetricLabel{.name = "tenant", .text = tenants.name_of(tenant)}};
    const auto row = sink.row(labels);
    sink.gauge("sessions", registry_->sessions_paid_by(tenant), "Open, for which it pays");
    const cache::Account& ram = accounts.of(tenant, TierId::kRam);
    sink.gauge("ram_bytes", ram.used_bytes, "Of pages in RAM, true size");
    sink.gauge("ram_reserved_bytes", ram.reserved_bytes, "Kept for what is not visible yet");
    sink.gauge("ram_admitted_bytes", ram.admitted_bytes, "What its sessions may count on");
    sink.gauge("ssd_bytes", accounts.of(tenant, TierId::kSsd).used_bytes,
               "Of pages on SSD, true size");
  }
}

}  // namespace quire::server
