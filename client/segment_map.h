// The domain's segments mapped in this process, read-only, shared by all sessions of an attachment.
//
// 1. A segment stays mapped while it has users (one per lease with views into it).
// 2. A retired segment is unmapped at once or with its last user; then, and only then, its id comes
//    out of take_unmapped() to be acknowledged: the daemon reuses the memory after that.
// 3. Segment ids are never reused in a daemon's life, so a retired id never comes back.
// 4. The observer hears of a mapping before anyone can find it, and again before it goes.
// Threads: any (one short lock; mapping, unmapping and the observer's calls happen outside it).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "client/guarded.h"
#include "client/segment_observer.h"
#include "model/fd_guard.h"
#include "model/result.h"
#include "model/wire.h"

namespace quire::client {

struct SegmentView {
  const std::byte* data = nullptr;
  uint64_t bytes = 0;
};

// 64 TiB of the smallest segments: past it something is wrong with the daemon.
inline constexpr size_t kMaxSegments = 1 << 20;

class SegmentMap {
 public:
  // `observer` may be null; it is told of every mapping that insert() takes, until it goes.
  explicit SegmentMap(SegmentObserver* observer = nullptr) : observer_(observer) {}
  ~SegmentMap();
  SegmentMap(const SegmentMap&) = delete;
  SegmentMap& operator=(const SegmentMap&) = delete;
  // Ids are this epoch's. Before the first insert().
  void set_epoch(uint64_t daemon_epoch) { epoch_ = daemon_epoch; }
  // In a forked child: nothing is told any more.
  void forget_observer() { observer_ = nullptr; }

  // Maps what a daemon sent. kCorrupt unless the descriptor has at least info.bytes and is sealed
  // against shrinking, growing and new writable mappings: without the seals a read could be killed
  // by SIGBUS or see bytes change.
  static model::Result<model::Mapping> map_sealed(int fd, const model::SegmentInfo& info,
                                                  bool populate);

  // Keeps the older mapping when two threads mapped the same segment.
  model::Result<void> insert(uint32_t segment, model::Mapping mapping);
  // Adds a user. Nothing when the segment is not mapped here.
  std::optional<SegmentView> acquire(uint32_t segment);
  // Drops one user of each.
  void release(std::span<const uint32_t> segments);
  void retire(uint32_t segment);

  // Ids whose memory is gone from this process; each once.
  std::vector<uint32_t> take_unmapped();
  bool has_unmapped() const { return unmapped_count_.load(std::memory_order_relaxed) != 0; }
  uint64_t mapped_bytes();

 private:
  struct Entry {
    uint32_t segment = 0;
    uint32_t users = 0;
    bool retired = false;
    model::Mapping mapping;
  };
  struct Table {
    std::vector<Entry> entries;      // ascending by segment
    std::vector<uint32_t> unmapped;  // to be acknowledged
  };
  static std::vector<Entry>::iterator find(Table& table, uint32_t segment);
  void unmap(std::vector<Entry> gone);
  SegmentMemory memory_of(const Entry& entry) const;

  SegmentObserver* observer_;
  uint64_t epoch_ = 0;
  Guarded<Table> table_;
  std::atomic<size_t> unmapped_count_{0};  // a hint that spares the lock; relaxed
};

}  // namespace quire::client
