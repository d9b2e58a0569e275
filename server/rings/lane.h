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
#include "server/rings/lane_memory.h"

namespace quire::server {

class Lane {
 public:
  // Makes the rings and doorbells, at a place of the memory. Precondition: that has one.
  // kResourceExhausted, kIoError.
  static model::Result<std::unique_ptr<Lane>> create(uint64_t id,
                                                     std::shared_ptr<LaneMemory> memory);

  ~Lane() {
    if (memory_ != nullptr) memory_->give_back(place_);
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  uint64_t id() const { return id_; }
  uint32_t uid() const { return memory_->uid(); }  // charged for it
  const LaneShape& shape() const { return memory_->shape(); }
  // Whether its process has it mapped already.
  bool is_known() const { return known_; }
  // As before the first session. Precondition: nothing of the last one is under way.
  void reset();

  // Descriptors to be sent, in SessionDescriptor order but for the progress, which is the
  // session's; afterwards close_client_descriptors().
  std::array<int, model::kSessionDescriptorCount> client_descriptors(int progress) const;
  void close_client_descriptors();
  // Where it begins in the two memfds, and what is still to be allocated of them.
  LaneMemory& memory() { return *memory_; }
  uint64_t control_offset() const { return memory_->control_offset(place_); }
  uint64_t reply_offset() const { return memory_->reply_offset(place_); }
  // For whoever closes it elsewhere, but for its memory, which may have other lanes. Nothing else
  // may be called afterwards.
  Remains take_remains();
  std::shared_ptr<LaneMemory> take_memory();
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
  Lane(uint64_t id, std::shared_ptr<LaneMemory> memory)
      : id_(id), memory_(std::move(memory)), place_(memory_->take_place()) {}
  model::Result<void> make_doorbells();
  void place_rings();
  model::ControlHeader& control() {
    return *reinterpret_cast<model::ControlHeader*>(memory_->control(place_));
  }
  model::ReplyHeader& reply() {
    return *reinterpret_cast<model::ReplyHeader*>(memory_->reply(place_));
  }

  uint64_t id_;
  std::shared_ptr<LaneMemory> memory_;
  uint32_t place_;  // in it
  bool known_ = false;
  model::FdGuard doorbell_;      // client writes, daemon polls edge-triggered
  model::FdGuard wakeup_event_;  // daemon writes; private
  model::FdGuard wakeup_epoll_;  // what the client polls
  model::RingConsumer<model::Submission> submissions_;
  model::RingProducer<model::Completion> completions_;
  uint32_t outstanding_ = 0;  // taken, not yet completed
  bool unpublished_ = false;
};

}  // namespace quire::server
