// The rows of lists that may be long, chosen a few at a time in turns of the core: the tenants that
// asked for most tokens, and the sessions with the longest prompts. Threads: core only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/metrics.h"
#include "server/rings/tenant_totals.h"

namespace quire::cache {
class Cache;
}

namespace quire::server {

class SessionRegistry;
struct TurnTotals;

// Of at most kRows tenants a row each, and one row of what all others did, those that are gone
// among them: so rows add up to the sums over all turns.
class TopTenants {
 public:
  static constexpr size_t kRows = model::kMaxMetricRows - 1;
  static constexpr uint32_t kLooksPerStep = 512;

  // What it names outlives it.
  TopTenants(cache::Cache* cache, const TenantTotals* totals, const TurnTotals* all)
      : cache_(cache), totals_(totals), all_(all) {}
  // True: all were looked at.
  bool step();
  void say(model::MetricSink& sink) const;

 private:
  // A copy: the tenant may be gone when it is said.
  struct Row {
    std::string domain;
    std::string tenant;
    TenantCounters counters;
    uint64_t ram_bytes = 0;
    uint64_t ssd_bytes = 0;
  };
  struct Place {
    uint64_t prompt_tokens = 0;
    uint32_t id = 0;
  };
  Row row_of(model::TenantId tenant) const;
  void drop_all_but(size_t count);
  TenantCounters others() const;
  static void say_row(const Row& row, model::MetricSink& sink);

  cache::Cache* cache_;
  const TenantTotals* totals_;
  const TurnTotals* all_;
  uint32_t next_ = 0;
  uint64_t count_ = 0;
  std::vector<Place> places_;
  Row rest_{.domain = "*", .tenant = "other"};
  std::vector<Row> rows_;
};

// Sessions whose prompt is longest now.
class TopSessions {
 public:
  static constexpr size_t kRows = 32;
  static constexpr size_t kLooksPerStep = 256;

  TopSessions(cache::Cache* cache, const SessionRegistry* registry)
      : cache_(cache), registry_(registry) {}
  bool step();
  void say(model::MetricSink& sink) const;

 private:
  struct Row {
    uint64_t session = 0;
    std::string domain;
    std::string tenant;
    std::string namespace_name;
    uint32_t turn = 0;
    uint32_t prompt_tokens = 0;
    uint32_t announced_tokens = 0;
  };

  cache::Cache* cache_;
  const SessionRegistry* registry_;
  size_t next_ = 0;
  std::vector<Row> rows_;  // longest prompt first
};

}  // namespace quire::server
