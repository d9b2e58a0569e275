// Frees eviction policies that are in charge of nothing any more, on a thread of its own: one that
// ordered a million entries gives tens of megabytes back to the kernel, in milliseconds.
//
// Threads: give() by the core. The destructor frees what it was given.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "cache/eviction/policy.h"
#include "model/helper_thread.h"
#include "model/result.h"

namespace quire::server {

class PolicyDisposer {
 public:
  using Policies = std::vector<std::unique_ptr<cache::EvictionPolicy>>;

  // kResourceExhausted: no thread can be had.
  static model::Result<std::unique_ptr<PolicyDisposer>> create();
  void give(Policies policies);

 private:
  PolicyDisposer() = default;

  std::mutex mutex_;  // held to push or to swap
  Policies waiting_;
  model::HelperThread helper_;  // last: ends before what it uses goes
};

}  // namespace quire::server
