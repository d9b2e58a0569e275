// How much the cache has done for its callers, in elementary steps: a node or fill looked at, an
// index probe, a page reserved, described, given back. A step costs some 5 to 100 ns. What a call
// costs is the difference before and after; the server takes turns by it and shows the largest.
// Threads: core only.
#pragma once

#include <cstdint>

namespace quire::cache {

class WorkMeter {
 public:
  void add(uint64_t steps) { steps_ += steps; }
  uint64_t steps() const { return steps_; }

 private:
  uint64_t steps_ = 0;
};

}  // namespace quire::cache
