#include "server/status.h"

#include <boost/json/src.hpp>

#include "server/core.h"
#include "server/dispatcher.h"
#include "server/session_registry.h"

namespace quire::server {

namespace json = boost::json;

namespace {

json::object memory_of(const StatusSources& sources) {
  const allocator::SupplyStatus supply = sources.supply->status();
  json::object memory;
  memory["budget_bytes"] = sources.options->ram_bytes;
  memory["segment_bytes"] = sources.options->segment_bytes;
  memory["segments_max"] = supply.max_segments;
  memory["segments_spare"] = supply.spare;
  memory["segments_given_out"] = supply.given_out;
  memory["segments_retiring"] = sources.retiring_segments;
  memory["huge_page_bytes"] = supply.huge_bytes;
  memory["huge_pages_asked"] = allocator::huge_pages_name(sources.options->huge_pages);
  memory["failure"] = supply.failure;
  memory["table_bytes"] = sources.cache->store().table_bytes();
  memory["session_shared_bytes"] = sources.registry->shared_bytes();
  return memory;
}

json::array domains_of(const StatusSources& sources) {
  json::array domains;
  for (uint16_t d = 0; d < sources.cache->names().domain_count(); ++d) {
    const model::DomainId id{d};
    const allocator::DomainUsage usage = sources.cache->store().pool().usage(id);
    domains.push_back({{"domain", sources.cache->names().domain_name(id)},
                       {"segment_bytes", usage.segment_bytes},
                       {"slot_bytes", usage.slot_bytes},
                       {"page_bytes", usage.page_bytes},
                       {"pages", usage.slots}});
  }
  return domains;
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

// What each group of each layout holds in RAM, at true page size.
json::array groups_of(const StatusSources& sources) {
  json::array groups;
  for (uint32_t l = 0; l < sources.cache->layouts().size(); ++l) {
    const model::Layout& layout = sources.cache->layouts().find(model::LayoutId{l})->layout;
    for (model::GroupIndex g = 0; g < layout.groups.size(); ++g) {
      const model::Group& group = layout.groups[g];
      const uint64_t pages = sources.cache->store().resident_pages(model::LayoutId{l}, g);
      groups.push_back({{"layout", layout.name},
                        {"group", group.name},
                        {"kind", kind_name(group.kind)},
                        {"page_bytes", group.page_bytes},
                        {"pages", pages},
                        {"bytes", pages * group.page_bytes}});
    }
  }
  return groups;
}

}  // namespace

std::string make_status_json(const StatusSources& sources) {
  const CoreCounters& core = sources.core->counters();
  const DispatcherCounters& dispatcher = sources.dispatcher->counters();
  json::object status;
  status["schema"] = "quire.status.v1";
  status["state"] = sources.supply->status().failure.empty() ? "ok" : "degraded";
  status["daemon_epoch"] = sources.daemon_epoch;
  status["clients"] = {{"connected", sources.core->connections().size()},
                       {"accepted", core.connections_accepted},
                       {"refused", core.connections_refused},
                       {"reaped", core.clients_reaped},
                       {"sessions", sources.registry->session_count()},
                       {"attachments", sources.registry->attachments().size()},
                       {"draining", sources.registry->draining_count()},
                       {"sessions_ended_by_fault", core.sessions_ended_by_fault}};
  status["memory"] = memory_of(sources);
  status["domains"] = domains_of(sources);
  status["cache"] = cache_of(sources);
  status["groups"] = groups_of(sources);
  status["requests"] = {{"submissions", dispatcher.submissions},
                        {"parked", dispatcher.parked},
                        {"deadline_exceeded", dispatcher.deadline_exceeded},
                        {"checksum_failures", dispatcher.checksum_failures},
                        {"copied_bytes", dispatcher.copied_bytes}};
  return json::serialize(status);
}

}  // namespace quire::server
