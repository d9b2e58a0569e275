// Which segments of the pool the engine knows: each is registered once, when the first of its pages
// moves, and forgotten before its memory goes. Threads: core only. Lifetime: the engine outlives
// it.
#pragma once

#include <cstddef>
#include <vector>

#include "allocator/pool.h"
#include "tiering/io/io_engine.h"

namespace quire::tiering {

class RegisteredSegments {
 public:
  explicit RegisteredSegments(IoEngine* engine) : engine_(engine) {}
  RegisteredSegments(const RegisteredSegments&) = delete;
  RegisteredSegments& operator=(const RegisteredSegments&) = delete;
  ~RegisteredSegments();

  // Registers the segment of this slot. False: the engine refused just now; its pages move all the
  // same, and it is not asked again before forget().
  bool cover(const allocator::Pool& pool, model::SlotId slot);
  // The segment that starts there goes away.
  void forget(const std::byte* start);

 private:
  IoEngine* engine_;
  std::vector<const std::byte*> starts_;  // sorted; refused ones too
};

}  // namespace quire::tiering
