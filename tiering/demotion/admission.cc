#include "tiering/demotion/admission.h"

#include <algorithm>
#include <array>
#include <string>

namespace quire::tiering {
namespace {

constexpr uint32_t kCountersPerWord = 16;
constexpr uint64_t kUsesBetweenHalvings = 8ull * kSketchWidth;

// One counter of the sketch.
struct Cell {
  size_t word;
  uint32_t shift;

  uint32_t of(const std::vector<uint64_t>& sketch) const {
    return static_cast<uint32_t>(sketch[word] >> shift) & kMaxFrequency;
  }
};

// A hash's counter in each row. Its words are as good as four independent hashes: it is a SHA-256.
std::array<Cell, kSketchRows> cells_of(const model::Hash256& hash) {
  std::array<Cell, kSketchRows> cells;
  for (uint32_t row = 0; row < kSketchRows; ++row) {
    const uint64_t counter = row * kSketchWidth + hash.word(row) % kSketchWidth;
    cells[row] = {counter / kCountersPerWord,
                  static_cast<uint32_t>(counter % kCountersPerWord * 4)};
  }
  return cells;
}

}  // namespace

std::string_view admission_rule_name(AdmissionRule rule) {
  switch (rule) {
    case AdmissionRule::kAll:
      return "all";
    case AdmissionRule::kInteractive:
      return "interactive";
    case AdmissionRule::kSecondUse:
      return "second-use";
    case AdmissionRule::kPolicy:
      return "policy";
  }
  return "unknown";
}

model::Result<AdmissionRule> parse_admission_rule(std::string_view word) {
  for (const AdmissionRule rule : {AdmissionRule::kAll, AdmissionRule::kInteractive,
                                   AdmissionRule::kSecondUse, AdmissionRule::kPolicy}) {
    if (word == admission_rule_name(rule)) return rule;
  }
  return model::make_error(
      model::Errc::kInvalidArgument,
      "no admission rule '" + std::string(word) + "': use all, interactive, second-use or policy");
}

Admission::Admission(const AdmissionOptions& options, int64_t now_ns)
    : options_(options), sketch_(kSketchRows * kSketchWidth / kCountersPerWord) {
  if (options.bytes_per_day != 0) budget_.emplace(options.bytes_per_day, now_ns);
  if (options.tenant_bytes_per_day != 0) tenants_.emplace(options.tenant_bytes_per_day);
}

// Only the smallest counters of a hash grow: the others count somebody else's uses as well.
void Admission::note_use(const model::Hash256& first_span) {
  const uint32_t count = frequency(first_span);
  if (count < kMaxFrequency) {
    for (const Cell& cell : cells_of(first_span)) {
      if (cell.of(sketch_) == count) sketch_[cell.word] += 1ull << cell.shift;
    }
  }
  if (++uses_ == kUsesBetweenHalvings) halve();
}

void Admission::halve() {
  for (uint64_t& word : sketch_) word = word >> 1 & 0x7777'7777'7777'7777ull;
  uses_ = 0;
}

uint32_t Admission::frequency(const model::Hash256& first_span) const {
  uint32_t least = kMaxFrequency;
  for (const Cell& cell : cells_of(first_span)) least = std::min(least, cell.of(sketch_));
  return least;
}

bool Admission::passes_rule(const model::Hash256& first_span, bool batch_class) const {
  switch (options_.rule) {
    case AdmissionRule::kAll:
      return true;
    case AdmissionRule::kInteractive:
      return !batch_class;
    case AdmissionRule::kSecondUse:
      return frequency(first_span) >= 2;
    case AdmissionRule::kPolicy:
      return true;
  }
  return false;
}

AdmissionVerdict Admission::admit(const AdmissionRequest& request, int64_t now_ns) {
  if (!passes_rule(request.first_span, request.batch_class)) {
    ++counters_.refused_by_rule;
    return AdmissionVerdict::kRefusedByRule;
  }
  WriteBudget* tenant = tenants_ ? &tenants_->of(request.tenant, now_ns) : nullptr;
  if (tenant != nullptr && !tenant->has(request.bytes, now_ns)) {
    ++counters_.refused_by_tenant_budget;
    return AdmissionVerdict::kRefusedByBudget;
  }
  if (budget_ && !budget_->has(request.bytes, now_ns)) {
    ++counters_.refused_by_budget;
    return AdmissionVerdict::kRefusedByBudget;
  }
  if (tenant != nullptr) tenant->take(request.bytes, now_ns);
  if (budget_) budget_->take(request.bytes, now_ns);
  ++counters_.admitted;
  counters_.admitted_bytes += request.bytes;
  return AdmissionVerdict::kAdmitted;
}

uint64_t Admission::budget_left_bytes(int64_t now_ns) const {
  return budget_ ? budget_->left_bytes(now_ns) : UINT64_MAX;
}

}  // namespace quire::tiering
