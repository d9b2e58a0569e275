// What may be written to a tier below RAM: budgets of bytes a day (write_budget.h), of the tier and
// of each tenant, and a rule who is worth it.
//
// Frequency: a count-min sketch of 4-bit counters keyed by the chain hash of the path's first span,
// halved every 8 x width uses (TinyLFU, Einziger et al. 2017), so a conversation or a shared prompt
// counts as one. 128 KiB. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "model/hash256.h"
#include "model/metrics.h"
#include "model/result.h"
#include "tiering/demotion/write_budget.h"

namespace quire::tiering {

enum class AdmissionRule : uint8_t {
  kAll = 0,
  kInteractive = 1,  // not what batch sessions write
  kSecondUse = 2,    // what was matched or committed before (frequency >= 2)
  // What the tier's policy says is worth who would go for it; asked once the tier is full.
  kPolicy = 3,
};
std::string_view admission_rule_name(AdmissionRule rule);  // all, interactive, second-use, policy
model::Result<AdmissionRule> parse_admission_rule(std::string_view word);

inline constexpr uint32_t kSketchRows = 4;
inline constexpr uint32_t kSketchWidth = 1 << 16;  // counters a row
inline constexpr uint32_t kMaxFrequency = 15;

enum class AdmissionVerdict : uint8_t { kAdmitted, kRefusedByRule, kRefusedByBudget };

// What is to be written.
struct AdmissionRequest {
  model::Hash256 first_span;  // of the path
  bool batch_class = false;
  // Whose it is, by a name that no other tenant has; where tenants have a budget.
  std::string_view tenant = {};
  uint64_t bytes = 0;
};

struct AdmissionOptions {
  AdmissionRule rule = AdmissionRule::kAll;
  uint64_t bytes_per_day = 0;         // 0 = no limit
  uint64_t tenant_bytes_per_day = 0;  // likewise, of each tenant
};

struct AdmissionCounters {
  model::Counter admitted{"admitted", "Objects let onto the device"};
  model::Counter admitted_bytes{"admitted_bytes", "Bytes of these"};
  model::Counter refused_by_rule{"refused_by_rule",
                                 "Objects that the admission rule kept off the device",
                                 {model::MetricFamily::kRejected, R"(reason="admission_rule")"}};
  model::Counter policy_asked{
      "policy_asked", "Runs of which a full tier's policy was asked whether they are worth it"};
  model::Counter refused_by_budget{"refused_by_budget",
                                   "Objects that the write budget kept off the device",
                                   {model::MetricFamily::kRejected, R"(reason="write_budget")"}};
  model::Counter refused_by_tenant_budget{
      "refused_by_tenant_budget",
      "Objects that the write budget of their tenant kept off the device",
      {model::MetricFamily::kRejected, R"(reason="tenant_write_budget")"}};
};

class Admission {
 public:
  Admission(const AdmissionOptions& options, int64_t now_ns);

  // One use of the conversation or prompt that starts with this span.
  void note_use(const model::Hash256& first_span);
  // Takes the bytes out of both budgets when admitted. A refusal takes none; one by the rule counts
  // as such, whatever the budgets. kPolicy refuses nothing here: it is asked before room is made.
  AdmissionVerdict admit(const AdmissionRequest& request, int64_t now_ns);
  // What the policy said.
  void count_asked(bool admits) {
    ++counters_.policy_asked;
    if (!admits) ++counters_.refused_by_rule;
  }
  AdmissionRule rule() const { return options_.rule; }
  bool asks_for_tenant() const { return tenants_.has_value(); }
  uint32_t frequency(const model::Hash256& first_span) const;  // 0..kMaxFrequency, never too small
                                                               // but by ageing
  uint64_t budget_left_bytes(int64_t now_ns) const;            // 0 in debt; no limit: UINT64_MAX
  const AdmissionCounters& counters() const { return counters_; }

 private:
  bool passes_rule(const model::Hash256& first_span, bool batch_class) const;
  void halve();

  AdmissionOptions options_;
  std::vector<uint64_t> sketch_;  // 16 counters a word, row after row
  uint64_t uses_ = 0;             // since it was halved
  std::optional<WriteBudget> budget_;
  std::optional<WriteBudgets> tenants_;
  AdmissionCounters counters_;
};

}  // namespace quire::tiering
