#include "server/status/status.h"

#include <algorithm>

#include "model/socket_verbs.h"
#include "server/events/event_feed.h"
#include "server/metering/ledger.h"
#include "server/rings/dispatcher.h"
#include "server/runtime/log.h"
#include "server/runtime/region_maker.h"
#include "server/sessions/closing_lines.h"
#include "server/sessions/connection_table.h"
#include "server/sessions/segment_share.h"
#include "server/sessions/session_registry.h"

namespace quire::server {

using model::kMaxMetricRows;
using model::MetricFamily;
using model::MetricLabel;
using model::MetricSink;
using model::MetricState;

namespace {

constexpr const char* kLedgerStateHelp = "Whether receipts are kept: 0 ok, 1 failed, 2 off";

constexpr std::string_view kLedgerAction =
    "mend what the reason says; the daemon serves meanwhile, and tries again by itself";
constexpr std::string_view kMemoryAction =
    "make room as the reason says, or start with less --ram_bytes; it is tried again by itself";

// "degraded" when any tier is; the tier says why.
void say_state(const StatusSources& sources, MetricSink& sink) {
  const bool ram = sources.supply->status().failure.empty();
  const bool below = sources.tiers == nullptr || sources.tiers->is_whole();
  const bool receipts = sources.ledger == nullptr || sources.ledger->status().ok;
  const bool ok = ram && below && receipts && sources.missing.empty();
  sink.state("state", ok ? MetricState{"ok", 0} : MetricState{"degraded", 1},
             "Whether every tier does what it should, and receipts are kept: 0 ok, 1 degraded");
  sink.gauge("daemon_epoch", sources.daemon_epoch, "Of this start: handles of others are misses");
}

// A 1 with what it is of as labels, as the conventions of Prometheus have it.
void say_build(const StatusSources& sources, MetricSink& sink) {
  sink.gauge_us("started_us", static_cast<uint64_t>(sources.started_us), "Unix time of this start");
  const auto list = sink.list({.key = "build", .prefix = "build"});
  const std::array<MetricLabel, 2> labels{
      {{.name = "version", .text = QUIRE_VERSION},
       {.name = "protocol", .number = model::kProtocolVersion}}};
  const auto row = sink.row(labels);
  sink.flag("info", true, "Of this daemon");
}

// Who is connected, and what became of those who were.
void say_clients(const StatusSources& sources, MetricSink& sink) {
  const auto section = sink.section("clients");
  sink.gauge("connected", sources.connections->size(), "Connections open");
  model::describe(sink, *sources.clients);
  sink.counter("reaped", sources.clients->clients_left + sources.clients->clients_ended,
               "Clients that were cleaned up after", {MetricFamily::kDocument});
  sources.registry->describe(sink);
}

void say_memory(const StatusSources& sources, MetricSink& sink) {
  const allocator::SupplyStatus supply = sources.supply->status();
  const auto section = sink.section("memory");
  sink.gauge("budget_bytes", sources.options->ram_bytes, "What pages may take: --ram_bytes",
             {MetricFamily::kDocument});
  sink.gauge("segment_bytes", sources.options->segment_bytes, "Of each segment");
  model::describe(sink, static_cast<const allocator::SupplyFigures&>(supply));
  sink.gauge("segments_retiring", sources.segments->retiring_count(),
             "Segments that clients are still to unmap");
  sink.text("huge_pages_asked", allocator::huge_pages_name(sources.options->huge_pages));
  sink.text("failure", supply.failure);
  sink.gauge("table_bytes", sources.cache->table_bytes(), "Tables of the cache");
  sink.gauge("session_shared_bytes", sources.registry->shared_bytes(),
             "Memory that sessions share with their clients");
  sink.gauge("session_kept_bytes", sources.registry->kept_bytes(),
             "Of these, what clients commit from, or keep for their next sessions");
  sink.gauge("session_kept_descriptors", sources.registry->kept_descriptors(),
             "Descriptors of what clients keep for their next sessions");
}

// Its size stands under "memory", for that is shared out to domains; here is what it holds.
void say_ram_tier(const StatusSources& sources, MetricSink& sink) {
  const std::string failure = sources.supply->status().failure;
  const auto row = sink.row({.name = "tier", .text = "ram"});
  // What is there is served; what is new may find no room.
  sink.state("state", failure.empty() ? MetricState{"ok", 0} : MetricState{"degraded", 1},
             tiering::kTierStateHelp);
  sink.text("reason", failure);
  sink.text("action", failure.empty() ? "" : kMemoryAction);
  const cache::ObjectStore& store = sources.cache->store();
  sink.gauge("capacity_bytes", sources.options->ram_bytes, "What the operator allows");
  sink.gauge("used_bytes", store.presence().accounts().of(model::TierId::kRam).used_bytes,
             "Pages of what can be hit, true size");
  model::describe(sink, store.presence().counts(model::TierId::kRam));
  model::describe(sink, static_cast<const cache::RamCounters&>(store.counters()));
  const auto section = sink.section("verify");
  model::describe(sink, sources.dispatcher->memory_check().status());
}

// Where receipts are kept, and which of them are not there.
void say_ledger(const Ledger* ledger, MetricSink& sink) {
  const auto section = sink.section("ledger");
  if (ledger == nullptr) {
    return sink.state("state", {"off", 2}, kLedgerStateHelp);
  }
  const LedgerStatus status = ledger->status();
  sink.state("state", status.ok ? MetricState{"ok", 0} : MetricState{"failed", 1},
             kLedgerStateHelp);
  sink.text("reason", status.reason);
  sink.text("action", status.ok ? "" : kLedgerAction);
  sink.gauge("epoch", status.head.position.epoch, "Of the last entry: a start each");
  sink.gauge("sequence", status.head.position.sequence, "Of the last entry, in its epoch");
  sink.text("head", model::to_text(status.head.hash));
  sink.gauge_us("durable_us", static_cast<uint64_t>(status.durable_us),
                "Unix time: all that ended before is on the device", {MetricFamily::kDocument});
  const int64_t lag_us = std::max<int64_t>(ledger->wall_us() - status.durable_us, 0);
  sink.gauge_us("lag_us", static_cast<uint64_t>(lag_us), "How long ago that is",
                {MetricFamily::kMeterExportLag});
  sink.gauge("waiting", status.waiting, "Entries that are not durable yet",
             {MetricFamily::kMeterPendingRecords});
  sink.counter("lost_receipts", status.lost, "Receipts for which there was no room");
  sink.gauge("block_bytes", status.block_bytes, "Bytes of the ledger's entries; --ledger_bytes");
  sink.gauge("recovered_turns", status.start.recovered_turns,
             "Turns that the end before this start cut short, and that have receipts");
  sink.gauge_us("unknown_from_us", static_cast<uint64_t>(status.start.unknown_from_us),
                "Unix time: turns that ended from here ...");
  sink.gauge_us("unknown_to_us", static_cast<uint64_t>(status.start.unknown_to_us),
                "... to here may be missing, for the daemon died; equal: none are");
  sink.gauge("missing_writes", status.missing_writes,
             "Changes that the database held once and does not hold");
  sink.counter("device_bytes", status.bytes_written, "Bytes written to its files");
}

// One was asked for, and could not be had at start.
void say_missing(const MissingTier& tier, MetricSink& sink) {
  const auto row = sink.row({.name = "tier", .text = tier.name});
  sink.state("state", metric_state(tiering::TierMode::kOff), tiering::kTierStateHelp);
  sink.text("reason", tier.reason);
  sink.text("action", "stop, do what the reason says or replace the device, then start");
}

void say_tiers(const StatusSources& sources, MetricSink& sink) {
  const auto list = sink.list({.key = "tiers", .prefix = "tier"});
  say_ram_tier(sources, sink);
  if (sources.tiers != nullptr) sources.tiers->describe(sink);
  for (const MissingTier& tier : sources.missing) say_missing(tier, sink);
}

// A row: what the domain's memory holds, however many users look at it.
void say_domain(const StatusSources& sources, model::DomainId id, MetricSink& sink) {
  const auto row = sink.row({.name = "domain", .text = sources.cache->names().domain_name(id)});
  model::describe(sink, sources.cache->store().pool().usage(id));
  sink.gauge("roots", sources.cache->names().root_count(id), "Roots of the domain's prefix trees");
  sink.gauge("roots_max", cache::kMaxRootsPerDomain, "Roots that it may have at most");
  sink.gauge("path_bytes", sources.cache->store().presence().accounts().path_bytes(id),
             "RAM that what its clients hold could keep at most");
  const cache::Reservations& reservations = sources.cache->reservations();
  sink.gauge("admitted_bytes", reservations.admitted_bytes(id), "RAM that its sessions reserved");
  sink.gauge("unspent_bytes", reservations.unspent_bytes(id),
             "Of that, what they do not hold now: nobody else's");
  sink.gauge("sessions_queued", reservations.queued_count(id),
             "Sessions that wait for what they reserve",
             {MetricFamily::kQueueDepth, R"(queue="sessions")"});
}

// Threads beside the core: what each was given and has not yet done.
void say_off_core(const StatusSources& sources, MetricSink& sink) {
  const auto section = sink.section("off_core");
  const ClosingLines::Depths closing = sources.closing->depths();
  sink.gauge("sockets", closing.sockets, "Sockets to be closed",
             {MetricFamily::kQueueDepth, R"(queue="sockets")"});
  sink.gauge("sockets_with_descriptors", closing.sockets_with_descriptors,
             "Sockets to be closed in which descriptors may wait",
             {MetricFamily::kQueueDepth, R"(queue="sockets_with_descriptors")"});
  sink.gauge("session_memory", closing.sessions, "Sessions whose memory is to be freed",
             {MetricFamily::kQueueDepth, R"(queue="session_memory")"});
  sink.gauge("session_making", sources.maker->open_count(), "Sessions whose memory is being made",
             {MetricFamily::kQueueDepth, R"(queue="session_making")"});
}

// Of the rings and of the socket: their names differ.
void say_verbs(const StatusSources& sources, MetricSink& sink) {
  const auto list = sink.list({.key = "verbs", .prefix = "request", .by_label = true});
  sources.dispatcher->describe_times(sink);
  if (sources.verb_times == nullptr) return;
  for (size_t i = 0; i < model::kSocketVerbs.size(); ++i) {
    describe_time(model::kSocketVerbs[i].name, sources.verb_times->of(i), sink);
  }
}

std::string_view kind_name(model::GroupKind kind) {
  switch (kind) {
    case model::GroupKind::kAppend:
      return "append";
    case model::GroupKind::kWindow:
      return "window";
    case model::GroupKind::kState:
      return "state";
  }
  return "unknown";
}

}  // namespace

WholeStatus::WholeStatus(const StatusSources* sources, MetricSink* sink)
    : sources_(sources),
      sink_(sink),
      tenants_(sources->cache, &sources->dispatcher->tenant_totals(),
               &sources->dispatcher->turn_totals()),
      sessions_(sources->cache, sources->registry) {}

// One stage a step, in the order of the document; those that choose take as many as they need.
bool WholeStatus::step() {
  switch (stage_) {
    case Stage::kHead:
      say_head();
      break;
    case Stage::kDomains:
      say_domains();
      break;
    case Stage::kChooseGroups:
      if (!choose_groups()) return false;
      break;
    case Stage::kGroups:
      say_groups();
      break;
    case Stage::kUsers:
      say_users();
      break;
    case Stage::kChooseTenants:
      if (!tenants_.step()) return false;
      break;
    case Stage::kTenants:
      tenants_.say(*sink_);
      break;
    case Stage::kChooseSessions:
      if (!sessions_.step()) return false;
      break;
    case Stage::kSessions:
      sessions_.say(*sink_);
      break;
    case Stage::kEnd:
      say_end();
      return true;
  }
  stage_ = static_cast<Stage>(static_cast<uint8_t>(stage_) + 1);
  return false;
}

void WholeStatus::say_head() {
  sink_->text("schema", "quire.status.v1");
  sink_->text("scope", "all");
  say_state(*sources_, *sink_);
  say_build(*sources_, *sink_);
  say_clients(*sources_, *sink_);
  say_memory(*sources_, *sink_);
  say_tiers(*sources_, *sink_);
}

void WholeStatus::say_domains() {
  static_assert(cache::kMaxDomains <= kMaxMetricRows);
  {
    const auto list = sink_->list({.key = "domains", .prefix = "domain"});
    for (uint16_t d = 0; d < sources_->cache->names().domain_count(); ++d) {
      say_domain(*sources_, model::DomainId{d}, *sink_);
    }
  }
  const auto section = sink_->section("cache");
  sources_->cache->describe(*sink_);
}

// Some layouts' groups; true when there are no more. Those that hold nothing are left out when
// there are more than rows.
bool WholeStatus::choose_groups() {
  const cache::LayoutTable& layouts = sources_->cache->layouts();
  const uint32_t end =
      std::min<uint32_t>(static_cast<uint32_t>(layouts.size()), next_layout_ + kLayoutsPerStep);
  for (; next_layout_ < end; ++next_layout_) {
    const model::LayoutId id{next_layout_};
    const size_t count = layouts.find(id)->layout.groups.size();
    group_count_ += count;
    for (model::GroupIndex g = 0; g < count; ++g) {
      const bool holds = sources_->cache->store().presence().pages_in_ram(id, g) > 0;
      std::vector<GroupPlace>& places = holds ? groups_ : empty_;
      if (places.size() < kMaxMetricRows) places.push_back({id, g});
    }
  }
  if (end < layouts.size()) return false;
  const size_t room = std::min(empty_.size(), kMaxMetricRows - groups_.size());
  groups_.insert(groups_.end(), empty_.begin(), empty_.begin() + static_cast<ptrdiff_t>(room));
  return true;
}

void WholeStatus::say_groups() {
  sink_->gauge("groups_total", group_count_, "Groups of all layouts");
  const auto list = sink_->list({.key = "groups", .prefix = "group"});
  for (const GroupPlace& place : groups_) {
    // Another layout may have taken the place of the one that was looked at.
    const model::Layout& layout = sources_->cache->layouts().find(place.layout)->layout;
    if (place.group >= layout.groups.size()) continue;
    const model::Group& group = layout.groups[place.group];
    const uint64_t pages =
        sources_->cache->store().presence().pages_in_ram(place.layout, place.group);
    const std::array<MetricLabel, 3> labels{{{.name = "layout", .text = layout.name},
                                             {.name = "group", .text = group.name},
                                             {.name = "kind", .text = kind_name(group.kind)}}};
    const auto row = sink_->row(labels);
    sink_->gauge("page_bytes", group.page_bytes, "Of each page, true size");
    sink_->gauge("pages", pages, "Pages in RAM");
    sink_->gauge("bytes", pages * group.page_bytes, "Of these, true size");
  }
}

void WholeStatus::say_users() {
  sink_->gauge("uids_total", sources_->shares->uid_count(), "Users that hold something");
  const auto list = sink_->list({.key = "uids", .prefix = "uid"});
  // In no order: who has a row may change from one status to the next when there are more.
  size_t rows = 0;
  sources_->shares->for_each_uid([&](uint32_t uid) {
    // A document has a bound; uids have none that the daemon sets.
    if (++rows <= kMaxMetricRows) sources_->shares->describe(*sink_, uid);
  });
}

void WholeStatus::say_end() {
  {
    const auto section = sink_->section("requests");
    sources_->dispatcher->describe(*sink_);
  }
  say_verbs(*sources_, *sink_);
  {
    const auto section = sink_->section("turns");
    model::describe(*sink_, sources_->dispatcher->turn_totals());
    model::describe(*sink_, sources_->dispatcher->recent_hits());
  }
  say_ledger(sources_->ledger, *sink_);
  if (sources_->events != nullptr) {
    const auto section = sink_->section("events");
    sources_->events->describe(*sink_);
  }
  say_off_core(*sources_, *sink_);
  const auto section = sink_->section("log");
  model::describe(*sink_, log_counters());
}

void say_own_status(const StatusSources& sources, model::DomainId domain, uint32_t uid,
                    MetricSink& sink) {
  sink.text("schema", "quire.status.v1");
  sink.text("scope", "own");
  say_state(sources, sink);
  {
    const auto list = sink.list({.key = "domains", .prefix = "domain"});
    say_domain(sources, domain, sink);
  }
  {
    const auto list = sink.list({.key = "uids", .prefix = "uid"});
    sources.shares->describe(sink, uid);
  }
  if (sources.events == nullptr) return;
  const auto section = sink.section("events");
  sources.events->describe_own(uid, sink);
}

}  // namespace quire::server
