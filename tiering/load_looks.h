// Which loads are looked at in a step: those that something happened to, those whose deadline has
// come, then the next ones in turn. A node that several loads wait for tells only the one that
// reads it, so an event means that every load is to be looked at once, in the steps that follow.
//
// Bound: kLooksPerStep late ones and as many in turn, whatever number waits. Threads: core only.
// Lifetime: loads stay where they are while they stand here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "tiering/load_record.h"

namespace quire::tiering {

inline constexpr size_t kLooksPerStep = 16;  // some 4 us: each is a cache miss or two

class LoadLooks {
 public:
  void add(LoadRecord& load) {
    load.look = in_turn_.insert(in_turn_.end(), &load);
    deadlines_.emplace(load.deadline_ns, &load);
  }
  void remove(LoadRecord& load) {
    in_turn_.erase(load.look);
    deadlines_.erase({load.deadline_ns, &load});
    if (load.is_touched) std::erase(touched_, &load);
  }
  // In the next step.
  void touch(LoadRecord& load) {
    if (std::exchange(load.is_touched, true)) return;
    touched_.push_back(&load);
  }
  // Each of them may have waited for what happened.
  void touch_all() { owed_ = in_turn_.size(); }
  // look(load): true when the load ended, and was removed. Returns whether one did, or more are to
  // be looked at.
  template <typename Look>
  bool step(int64_t now_ns, Look&& look);
  size_t count() const { return in_turn_.size(); }
  bool is_consistent() const { return deadlines_.size() == in_turn_.size(); }

 private:
  LoadList in_turn_;  // all
  std::set<std::pair<int64_t, LoadRecord*>> deadlines_;
  std::vector<LoadRecord*> touched_;
  size_t owed_ = 0;  // looks in turn
};

template <typename Look>
bool LoadLooks::step(int64_t now_ns, Look&& look) {
  bool ended = false;
  while (!touched_.empty()) {
    LoadRecord& load = *touched_.back();
    touched_.pop_back();
    load.is_touched = false;
    ended = look(load) || ended;
  }
  for (size_t i = 0; i < kLooksPerStep && !deadlines_.empty(); ++i) {
    const auto [deadline_ns, load] = *deadlines_.begin();
    if (deadline_ns > now_ns) break;
    ended = look(*load) || ended;
  }
  const size_t looks = std::min(in_turn_.size(), kLooksPerStep);
  for (size_t i = 0; i < looks && !in_turn_.empty(); ++i) {
    in_turn_.splice(in_turn_.end(), in_turn_, in_turn_.begin());
    ended = look(*in_turn_.back()) || ended;
  }
  owed_ -= std::min(owed_, looks);
  return ended || owed_ > 0;
}

}  // namespace quire::tiering
