#include "server/status/top_rows.h"

#include <algorithm>
#include <array>

#include "cache/cache.h"
#include "server/rings/turn_meter.h"
#include "server/sessions/session_registry.h"

namespace quire::server {

using model::MetricLabel;
using model::TenantId;
using model::TierId;

bool TopTenants::step() {
  const cache::TenantTable& tenants = cache_->names().tenants();
  const uint32_t end = std::min(tenants.end_of_ids(), next_ + kLooksPerStep);
  for (; next_ < end; ++next_) {
    const TenantId id{next_};
    if (!tenants.in_use(id)) continue;
    ++count_;
    const TenantCounters* counters =
        totals_->find(id, cache_->names().domain_name(tenants.domain_of(id)), tenants.name_of(id));
    places_.push_back({counters == nullptr ? 0 : uint64_t{counters->prompt_tokens}, next_});
  }
  drop_all_but(kRows);
  if (next_ < tenants.end_of_ids()) return false;
  // In this turn, in which the ids are whose they were: at most so many.
  for (const Place& place : places_) {
    if (tenants.in_use(TenantId{place.id})) rows_.push_back(row_of(TenantId{place.id}));
  }
  rest_.counters = others();
  return true;
}

// What all turns came to, less what has a row, in the turn in which the rows are read.
TenantCounters TopTenants::others() const {
  TenantCounters rest;
  const auto set = [&](model::Counter TenantCounters::*field, uint64_t all) {
    for (const Row& row : rows_) all -= std::min<uint64_t>(row.counters.*field, all);
    rest.*field = all;
  };
  set(&TenantCounters::turns, all_->turns);
  set(&TenantCounters::prompt_tokens, all_->prompt_tokens);
  set(&TenantCounters::hit_tokens, all_->hit_tokens);
  set(&TenantCounters::missed_tokens, all_->missed_tokens);
  set(&TenantCounters::ram_tokens, all_->delivered_ram_tokens);
  set(&TenantCounters::ssd_tokens, all_->delivered_ssd_tokens);
  set(&TenantCounters::cluster_tokens, all_->delivered_cluster_tokens);
  set(&TenantCounters::written_bytes, all_->written_bytes);
  return rest;
}

// What the others hold is summed as they are looked at.
void TopTenants::drop_all_but(size_t count) {
  if (places_.size() <= count) return;
  const auto end = places_.begin() + static_cast<ptrdiff_t>(count);
  std::nth_element(places_.begin(), end, places_.end(), [](const Place& one, const Place& other) {
    return one.prompt_tokens > other.prompt_tokens;
  });
  const cache::TenantTable& tenants = cache_->names().tenants();
  for (auto place = end; place != places_.end(); ++place) {
    if (!tenants.in_use(TenantId{place->id})) continue;
    const Row row = row_of(TenantId{place->id});
    rest_.ram_bytes += row.ram_bytes;
    rest_.ssd_bytes += row.ssd_bytes;
  }
  places_.erase(end, places_.end());
}

TopTenants::Row TopTenants::row_of(TenantId id) const {
  const cache::TenantTable& tenants = cache_->names().tenants();
  const cache::AccountTable& accounts = cache_->store().presence().accounts();
  const model::DomainId domain = tenants.domain_of(id);
  Row row{.domain = cache_->names().domain_name(domain),
          .tenant = tenants.name_of(id),
          .ram_bytes = accounts.of(id, TierId::kRam).used_bytes,
          .ssd_bytes = accounts.of(id, TierId::kSsd).used_bytes};
  const TenantCounters* counters = totals_->find(id, row.domain, row.tenant);
  if (counters != nullptr) row.counters = *counters;
  return row;
}

void TopTenants::say_row(const Row& row, model::MetricSink& sink) {
  const std::array labels{MetricLabel{.name = "domain", .text = row.domain},
                          MetricLabel{.name = "tenant", .text = row.tenant}};
  const auto scope = sink.row(labels);
  model::describe(sink, row.counters);
  sink.gauge("ram_bytes", row.ram_bytes, "Bytes of pages in RAM whose hits it has");
  sink.gauge("ssd_bytes", row.ssd_bytes, "The same on SSD");
}

void TopTenants::say(model::MetricSink& sink) const {
  sink.gauge("tenants_total", count_, "Tenants that have a session, or content");
  const auto list = sink.list({.key = "tenants", .prefix = "tenant", .wide = true});
  for (const Row& row : rows_) say_row(row, sink);
  if (count_ > rows_.size() || rest_.counters.turns > 0) say_row(rest_, sink);
}

bool TopSessions::step() {
  const std::vector<Attachment*>& attachments = registry_->attachments();
  const size_t end = std::min(attachments.size(), next_ + kLooksPerStep);
  for (; next_ < end; ++next_) {
    const Session& session = attachments[next_]->session();
    const TurnRecord turn = session.turn.close();
    const bool enters = rows_.size() < kRows || turn.prompt_tokens > rows_.back().prompt_tokens;
    // One session may have several processes, and the list changes between two steps.
    const bool known = std::any_of(rows_.begin(), rows_.end(),
                                   [&](const Row& row) { return row.session == session.id.value; });
    if (!enters || known) continue;
    Row row{.session = session.id.value,
            .domain = cache_->names().domain_name(session.domain),
            .tenant = session.billing.payer,
            .namespace_name = session.namespace_name,
            .turn = turn.turn,
            .prompt_tokens = turn.prompt_tokens,
            .announced_tokens = turn.announced_tokens};
    const auto place = std::find_if(rows_.begin(), rows_.end(), [&](const Row& other) {
      return other.prompt_tokens < turn.prompt_tokens;
    });
    rows_.insert(place, std::move(row));
    if (rows_.size() > kRows) rows_.pop_back();
  }
  return next_ >= attachments.size();
}

// For people alone: a label of a session would be a new series each time that one is opened.
void TopSessions::say(model::MetricSink& sink) const {
  const auto list = sink.list({.key = "sessions", .prefix = nullptr});
  for (const Row& row : rows_) {
    const std::array labels{MetricLabel{.name = "session", .number = row.session},
                            MetricLabel{.name = "domain", .text = row.domain},
                            MetricLabel{.name = "tenant", .text = row.tenant},
                            MetricLabel{.name = "namespace", .text = row.namespace_name}};
    const auto scope = sink.row(labels);
    sink.gauge("turn", row.turn, "Of the session");
    sink.gauge("prompt_tokens", row.prompt_tokens, "Of its present prompt");
    sink.gauge("announced_tokens", row.announced_tokens, "Of these, announced as a hit");
  }
}

}  // namespace quire::server
