// The memory of lanes of one shape and one process: a file that the client writes and one that it
// reads, with a place for each lane in both.
//
// Whoever is killed leaves its files to the kernel, which takes some 5 us to free one, however
// small: of thousands of sessions that is what an end costs, and what their neighbours wait for. So
// a process with many lanes of a shape gets files for many at once (lanes_beside()), at most as
// many as it has. All of it is charged from its making on, for its client can write all of it.
//
// Threads: core only. Lifetime: that of its last lane.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>

#include "model/session_shm.h"
#include "server/rings/shared_region.h"
#include "server/runtime/off_core_closer.h"

namespace quire::server {

struct LaneShape {
  uint32_t ring_entries = 0;
  uint32_t max_units = 0;
  uint32_t max_load_pages = 0;

  bool operator==(const LaneShape&) const = default;
  // kInvalidArgument names the bound.
  model::Result<void> check() const;
  uint64_t total_bytes() const { return control().bytes + reply().bytes; }
  model::ControlGeometry control() const {
    return model::control_geometry(ring_entries, max_units);
  }
  model::ReplyGeometry reply() const { return model::reply_geometry(ring_entries, max_load_pages); }
};

class LaneMemory {
 public:
  static constexpr uint32_t kMostLanes = 16;
  // Of memory for more lanes than the one that is asked for.
  static constexpr uint64_t kMostBytes = 4 << 20;
  // While it has places: of the files, to be sent with each lane.
  static constexpr uint32_t kDescriptors = 2;

  // For so many, at least one. Precondition: the shape passed check(). kResourceExhausted,
  // kIoError.
  static model::Result<std::shared_ptr<LaneMemory>> create(uint32_t uid, const LaneShape& shape,
                                                           uint32_t lanes = 1);
  // For how many the next one is made for a process with so many lanes of this shape.
  static uint32_t lanes_beside(uint32_t lanes, const LaneShape& shape);

  uint32_t uid() const { return uid_; }  // charged for it
  const LaneShape& shape() const { return shape_; }
  uint64_t bytes() const { return lanes_ * shape_.total_bytes(); }
  uint32_t descriptor_count() const { return lanes_ > 1 ? kDescriptors : 0; }

  uint32_t lane_count() const { return static_cast<uint32_t>(std::popcount(taken_)); }
  bool has_place() const { return lane_count() < lanes_; }
  // Precondition: has_place(). What another lane left there is still there.
  uint32_t take_place();
  void give_back(uint32_t place);
  std::byte* control(uint32_t place) const { return control_.data() + control_offset(place); }
  std::byte* reply(uint32_t place) const { return reply_.data() + reply_offset(place); }
  uint64_t control_offset(uint32_t place) const { return place * shape_.control().bytes; }
  uint64_t reply_offset(uint32_t place) const { return place * shape_.reply().bytes; }

  // What a client maps; -1 once a lane's are sent and no other will be.
  int control_fd() const { return control_.client_fd(); }
  int reply_fd() const { return reply_.client_fd(); }
  void sent();
  // What its client reads, to be allocated before the descriptors of its first lane are sent. Not
  // valid afterwards.
  model::FdGuard take_unallocated() { return reply_.take_unallocated(); }
  uint64_t unallocated_bytes() const { return reply_.bytes(); }
  // For whoever closes it elsewhere. Nothing else may be called afterwards.
  Remains take_remains();

 private:
  LaneMemory(uint32_t uid, const LaneShape& shape, uint32_t lanes)
      : uid_(uid), shape_(shape), lanes_(lanes) {}

  uint32_t uid_;
  LaneShape shape_;
  uint32_t lanes_;
  uint32_t taken_ = 0;  // a bit a place
  SharedRegion control_;
  SharedRegion reply_;
};

}  // namespace quire::server
