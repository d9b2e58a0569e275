// Room on the device for what is demoted.
//
//   take(): free slots -- none --> make(): regions with blocks, else new ones, else copies that are
//                                          least useful go
//
// A file system that has no room for another region leaves the tier those it has: copies in them
// make room for each other, nothing is judged to have failed, and growing is tried again by a
// doubling interval. Threads: core only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "tiering/commit/ssd_committer.h"

namespace quire::tiering {

class SsdRoom {
 public:
  SsdRoom(const CommitterParts& parts, SsdCommitter* committer)
      : parts_(parts), committer_(committer) {}

  // As SsdSpace::take, but nothing in a sealed file.
  std::optional<SsdRun> take(uint64_t slot_bytes, uint32_t count, SsdSlot after);
  // True: take() finds room of this size now, for a tenant. False: later; blocked_by() says what it
  // waits for.
  bool make(uint64_t slot_bytes, model::TenantId asker, int64_t now_ns);
  // False: neither now nor after any eviction; not before the tier may be larger, if at all.
  bool can_hold(uint64_t slot_bytes, int64_t now_ns) const;
  // The same of so many regions at once.
  bool can_hold_regions(uint64_t regions, int64_t now_ns) const;
  // False: nor beside these regions, which stay as they are, and those of kept content.
  bool can_hold_beside(const std::unordered_set<uint32_t>& regions, uint64_t slot_bytes,
                       int64_t now_ns) const;
  // That `count` slots of this size take when they lie as close as they can.
  uint64_t regions_of(uint64_t slot_bytes, uint64_t count) const;

  // Goes on with an allocation that came back.
  void step(int64_t now_ns);
  bool allocating() const { return made_.has_value(); }
  // Why make() could not; empty: it could.
  const std::string& blocked_by() const { return blocked_by_; }
  // The last make() found nothing that could go, and nothing is on its way.
  bool stuck() const { return stuck_; }
  // Why the tier is smaller than it may be; empty: it is not.
  const std::string& limited_by() const { return limited_by_; }
  // Times that the tier could grow again after it could not.
  uint64_t relieved_count() const { return relieved_count_; }

 private:
  bool begin_allocating(SsdSpace::NewRegion made, int64_t now_ns);
  void allocate_next();
  void finish_allocation(int error, int64_t now_ns);
  void allocation_failed(int error, int64_t now_ns);
  uint64_t usable_regions(uint64_t unusable, int64_t now_ns) const;
  void evict(uint64_t enough_bytes, model::TenantId asker);

  CommitterParts parts_;
  SsdCommitter* committer_;
  std::string blocked_by_;
  std::string limited_by_;
  bool stuck_ = false;
  std::optional<SsdSpace::NewRegion> made_;  // its blocks are being allocated, absent.back() now
  IoOp allocation_;
  IoClient client_;
  int64_t grow_at_ns_ = 0;  // not tried before
  int64_t grow_interval_ns_ = 0;
  uint64_t relieved_count_ = 0;
};

}  // namespace quire::tiering
