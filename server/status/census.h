// Who uses the daemon, for readers: lists of sessions and tenants, gathered a few at a time in
// turns of the core, however many there are. Each keeps the model::kMaxMetricRows that are shown.
//
//   step(), step() ... -> true: all were looked at      say(): the rows, as they are then
//
// Threads: core only. Lifetime: what they name outlives them.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "model/clock.h"
#include "model/ids.h"
#include "server/sessions/session_registry.h"
#include "server/status/status_desk.h"

namespace quire::server {

// The sessions that were active last.
class SessionCensus final : public StatusPass {
 public:
  static constexpr size_t kLooksPerStep = 256;

  SessionCensus(cache::Cache* cache, const SessionRegistry* registry, const model::Clock* clock)
      : cache_(cache), registry_(registry), clock_(clock) {}
  bool step() override;
  void say(model::MetricSink& sink) const override;

 private:
  // What a session's processes together do and hold.
  struct Row {
    uint64_t session = 0;
    int64_t last_active_ns = 0;
    uint64_t leases = 0;
    uint64_t shared_bytes = 0;
  };
  // Once over all to choose, and once more to add up: of a session that is chosen by one process,
  // others may have been looked at before.
  enum class Part : uint8_t { kChoose, kAddUp };
  void choose(Attachment& attachment);
  void add_up(Attachment& attachment);
  void keep_latest();

  cache::Cache* cache_;
  const SessionRegistry* registry_;
  const model::Clock* clock_;
  Part part_ = Part::kChoose;
  size_t next_ = 0;
  std::vector<Row> rows_;
  std::unordered_map<uint64_t, size_t> row_of_;  // by session; of those chosen so far
};

// The tenants that hold most.
class TenantCensus final : public StatusPass {
 public:
  static constexpr uint32_t kLooksPerStep = 512;

  TenantCensus(cache::Cache* cache, const SessionRegistry* registry)
      : cache_(cache), registry_(registry) {}
  bool step() override;
  void say(model::MetricSink& sink) const override;

 private:
  struct Place {
    model::TenantId tenant;
    uint64_t held_bytes = 0;
  };
  void keep_largest();

  cache::Cache* cache_;
  const SessionRegistry* registry_;
  uint32_t next_ = 0;
  uint64_t count_ = 0;
  std::vector<Place> places_;
};

}  // namespace quire::server
