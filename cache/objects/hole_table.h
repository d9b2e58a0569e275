// Where paths are not on a tier although something below is: by root and depth.
//
// A copy leaves RAM from the end of a path on, so a path is in RAM up to some depth and below it
// from there on; but for holes: spans out of RAM with a child in it. An engine that still holds a
// prefix commits behind one, and a segment that is taken leaves some. Between two holes the rule
// holds, so whoever knows their depths finds what is in RAM by binary search. So on SSD, where a
// span that a check gave up is a hole until it is written again.
//
// A place for each depth of a root that has holes, not for each hole: a map of what is rare.
// Threads: core only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

#include "model/ids.h"

namespace quire::cache {

class HoleTable {
 public:
  // A span that ends there became a hole, or another one did.
  void add(model::RootId root, uint32_t units) { ++depths_[{root.value, units}]; }
  // Precondition: one was added there.
  void remove(model::RootId root, uint32_t units) {
    const auto depth = depths_.find({root.value, units});
    if (--depth->second == 0) depths_.erase(depth);
  }
  // Calls visit(units) for each depth of the root up to `deepest` that has holes, the deepest
  // first, while visit says so.
  template <typename Visit>
  void for_each_depth(model::RootId root, uint32_t deepest, Visit&& visit) const {
    auto depth = depths_.upper_bound({root.value, deepest});
    while (depth != depths_.begin()) {
      --depth;
      if (depth->first.first != root.value || !visit(depth->first.second)) return;
    }
  }
  // Holes of the root at this depth, on whatever path.
  uint64_t count(model::RootId root, uint32_t units) const {
    const auto depth = depths_.find({root.value, units});
    return depth == depths_.end() ? 0 : depth->second;
  }
  bool empty() const { return depths_.empty(); }
  size_t depth_count() const { return depths_.size(); }

 private:
  std::map<std::pair<uint32_t, uint32_t>, uint64_t> depths_;  // (root, units): holes
};

}  // namespace quire::cache
