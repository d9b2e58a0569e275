#include "server/status/status.h"

#include <boost/json/src.hpp>

#include "server/rings/dispatcher.h"
#include "server/runtime/log.h"
#include "server/sessions/session_registry.h"

namespace quire::server {

namespace json = boost::json;

namespace {

constexpr std::string_view kMemoryAction =
    "make room as the reason says, or start with less --ram_bytes; it is tried again by itself";

json::object memory_of(const StatusSources& sources) {
  const allocator::SupplyStatus supply = sources.supply->status();
  json::object memory;
  memory["budget_bytes"] = sources.options->ram_bytes;
  memory["segment_bytes"] = sources.options->segment_bytes;
  memory["segments_max"] = supply.max_segments;
  memory["segments_spare"] = supply.spare;
  memory["segments_given_out"] = supply.given_out;
  memory["segments_retiring"] = sources.retiring_segments;
  memory["segments_kept"] = supply.kept;
  memory["huge_page_bytes"] = supply.huge_bytes;
  memory["huge_pages_asked"] = allocator::huge_pages_name(sources.options->huge_pages);
  memory["failure"] = supply.failure;
  memory["table_bytes"] = sources.cache->store().table_bytes();
  memory["session_shared_bytes"] = sources.registry->shared_bytes();
  return memory;
}

json::object domain_of(const StatusSources& sources, model::DomainId id) {
  const allocator::DomainUsage usage = sources.cache->store().pool().usage(id);
  return {{"domain", sources.cache->names().domain_name(id)},
          {"segment_bytes", usage.segment_bytes},
          {"retiring_bytes", usage.retiring_bytes},
          {"slot_bytes", usage.slot_bytes},
          {"page_bytes", usage.page_bytes},
          {"pages", usage.slots},
          {"roots", sources.cache->names().root_count(id)},
          {"roots_max", uint64_t{cache::kMaxRootsPerDomain}}};
}

json::array domains_of(const StatusSources& sources) {
  static_assert(cache::kMaxDomains <= kMaxStatusRows);
  json::array domains;
  for (uint16_t d = 0; d < sources.cache->names().domain_count(); ++d) {
    domains.push_back(domain_of(sources, model::DomainId{d}));
  }
  return domains;
}

// What a uid holds of what all share, and how much it may.
json::object share_of(const UidShares& shares, uint32_t uid) {
  static constexpr std::string_view kNames[kSharedCount] = {
      "connections", "sessions", "session_bytes", "descriptors", "layouts"};
  json::object share{{"uid", uid}};
  const UidShares::Use* use = shares.find(uid);
  if (use == nullptr) return share;
  for (size_t i = 0; i < kSharedCount; ++i) {
    share[kNames[i]] = use->amounts[i];
    share[std::string(kNames[i]) + "_max"] = shares.largest(uid, static_cast<Shared>(i));
  }
  share["leases"] = use->holders.leases;
  share["leases_max"] = use->holders.max_leases;
  return share;
}

json::array shares_of(const UidShares& shares) {
  json::array list;
  shares.for_each_uid([&](uint32_t uid) {
    if (list.size() < kMaxStatusRows) list.push_back(share_of(shares, uid));
  });
  return list;
}

json::object cache_of(const StatusSources& sources) {
  const cache::StoreCounters& store = sources.cache->store().counters();
  const cache::WriterCounters& writer = sources.cache->writer().counters();
  const cache::ReaderCounters& reader = sources.cache->reader().counters();
  return {{"spans", store.spans},
          {"checkpoints", store.checkpoints},
          {"leases", sources.cache->lease_count()},
          {"fills", sources.cache->fill_count()},
          {"layouts", sources.cache->layouts().size()},
          {"roots", sources.cache->names().root_count()},
          {"roots_given_up", sources.cache->names().given_up_count()},
          {"evicted_spans", store.evicted_spans},
          {"evicted_checkpoints", store.evicted_checkpoints},
          {"superseded_checkpoints", store.superseded_checkpoints},
          {"stale_dropped", store.stale_dropped},
          {"quarantined", store.quarantined},
          {"committed_spans", writer.committed_spans},
          {"committed_checkpoints", writer.committed_checkpoints},
          {"committed_bytes", writer.committed_bytes},
          {"duplicates", writer.duplicates},
          {"aborted_fills", writer.aborted},
          {"matches", reader.matches},
          {"prompt_tokens", reader.prompt_tokens},
          {"hit_tokens", reader.hit_tokens},
          {"ssd_hit_tokens", reader.ssd_hit_tokens},
          {"no_checkpoint_matches", reader.no_checkpoint_matches},
          {"no_checkpoint_tokens", reader.no_checkpoint_tokens},
          {"loads", reader.loads},
          {"delivered_pages", reader.delivered_pages}};
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

json::object scrub_of(const tiering::ScrubStatus& scrub) {
  return {{"running", scrub.running}, {"bytes_per_second", scrub.bytes_per_second},
          {"passes", scrub.passes},   {"progress", scrub.progress},
          {"objects", scrub.objects}, {"bytes", scrub.bytes},
          {"bad", scrub.bad},         {"unreadable", scrub.unreadable}};
}

json::object memory_check_of(const MemoryCheckStatus& check) {
  return {{"running", check.running}, {"bytes_per_second", check.bytes_per_second},
          {"passes", check.passes},   {"progress", check.progress},
          {"objects", check.objects}, {"bytes", check.bytes},
          {"bad", check.bad}};
}

// What each group of each layout holds in RAM, at true page size. Those that hold nothing are left
// out when there are more than rows.
struct Groups {
  json::array rows;
  size_t total = 0;
};
Groups groups_of(const StatusSources& sources) {
  Groups groups;
  json::array empty;
  for (uint32_t l = 0; l < sources.cache->layouts().size(); ++l) {
    const model::Layout& layout = sources.cache->layouts().find(model::LayoutId{l})->layout;
    for (model::GroupIndex g = 0; g < layout.groups.size(); ++g) {
      const model::Group& group = layout.groups[g];
      const uint64_t pages = sources.cache->store().resident_pages(model::LayoutId{l}, g);
      ++groups.total;
      json::array& rows = pages > 0 ? groups.rows : empty;
      if (rows.size() >= kMaxStatusRows) continue;
      rows.push_back({{"layout", layout.name},
                      {"group", group.name},
                      {"kind", kind_name(group.kind)},
                      {"page_bytes", group.page_bytes},
                      {"pages", pages},
                      {"bytes", pages * group.page_bytes}});
    }
  }
  for (json::value& row : empty) {
    if (groups.rows.size() >= kMaxStatusRows) break;
    groups.rows.push_back(std::move(row));
  }
  return groups;
}

json::object restored_of(const tiering::RestoreReport& restored) {
  return {{"spans", restored.spans}, {"checkpoints", restored.checkpoints},
          {"runs", restored.runs},   {"orphans", restored.orphans},
          {"stale", restored.stale}, {"rejected", restored.rejected}};
}

json::object count_of(const tiering::KeptCount& count) {
  return {{"runs", count.runs}, {"objects", count.objects}, {"bytes", count.bytes}};
}

// What this start cannot serve and does not touch, by reason.
json::object kept_of(const tiering::SsdTierStatus& ssd) {
  tiering::KeptCount all;
  json::object reasons;
  for (size_t i = 0; i < tiering::kKeptReasons; ++i) {
    const tiering::KeptCount& count = ssd.kept[i];
    all.runs += count.runs;
    all.objects += count.objects;
    all.bytes += count.bytes;
    if (count.runs == 0) continue;
    const auto reason = static_cast<tiering::KeptReason>(i);
    json::object entry = count_of(count);
    entry["why"] = tiering::kept_reason_text(reason);
    reasons[tiering::kept_reason_name(reason)] = std::move(entry);
  }
  json::object kept = count_of(all);
  kept["held_regions"] = ssd.space.held_regions;
  kept["dropping"] = ssd.dropping_kept;
  kept["reasons"] = std::move(reasons);
  return kept;
}

json::object ssd_written(const tiering::SsdTierStatus& ssd, const cache::StoreCounters& store) {
  return {{"bytes", ssd.mover.written_bytes},
          {"operations", ssd.mover.write_ops},
          {"manifest_bytes", ssd.manifest_bytes_written},
          {"durable_objects", ssd.committer.durable_objects},
          {"erased_objects", ssd.committer.erased_objects},
          {"failed_objects", ssd.demoter.failed},
          {"set_aside", ssd.demoter.set_aside + store.fresh_missed},
          {"found_again", ssd.demoter.found_again},
          {"too_large_objects", ssd.demoter.too_large},
          {"too_deep_objects", ssd.demoter.too_deep},
          {"largest_refused_bytes", ssd.demoter.largest_refused},
          {"failed_batches", ssd.committer.failed_batches},
          {"refused_by_rule", ssd.admission.refused_by_rule},
          {"refused_by_budget", ssd.admission.refused_by_budget},
          {"evicted_copies", store.ssd_evicted},
          {"durable_lag_ms_p50", ssd.durable_lag_ms_p50},
          {"durable_lag_ms_p99", ssd.durable_lag_ms_p99}};
}

json::object ssd_codec(const tiering::SsdTierStatus& ssd, bool enabled) {
  json::array groups;
  for (const tiering::CodecGroupStatus& group : ssd.codec_groups) {
    if (groups.size() >= kMaxStatusRows) break;
    groups.push_back({{"layout", group.layout},
                      {"group", group.group},
                      {"ratio", group.ratio},
                      {"pays", group.worthwhile}});
  }
  return {{"mode", enabled ? "auto" : "off"},
          {"objects", ssd.demoter.encoded_objects},
          {"plain_bytes", ssd.demoter.encoded_plain_bytes},
          {"stored_bytes", ssd.demoter.encoded_stored_bytes},
          {"misfits", ssd.demoter.encoded_misfits},
          {"memory_bytes", ssd.codec_memory_bytes},
          {"groups_total", ssd.codec_groups.size()},
          {"groups", groups}};
}

json::object ssd_read(const tiering::SsdTierStatus& ssd, const cache::StoreCounters& store) {
  return {
      {"bytes", ssd.mover.read_bytes},     {"operations", ssd.mover.read_ops},
      {"promoted", store.promoted},        {"loads", ssd.loader.started},
      {"loads_failed", ssd.loader.failed}, {"loads_past_deadline", ssd.loader.deadline_exceeded},
      {"corrupt", ssd.loader.corrupt},     {"bytes_per_us", ssd.bytes_per_us},
      {"estimates", ssd.estimates},        {"estimate_error", ssd.estimate_error}};
}

json::object ssd_errors(const tiering::SsdTierStatus& ssd) {
  return {{"read", ssd.health.read_errors},
          {"write", ssd.health.write_errors},
          {"sync", ssd.health.sync_errors},
          {"space", ssd.health.space_errors},
          {"hangs", ssd.health.hangs},
          {"probes", ssd.health.probes},
          {"recoveries", ssd.health.recoveries},
          {"corrupt_in_ram", ssd.demoter.corrupt_in_ram},
          {"stale_completions", ssd.stale_completions}};
}

json::object ssd_of(const StatusSources& sources) {
  if (sources.tier == nullptr) {
    return {{"tier", "ssd"},
            {"state", "off"},
            {"reason", sources.tier_failure},
            {"action", "stop, do what the reason says or replace the device, then start"}};
  }
  const tiering::SsdTierStatus ssd = sources.tier->status();
  const cache::StoreCounters& store = sources.cache->store().counters();
  const std::string kept =
      ssd.kept_reason.empty() ? "" : "content is kept and not served: " + ssd.kept_reason;
  const std::string& reason = ssd.reason.empty() ? kept : ssd.reason;
  json::object tier{{"tier", "ssd"},
                    {"state", tiering::ssd_state_name(ssd.state)},
                    {"reason", reason},
                    {"action", ssd.reason.empty() ? ssd.kept_action : ssd.action},
                    {"engine", ssd.engine},
                    {"direct_io", ssd.direct_io},
                    {"capacity_bytes", ssd.space.capacity_bytes},
                    {"allocated_bytes", ssd.space.allocated_bytes},
                    {"used_bytes", ssd.space.used_bytes},
                    {"given_back_regions", ssd.regions_given_back},
                    {"used_slots", ssd.space.used_slots},
                    {"freeing_slots", ssd.space.freeing_slots},
                    {"spans", store.ssd_spans},
                    {"checkpoints", store.ssd_checkpoints},
                    {"roots", ssd.roots},
                    {"only_here", sources.cache->store().nonresident_count()},
                    {"queued", ssd.queued},
                    {"transfers", ssd.transfers},
                    {"checks", ssd.checks},
                    {"loads", ssd.loads},
                    {"waits_for", ssd.blocked_by},
                    {"limited_by", ssd.limited_by},
                    {"largest_object_bytes", ssd.largest_object_bytes},
                    {"sealed_files", ssd.sealed_files},
                    {"registered_bytes", ssd.registered_bytes},
                    {"table_bytes", ssd.table_bytes}};
  tier["written"] = ssd_written(ssd, store);
  tier["codec"] = ssd_codec(ssd, sources.options->ssd_codec == "auto");
  tier["read"] = ssd_read(ssd, store);
  tier["errors"] = ssd_errors(ssd);
  tier["restored"] = restored_of(ssd.restored);
  tier["kept"] = kept_of(ssd);
  tier["scrub"] = scrub_of(ssd.scrub);
  return tier;
}

json::array tiers_of(const StatusSources& sources) {
  const cache::StoreCounters& store = sources.cache->store().counters();
  const std::string failure = sources.supply->status().failure;
  json::array tiers;
  tiers.push_back({{"tier", "ram"},
                   {"state", failure.empty() ? "ok" : "degraded"},
                   {"reason", failure},
                   {"action", failure.empty() ? "" : kMemoryAction},
                   {"spans", store.resident_spans},
                   {"checkpoints", store.resident_checkpoints},
                   {"left_for_ssd", store.left_ram},
                   {"verify", memory_check_of(sources.dispatcher->memory_check().status())}});
  if (!sources.options->ssd_path.empty()) tiers.push_back(ssd_of(sources));
  return tiers;
}

// "degraded" when any tier is; the tier says why.
std::string_view overall_state(const StatusSources& sources) {
  const bool ram = sources.supply->status().failure.empty();
  const bool wanted = !sources.options->ssd_path.empty();
  const bool ssd = !wanted || (sources.tier != nullptr && sources.tier->is_whole());
  return ram && ssd ? "ok" : "degraded";
}

}  // namespace

std::string make_scrub_json(const tiering::SsdTier& tier) {
  return json::serialize(scrub_of(tier.status().scrub));
}

std::string make_memory_check_json(const MemoryCheckStatus& check) {
  return json::serialize(memory_check_of(check));
}

std::string make_kept_json(const tiering::SsdTier& tier) {
  return json::serialize(kept_of(tier.status()));
}

std::string make_own_status_json(const StatusSources& sources, model::DomainId domain,
                                 uint32_t uid) {
  json::object status;
  status["schema"] = "quire.status.v1";
  status["scope"] = "own";
  status["state"] = overall_state(sources);
  status["daemon_epoch"] = sources.daemon_epoch;
  status["domains"] = json::array{domain_of(sources, domain)};
  status["uids"] = json::array{share_of(*sources.shares, uid)};
  return json::serialize(status);
}

std::string make_status_json(const StatusSources& sources) {
  const CoreCounters& core = sources.counters;
  const DispatcherCounters& dispatcher = sources.dispatcher->counters();
  json::object status;
  status["schema"] = "quire.status.v1";
  status["scope"] = "all";
  status["state"] = overall_state(sources);
  status["daemon_epoch"] = sources.daemon_epoch;
  status["clients"] = {{"connected", sources.connected},
                       {"accepted", core.connections_accepted},
                       {"refused", core.connections_refused},
                       {"reaped", core.clients_reaped},
                       {"sessions", sources.registry->session_count()},
                       {"attachments", sources.registry->attachments().size()},
                       {"draining", sources.registry->draining_count()},
                       {"sessions_ended_by_fault", core.sessions_ended_by_fault}};
  status["memory"] = memory_of(sources);
  status["tiers"] = tiers_of(sources);
  status["domains"] = domains_of(sources);
  status["cache"] = cache_of(sources);
  Groups groups = groups_of(sources);
  status["groups_total"] = groups.total;
  status["groups"] = std::move(groups.rows);
  status["uids_total"] = sources.shares->uid_count();
  status["uids"] = shares_of(*sources.shares);
  status["requests"] = {{"submissions", dispatcher.submissions},
                        {"parked", dispatcher.parked},
                        {"deadline_exceeded", dispatcher.deadline_exceeded},
                        {"waiting_commits", sources.dispatcher->waiting_commits()},
                        {"largest_steps", dispatcher.largest_steps},
                        {"checksum_failures", sources.dispatcher->checksum_failures()},
                        {"copied_bytes", dispatcher.copied_bytes},
                        {"paused", sources.dispatcher->paused_count()}};
  const LogCounters lines = log_counters();
  status["log"] = {{"dropped_lines", lines.dropped}, {"left_out_lines", lines.left_out}};
  return json::serialize(status);
}

}  // namespace quire::server
