// Leases that a session holds, with the page views of their loads. Records and view buffers are
// reused, so that after warm-up a match, load, release cycle allocates nothing.
// Threads: the session's.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "client/quire.h"
#include "model/ring_frames.h"

namespace quire::client {

inline constexpr size_t kMaxHeldLeases = 1024;     // per session; each pins a path in the daemon
inline constexpr size_t kMaxLoadsPerLease = 8192;  // one per layer and piece, with slack

struct HeldLease {
  uint64_t lease = 0;
  // Of the match; with the span's end they bound what a load of it can bring.
  uint32_t exact_tokens = 0;
  uint32_t span_tokens = 0;
  uint32_t loading = 0;                      // loads in flight: the daemon is reading the pages
  uint32_t untaken = 0;                      // loads whose pages wait to be taken
  std::vector<std::vector<PageView>> loads;  // a buffer's memory stays when the outer vector grows
  std::vector<std::vector<RunView>> run_loads;
  std::vector<uint32_t> segments;  // uses to be given back; may name a segment repeatedly
};

class HeldLeases {
 public:
  size_t count() const { return held_.size(); }
  // Precondition: match.lease is not 0. The address stays while it is held.
  HeldLease& add(const model::MatchResult& match);
  // Null: not held, or released.
  HeldLease* find(uint64_t lease);
  // An empty buffer that belongs to the lease.
  std::vector<PageView>& add_load(HeldLease& lease);
  std::vector<RunView>& add_run_load(HeldLease& lease);
  // The caller gave lease.segments back. Its views end here.
  void remove(HeldLease& lease);
  std::vector<std::unique_ptr<HeldLease>>& all() { return held_; }

 private:
  void recycle(HeldLease& lease);

  std::vector<std::unique_ptr<HeldLease>> held_;  // addresses stay while held
  std::vector<std::unique_ptr<HeldLease>> spare_;
  std::vector<std::vector<PageView>> spare_views_;
  std::vector<std::vector<RunView>> spare_runs_;
};

}  // namespace quire::client
