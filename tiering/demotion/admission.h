// What may be written to the SSD: a budget of bytes a day, and a rule who is worth it.
//
// Budget: a token bucket that refills evenly and holds at most one hour's worth, so that a burst
// cannot spend a day. It starts full. An object larger than that hour is admitted by a full bucket
// and leaves a debt: the average holds, and nothing is refused for ever. A clock that steps back
// refills nothing. Frequency: a count-min sketch of 4-bit counters keyed by the chain hash of the
// path's first span, halved every 8 x width uses (TinyLFU, Einziger et al. 2017), so a
// conversation or a shared prompt counts as one. 128 KiB. Threads: core only.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/hash256.h"
#include "model/metrics.h"
#include "model/result.h"

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

struct AdmissionOptions {
  AdmissionRule rule = AdmissionRule::kAll;
  uint64_t bytes_per_day = 0;  // 0 = no limit
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
};

class Admission {
 public:
  Admission(const AdmissionOptions& options, int64_t now_ns);

  // One use of the conversation or prompt that starts with this span.
  void note_use(const model::Hash256& first_span);
  // Takes `bytes` out of the budget when admitted. A refusal by the rule takes none and counts as
  // such, whatever the budget. kPolicy refuses nothing here: it is asked before room is made.
  AdmissionVerdict admit(const model::Hash256& first_span, bool batch_class, uint64_t bytes,
                         int64_t now_ns);
  // What the policy said.
  void count_asked(bool admits) {
    ++counters_.policy_asked;
    if (!admits) ++counters_.refused_by_rule;
  }
  AdmissionRule rule() const { return options_.rule; }
  uint32_t frequency(const model::Hash256& first_span) const;  // 0..kMaxFrequency, never too small
                                                               // but by ageing
  uint64_t budget_left_bytes(int64_t now_ns) const;            // 0 in debt; no limit: UINT64_MAX
  const AdmissionCounters& counters() const { return counters_; }

 private:
  bool passes_rule(const model::Hash256& first_span, bool batch_class) const;
  double bucket_bytes() const;  // one hour's worth
  double budget_at(int64_t now_ns) const;
  void halve();

  AdmissionOptions options_;
  std::vector<uint64_t> sketch_;  // 16 counters a word, row after row
  uint64_t uses_ = 0;             // since it was halved
  double budget_bytes_ = 0;       // at budget_at_ns_; below 0: debt
  int64_t budget_at_ns_ = 0;
  AdmissionCounters counters_;
};

}  // namespace quire::tiering
