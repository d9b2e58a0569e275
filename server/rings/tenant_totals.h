// Sums of turns by who pays, for people who look at a daemon: a place for each tenant that is held
// (TenantTable), which another tenant may take when the first one is let go. Sums to bill by are
// those of receipts. Threads: core only. Bound: that of the tenant table. No allocation but for a
// tenant that is new.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "model/ids.h"
#include "model/metrics.h"
#include "server/rings/turn.h"

namespace quire::server {

struct TenantCounters {
  model::Counter turns{"turns", "Turns that ended"};
  model::Counter prompt_tokens{"prompt_tokens", "Tokens of their prompts"};
  model::Counter hit_tokens{"hit_tokens", "Of these, tokens that engines resumed from"};
  model::Counter missed_tokens{"missed_tokens", "Of these, tokens that were computed"};
  model::Counter ram_tokens{"delivered_ram_tokens",
                            "Tokens delivered that were in RAM",
                            {model::MetricFamily::kHitTokens, R"(tier="ram")"}};
  model::Counter ssd_tokens{"delivered_ssd_tokens",
                            "Tokens delivered that were read from SSD",
                            {model::MetricFamily::kHitTokens, R"(tier="ssd")"}};
  model::Counter cluster_tokens{"delivered_cluster_tokens",
                                "Tokens delivered that were read from the cluster",
                                {model::MetricFamily::kHitTokens, R"(tier="cluster")"}};
  model::Counter written_bytes{"written_bytes", "Bytes of objects that they wrote"};

  void add(const TurnRecord& record);
};

class TenantTotals {
 public:
  // Precondition: `tenant` is held; it is the record's payer.
  void add(model::TenantId tenant, const TurnRecord& record);
  // Null: no turn of it has ended. `domain`: by name, for its number may be another user's by now.
  const TenantCounters* find(model::TenantId tenant, std::string_view domain,
                             std::string_view name) const;

 private:
  struct Row {
    uint32_t uid = 0;
    std::string domain;  // empty: nobody's
    std::string name;
    TenantCounters counters;
  };
  std::deque<Row> rows_;  // by TenantId; rows never move, however many there come to be
};

}  // namespace quire::server
