// What each uid holds of what is bounded for all, and how much of it one uid may have.
//
// A bound that one uid can fill is a bound that it can take from everybody. So a uid gets at most
// its share (--uid_share_percent), and the last sixteenth is kept for administrators: root, and the
// daemon's own uid, who may also have all. Charged when it is taken, given back when it is really
// gone. Threads: core only. Bound: an entry lives as long as its uid holds something.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>

#include "cache/fill/cache_session.h"
#include "model/metrics.h"
#include "model/result.h"

namespace quire::server {

enum class Shared : uint8_t { kConnections, kSessions, kSessionBytes, kDescriptors, kLayouts };
inline constexpr size_t kSharedCount = 5;

class UidShares {
 public:
  using Amounts = std::array<uint64_t, kSharedCount>;  // by Shared
  struct Use {
    Amounts amounts{};
    cache::HolderShare holders;  // leases, counted by the cache
    bool empty() const;
  };

  // `totals`: all there is of each; `percent`: of that, what one uid may have.
  UidShares(const Amounts& totals, uint32_t percent);

  // Who has more than the new bounds allow keeps it, and gets no more. Leases of a uid that is here
  // already keep their bound.
  void set_bounds(uint64_t connections, uint32_t percent);
  // Root and the daemon's own uid.
  static bool is_administrator(uint32_t uid);
  // kBusy names the bound: the uid's share, or all there is.
  model::Result<void> check(uint32_t uid, Shared what, uint64_t amount) const;
  // Precondition: check() allowed it; nothing is refused here.
  void take(uint32_t uid, Shared what, uint64_t amount);
  // Precondition: so much was taken.
  void give_back(uint32_t uid, Shared what, uint64_t amount);
  // Stays valid while the uid holds a connection.
  cache::HolderShare* holders(uint32_t uid);

  // Null: it holds nothing.
  const Use* find(uint32_t uid) const;
  uint64_t used(Shared what) const { return used_[static_cast<size_t>(what)]; }
  // More than half of it is in use.
  bool is_scarce(Shared what) const { return used(what) > totals_[static_cast<size_t>(what)] / 2; }
  uint64_t largest(uint32_t uid, Shared what) const;  // what this uid may hold at most
  size_t uid_count() const { return uses_.size(); }
  // A row: what the uid holds, and what it may.
  void describe(model::MetricSink& sink, uint32_t uid) const;
  template <typename Visit>
  void for_each_uid(Visit&& visit) const {
    for (const auto& [uid, use] : uses_) visit(uid);
  }

 private:
  bool may_have_all(uint32_t uid) const { return uid == 0 || uid == own_uid_; }
  Use& use_of(uint32_t uid);
  uint64_t open_to(uint32_t uid, Shared what) const;

  Amounts totals_;
  uint32_t percent_;
  // The daemon's. A status asks for every figure, and asking the kernel each time took longer than
  // all else of it.
  uint32_t own_uid_;
  Amounts used_{};
  std::unordered_map<uint32_t, Use> uses_;  // by uid; entries do not move
};

}  // namespace quire::server
