// Sessions and the processes attached to them.
//
//   ClientProcess 1 --- n Attachment n --- 1 Session
//
// An attachment is one process's rings, staging area, leases and claims; it ends with its
// connection or its close. A session ends with its last attachment. Both are kept a little longer
// ("draining") while copy workers still read the staging area, or leases go in steps. Threads: core
// only; shared memory as model/session_shm.h says.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/checkpoint_policy.h"
#include "model/session_shm.h"
#include "model/wire.h"
#include "server/rings/client_process.h"
#include "server/rings/pending.h"
#include "server/rings/shared_region.h"
#include "server/rings/turn.h"
#include "server/runtime/event_loop.h"
#include "server/runtime/off_core_closer.h"

namespace quire::server {

// Who pays, and by which prices; receipts carry it.
struct SessionBilling {
  std::string payer;  // the tenant; in a shared namespace the root names none
  uint64_t conversation = 0;
  std::string model;
  std::string service_tier;
  std::string retention;
  bool is_explicit = false;
};

struct Session {
  model::SessionId id;
  std::array<uint8_t, 16> token{};
  model::DomainId domain;
  model::LayoutId layout;
  uint32_t max_units = 0;
  std::string tenant;
  std::string namespace_name;
  SessionBilling billing;
  cache::CacheSession cached;
  SharedRegion progress;
  uint32_t member_count = 0;    // attachments alive
  uint32_t draining_count = 0;  // attachments ended, with copies in flight or leases
  cache::HolderTag next_holder = 1;
  uint32_t uid = 0;  // charged for it
  // --- TurnMeter's ---
  Turn turn;  // the present one
  // Where it stands among those whose turn changed since it was told; null: it did not.
  std::vector<Session*>* changed_list = nullptr;
  uint32_t changed_place = 0;
  uint64_t remembered = 0;        // the present turn's, in TurnMemory; 0: it is not
  bool turn_is_open = false;      // it has something to tell
  bool closed_by_client = false;  // its last process says goodbye

  // From now on; its processes see it without being told.
  void ask_for_checkpoints(const model::CheckpointPolicy& policy, const model::Layout& layout);
  model::ProgressHeader& progress_header() {
    return *reinterpret_cast<model::ProgressHeader*>(progress.data());
  }
};

struct AttachmentShape {
  uint32_t ring_entries = 0;
  uint32_t max_units = 0;
  uint32_t max_load_pages = 0;
  uint64_t staging_bytes = 0;

  // kInvalidArgument names the bound.
  model::Result<void> check() const;
  uint64_t total_bytes() const;
};

class Attachment final : public EventHandler {
 public:
  // Makes the regions, rings and doorbells. Precondition: the shape passed check().
  // kResourceExhausted, kIoError.
  static model::Result<std::unique_ptr<Attachment>> create(Session* session, ClientProcess* client,
                                                           const AttachmentShape& shape);

  Session& session() { return *session_; }
  ClientProcess& client() { return *client_; }
  const AttachmentShape& shape() const { return shape_; }
  cache::HolderTag holder_tag() const { return holder_tag_; }

  // Descriptors to be sent, in SessionDescriptor order; afterwards close_client_descriptors().
  std::array<int, model::kSessionDescriptorCount> client_descriptors() const;
  void close_client_descriptors();
  // The memory that the client reads, to be allocated before its descriptors are sent.
  model::FdGuard take_unallocated() { return reply_.take_unallocated(); }
  uint64_t unallocated_bytes() const { return reply_.bytes(); }
  // For whoever closes it elsewhere. Nothing else may be called afterwards.
  Remains take_remains();
  int doorbell_fd() const { return doorbell_.get(); }
  // The doorbell rang.
  void on_event(uint32_t) override { activate(); }
  // Back among those that are polled, if it was not: it has something to do.
  void activate();

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

  // The client's hashes: any bytes, at any time (law 6).
  cache::ChainView chain() const;
  // The area that the client reads; the daemon alone writes it.
  std::span<model::PageDescriptor> descriptors() const;
  // The client may write it at any time; copy workers read it.
  const std::byte* staging() const { return staging_.data(); }

  // What its process knows the session by, unique in the daemon: a process may be attached to one
  // session twice, and closes one of them. Set by the registry.
  uint64_t id = 0;
  size_t place = 0;  // in the registry's attachments()

  // --- owned by the dispatcher ---
  cache::LeaseHolder leases;
  PendingLists pending;        // requests that are taken and not answered
  cache::PendingLoad loading;  // under way: of the first load that waits for its turn
  int64_t last_active_ns = 0;
  uint32_t matched_turn = 0;        // number of the session's turn that it matched in last
  uint32_t copies_in_flight = 0;    // tasks that read staging or write for it
  uint32_t ended_fills_cursor = 0;  // of ObjectWriter::end_holder, once ended
  bool fills_ended = false;
  bool active = false;  // in *active_list, polled each turn; otherwise armed
  std::vector<Attachment*>* active_list = nullptr;
  bool ended = false;

 private:
  Attachment() = default;
  model::Result<void> make_regions();
  model::Result<void> make_doorbells();
  model::ControlHeader& control() {
    return *reinterpret_cast<model::ControlHeader*>(control_.data());
  }
  model::ReplyHeader& reply() { return *reinterpret_cast<model::ReplyHeader*>(reply_.data()); }

  Session* session_ = nullptr;
  ClientProcess* client_ = nullptr;
  AttachmentShape shape_;
  cache::HolderTag holder_tag_ = 0;
  SharedRegion control_;
  SharedRegion staging_;
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
