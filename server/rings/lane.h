// The memory and descriptors by which a client process and the core talk of one session: its rings,
// hashes and page descriptors (model/session_shm.h), and its doorbells.
//
// A process keeps a lane when a session ends, and the next session that asks for one of its shape
// gets it: making one takes files, mappings and allocation, and most of an open is that. Between
// two sessions reset() leaves nothing of the first; a lane never changes its process.
//
// Trust: what the client writes is read once, into locals, and any value is survived (law 6).
// Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "cache/cache.h"
#include "model/session_shm.h"
#include "model/wire.h"
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
  uint64_t total_bytes() const;
};

class Lane {
 public:
  // Makes the regions, rings and doorbells. Precondition: the shape passed check().
  // kResourceExhausted, kIoError.
  static model::Result<std::unique_ptr<Lane>> create(uint64_t id, uint32_t uid,
                                                     const LaneShape& shape);

  uint64_t id() const { return id_; }
  uint32_t uid() const { return uid_; }  // charged for it
  const LaneShape& shape() const { return shape_; }
  // Whether its process has it mapped already.
  bool is_known() const { return known_; }
  // As before the first session. Precondition: nothing of the last one is under way.
  void reset();

  // Descriptors to be sent, in SessionDescriptor order but for the progress, which is the
  // session's; afterwards close_client_descriptors().
  std::array<int, model::kSessionDescriptorCount> client_descriptors(int progress) const;
  void close_client_descriptors();
  // The memory that the client reads, to be allocated before its descriptors are sent.
  model::FdGuard take_unallocated() { return reply_.take_unallocated(); }
  uint64_t unallocated_bytes() const { return reply_.bytes(); }
  // For whoever closes it elsewhere. Nothing else may be called afterwards.
  Remains take_remains();
  int doorbell_fd() const { return doorbell_.get(); }

  // --- ring, daemon's side ---
  enum class Next : uint8_t { kNone, kReady, kScribbled };
  // Whether a submission can be taken now: one is there, and its completion will fit.
  Next next();
  model::Submission take();
  // Room is certain: take() reserved it.
  void complete(const model::Completion& completion);
  // Makes completions and the freed submission entries visible; wakes a sleeping client.
  void publish();
  // Tells the client to ring. True when there is still nothing to take: it may be left alone.
  bool arm();
  // The client need not ring.
  void disarm();
  // How many descriptors of the load with this progress slot (1..16) may be read; 0 otherwise.
  void publish_load_ready(uint8_t slot, uint32_t descriptors);
  // Nothing will complete any more.
  void mark_closed();
  // Requests that were taken and not completed; at most the ring's entries.
  uint32_t outstanding() const { return outstanding_; }

  // The client's hashes: any bytes, at any time.
  cache::ChainView chain() const;
  // The area that the client reads; the daemon alone writes it.
  std::span<model::PageDescriptor> descriptors() const;

  // The progress of the session that it was made for, kept for the next one; its process has it
  // mapped. Not valid while a session has it.
  SharedRegion progress;

 private:
  Lane(uint64_t id, uint32_t uid, const LaneShape& shape) : id_(id), uid_(uid), shape_(shape) {}
  model::Result<void> make_regions();
  model::Result<void> make_doorbells();
  void place_rings();
  model::ControlHeader& control() {
    return *reinterpret_cast<model::ControlHeader*>(control_.data());
  }
  model::ReplyHeader& reply() { return *reinterpret_cast<model::ReplyHeader*>(reply_.data()); }

  uint64_t id_;
  uint32_t uid_;
  LaneShape shape_;
  bool known_ = false;
  SharedRegion control_;
  SharedRegion reply_;
  model::FdGuard doorbell_;      // client writes, daemon polls edge-triggered
  model::FdGuard wakeup_event_;  // daemon writes; private
  model::FdGuard wakeup_epoll_;  // what the client polls
  model::RingConsumer<model::Submission> submissions_;
  model::RingProducer<model::Completion> completions_;
  uint32_t outstanding_ = 0;  // taken, not yet completed
  bool unpublished_ = false;
};

}  // namespace quire::server
