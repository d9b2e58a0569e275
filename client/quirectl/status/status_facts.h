// What screens show of a daemon, out of its documents. What a document does not say is 0, or empty:
// a daemon shows its clients less than its readers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace quire::client {

struct TierFacts {
  std::string name;
  std::string state;
  std::string reason;  // why it is not ok
  std::string action;  // what to do about it
  std::string limits;  // what holds it up, while it is ok
  uint64_t used_bytes = 0;
  uint64_t capacity_bytes = 0;
  uint64_t spans = 0;
  uint64_t checkpoints = 0;
  uint64_t queued = 0;  // to be written
  // Since the daemon's start.
  uint64_t written_bytes = 0;
  uint64_t read_bytes = 0;
};

struct LedgerFacts {
  std::string state;
  std::string reason;
  std::string action;
  uint64_t waiting = 0;
  uint64_t lost = 0;
};

struct DaemonFacts {
  std::string scope;  // all, own
  std::string state;
  uint64_t epoch = 0;
  uint64_t connected = 0;
  uint64_t sessions = 0;
  uint64_t leases = 0;
  std::vector<TierFacts> tiers;
  uint64_t segment_bytes = 0;    // of RAM, all that was given out
  uint64_t huge_page_bytes = 0;  // of it, in pages of 2 MiB
  LedgerFacts ledger;
  // Of turns that ended since the start, and within the last minute.
  uint64_t turns = 0;
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t recent_prompt_tokens = 0;
  uint64_t recent_hit_tokens = 0;
  // Counters since the start.
  uint64_t matches = 0;
  uint64_t committed_bytes = 0;
  uint64_t delivered_pages = 0;
};

// Of a quarter of an hour, by the ghosts.
struct WindowFacts {
  uint64_t prompt_tokens = 0;
  double hit_percent = 0;
  double ceiling_percent = 0;
};

struct SessionFacts {
  uint64_t number = 0;
  std::string domain;
  std::string tenant;
  std::string namespace_name;
  uint64_t processes = 0;
  uint64_t idle_ms = 0;
  uint64_t turns = 0;
  uint64_t prompt_tokens = 0;
  uint64_t hit_tokens = 0;
  uint64_t leases = 0;
};

struct TenantFacts {
  std::string domain;
  std::string tenant;
  uint64_t sessions = 0;
  uint64_t ram_bytes = 0;
  uint64_t ssd_bytes = 0;
};

template <typename Row>
struct Census {
  uint64_t total = 0;  // there may be more than rows
  std::vector<Row> rows;
};

// kMalformedFrame: no JSON object.
model::Result<DaemonFacts> read_status(std::string_view json);
model::Result<WindowFacts> read_window(std::string_view json);
model::Result<Census<SessionFacts>> read_sessions(std::string_view json);
model::Result<Census<TenantFacts>> read_tenants(std::string_view json);

}  // namespace quire::client
