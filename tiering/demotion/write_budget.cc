#include "tiering/demotion/write_budget.h"

#include <algorithm>

namespace quire::tiering {
namespace {

constexpr double kHoursPerDay = 24;
constexpr double kNsPerHour = 3600e9;

}  // namespace

WriteBudget::WriteBudget(uint64_t bytes_per_day, int64_t now_ns)
    : bucket_bytes_(static_cast<double>(bytes_per_day) / kHoursPerDay),
      left_bytes_(bucket_bytes_),
      at_ns_(now_ns) {}

double WriteBudget::left_at(int64_t now_ns) const {
  if (now_ns <= at_ns_) return left_bytes_;
  const uint64_t passed_ns = static_cast<uint64_t>(now_ns) - static_cast<uint64_t>(at_ns_);
  const double refill = static_cast<double>(passed_ns) / kNsPerHour * bucket_bytes_;
  return std::min(left_bytes_ + refill, bucket_bytes_);
}

bool WriteBudget::has(uint64_t bytes, int64_t now_ns) const {
  return left_at(now_ns) >= std::min(static_cast<double>(bytes), bucket_bytes_);
}

void WriteBudget::take(uint64_t bytes, int64_t now_ns) {
  left_bytes_ = left_at(now_ns) - static_cast<double>(bytes);
  at_ns_ = std::max(at_ns_, now_ns);
}

uint64_t WriteBudget::left_bytes(int64_t now_ns) const {
  return static_cast<uint64_t>(std::max(left_at(now_ns), 0.0));
}

WriteBudget& WriteBudgets::of(std::string_view name, int64_t now_ns) {
  const std::string key(name);
  if (const auto known = by_name_.find(key); known != by_name_.end()) return known->second;
  if (by_name_.size() + 1 >= kMaxNames) {
    std::erase_if(by_name_, [&](const auto& one) { return one.second.is_full(now_ns); });
  }
  // One place stays for what is shared.
  const bool shares = by_name_.size() + 1 >= kMaxNames;
  return by_name_.try_emplace(shares ? std::string() : key, bytes_per_day_, now_ns).first->second;
}

}  // namespace quire::tiering
