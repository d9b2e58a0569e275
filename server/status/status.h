// The status document: what quirectl shows and scripts read. Raw numbers in base units.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cache/cache.h"
#include "server/options.h"
#include "tiering/ssd_tier.h"

namespace quire::server {

class Dispatcher;
struct MemoryCheckStatus;
class SessionRegistry;
class UidShares;

inline constexpr size_t kMaxStatusRows = 256;

struct CoreCounters {
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;
  uint64_t sessions_ended_by_fault = 0;  // law 11
  uint64_t clients_reaped = 0;           // law 5
};

struct StatusSources {
  cache::Cache* cache = nullptr;
  const allocator::SegmentSupply* supply = nullptr;
  const SessionRegistry* registry = nullptr;
  const Dispatcher* dispatcher = nullptr;
  const tiering::SsdTier* tier = nullptr;
  std::string tier_failure;
  const UidShares* shares = nullptr;
  CoreCounters counters;
  size_t connected = 0;
  const Options* options = nullptr;
  size_t retiring_segments = 0;
  uint64_t daemon_epoch = 0;
};

// One JSON object, `schema` = "quire.status.v1", of bounded size: lists end at kMaxStatusRows, and
// `..._total` says how long they are. Core thread only.
std::string make_status_json(const StatusSources& sources);
// What one user sees: its own domain, what it holds of what all share, and whether all is well.
// Nothing in it tells what others do (law 13).
std::string make_own_status_json(const StatusSources& sources, model::DomainId domain,
                                 uint32_t uid);
// One JSON object: how far the scrub is and what it found.
std::string make_scrub_json(const tiering::SsdTier& tier);
// The same of the pages in memory.
std::string make_memory_check_json(const MemoryCheckStatus& check);
// One JSON object: what the tier keeps and does not serve, and whether that is being dropped.
std::string make_kept_json(const tiering::SsdTier& tier);

}  // namespace quire::server
