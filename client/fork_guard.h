// Tells a forked child from the process that connected: one page which the kernel wipes in the
// child (MADV_WIPEONFORK). A child shares the parent's socket and rings and must touch neither.
// One load per check; never a system call. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "model/result.h"

namespace quire::client {

class ForkGuard {
 public:
  // kIoError where the kernel has no MADV_WIPEONFORK (before 4.14).
  static model::Result<ForkGuard> create();
  ForkGuard(ForkGuard&& other) noexcept;
  ForkGuard& operator=(ForkGuard&&) = delete;
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
  ~ForkGuard();

  bool forked() const { return magic_->load(std::memory_order_relaxed) != kMagic; }

 private:
  static constexpr uint64_t kMagic = 0x656d617345524957;  // any non-zero value
  explicit ForkGuard(std::atomic<uint64_t>* magic) : magic_(magic) {}

  std::atomic<uint64_t>* magic_;  // start of the page; nullptr after a move
};

}  // namespace quire::client
