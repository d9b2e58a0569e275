// The status: what the daemon says of itself, as parts describe it, under the names of the schema
// quire.status.v1. Raw numbers in base units. Lists end at model::kMaxMetricRows, and "..._total"
// says how long they are. Core thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/metrics.h"
#include "server/sessions/client_counters.h"
#include "server/start/options.h"
#include "server/status/top_rows.h"
#include "tiering/tier_set.h"

namespace quire::server {

class ClosingLines;
class ConnectionTable;
class Dispatcher;
class EventFeed;
class Ledger;
class RegionMaker;
class RequestTimes;
class SegmentShare;
class SessionRegistry;
class UidShares;

// A tier that could not be opened at start.
struct MissingTier {
  std::string name;
  std::string reason;
};

// The parts that have something to say. All outlive whoever holds this.
struct StatusSources {
  cache::Cache* cache = nullptr;
  const allocator::SegmentSupply* supply = nullptr;
  const SessionRegistry* registry = nullptr;
  const Dispatcher* dispatcher = nullptr;
  const tiering::TierSet* tiers = nullptr;  // null: none
  std::vector<MissingTier> missing;         // asked for by flags, and not to be had
  const UidShares* shares = nullptr;
  const SegmentShare* segments = nullptr;
  const ClientCounters* clients = nullptr;
  const ConnectionTable* connections = nullptr;
  const RequestTimes* verb_times = nullptr;  // by index in model::kSocketVerbs; null: none
  // Threads beside the core.
  const ClosingLines* closing = nullptr;
  const RegionMaker* maker = nullptr;
  const Ledger* ledger = nullptr;     // null: receipts are not kept
  const EventFeed* events = nullptr;  // null: none are told
  const Options* options = nullptr;
  uint64_t daemon_epoch = 0;
  int64_t started_us = 0;  // Unix time
};

// Of everything, for administrators. A step takes a bounded part of a turn, however many layouts,
// users and domains there are; figures of different steps may be of different turns.
class WholeStatus {
 public:
  // What it names outlives it.
  WholeStatus(const StatusSources* sources, model::MetricSink* sink);

  // True: all was said.
  bool step();

 private:
  // Each is a step, but for those that choose, which go on until all was looked at.
  enum class Stage : uint8_t {
    kHead,
    kDomains,
    kChooseGroups,
    kGroups,
    kUsers,
    kChooseTenants,
    kTenants,
    kChooseSessions,
    kSessions,
    kEnd,
  };
  // What a group of a layout holds in RAM has a row of its own.
  struct GroupPlace {
    model::LayoutId layout;
    model::GroupIndex group = 0;
  };
  static constexpr uint32_t kLayoutsPerStep = 16;  // of up to kMaxGroups groups each

  // Each opens and closes its own scopes: between two steps the sink is at the top.
  void say_head();
  void say_domains();
  bool choose_groups();
  void say_groups();
  void say_users();
  void say_end();

  const StatusSources* sources_;
  model::MetricSink* sink_;
  Stage stage_ = Stage::kHead;
  uint32_t next_layout_ = 0;
  size_t group_count_ = 0;
  std::vector<GroupPlace> groups_;  // with pages; when there are fewer than rows, others behind
  std::vector<GroupPlace> empty_;
  TopTenants tenants_;
  TopSessions sessions_;
};

// What one user sees: its own domain, what it holds of what all share, and whether all is well.
// Nothing in it tells what others do (law 13).
void say_own_status(const StatusSources& sources, model::DomainId domain, uint32_t uid,
                    model::MetricSink& sink);

}  // namespace quire::server
