// Gives room back that is beyond --ssd_bytes: after the operator lowered it, copies go in the order
// of the policy, a few a step, until no more regions are in use than it allows; blocks of regions
// that are in use no more go back to the file system, one region at a time. Law 8: a region is in
// use until no record names a slot of it. Threads: core only.
#pragma once

#include <cstdint>
#include <string>

#include "tiering/commit/ssd_committer.h"
#include "tiering/io/io_port.h"
#include "tiering/space/ssd_files.h"
#include "tiering/space/ssd_space.h"
#include "tiering/transfer/ssd_health.h"

namespace quire::tiering {

struct ShrinkerParts {
  SsdCommitter* committer = nullptr;
  SsdSpace* space = nullptr;
  SsdFiles* files = nullptr;
  IoPort* io = nullptr;
  SsdHealth* health = nullptr;
  const model::Clock* clock = nullptr;
};

class SsdShrinker {
 public:
  explicit SsdShrinker(const ShrinkerParts& parts) : parts_(parts) {}

  bool step();
  bool idle() const { return !running_ && !parts_.space->is_over_capacity(); }
  uint64_t regions_given_back() const { return regions_given_back_; }
  // Why it does not go on; empty: it does, or has nothing to do.
  const std::string& blocked_by() const { return blocked_by_; }

 private:
  bool evict();
  bool give_region_back();
  void finish_hole(int error);

  ShrinkerParts parts_;
  IoOp op_;
  IoClient client_;
  bool running_ = false;
  int64_t retry_at_ns_ = 0;  // after a file system refused to take blocks back
  uint64_t regions_given_back_ = 0;
  std::string blocked_by_;
};

}  // namespace quire::tiering
