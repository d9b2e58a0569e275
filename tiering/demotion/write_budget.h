// Bytes a day that may be written.
//
// WriteBudget: a token bucket that refills evenly and holds at most one hour's worth, so that a
// burst cannot spend a day. It starts full. An object larger than that hour is admitted by a full
// bucket and leaves a debt: the average holds, and nothing is refused for ever. A clock that steps
// back refills nothing.
//
// WriteBudgets: one of equal size for each name. A bucket that is full again is as good as none,
// so it may be forgotten: the table has kMaxNames at most, and who comes while all of these owe
// something shares one with all others that do. Manual clock in. Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace quire::tiering {

class WriteBudget {
 public:
  // Precondition: bytes_per_day > 0.
  WriteBudget(uint64_t bytes_per_day, int64_t now_ns);

  bool has(uint64_t bytes, int64_t now_ns) const;
  // Precondition: it has them.
  void take(uint64_t bytes, int64_t now_ns);
  uint64_t left_bytes(int64_t now_ns) const;  // 0 in debt
  bool is_full(int64_t now_ns) const { return left_at(now_ns) >= bucket_bytes_; }

 private:
  double left_at(int64_t now_ns) const;

  double bucket_bytes_;  // one hour's worth
  double left_bytes_;    // at at_ns_; below 0: debt
  int64_t at_ns_;
};

class WriteBudgets {
 public:
  static constexpr size_t kMaxNames = 4096;

  explicit WriteBudgets(uint64_t bytes_per_day) : bytes_per_day_(bytes_per_day) {}

  WriteBudget& of(std::string_view name, int64_t now_ns);
  size_t count() const { return by_name_.size(); }

 private:
  uint64_t bytes_per_day_;
  std::unordered_map<std::string, WriteBudget> by_name_;  // "": of those that share one
};

}  // namespace quire::tiering
