// Sessions and the processes attached to them.
//
//   ClientProcess 1 --- n Attachment n --- 1 Session
//
// An attachment is one process's lane, leases and claims; it ends with its connection or its close.
// A session ends with its last attachment. Both are kept a little longer ("draining") while copy
// workers still read what it committed, or leases go in steps. Threads: core only.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/checkpoint_policy.h"
#include "model/session_shm.h"
#include "server/rings/client_process.h"
#include "server/rings/handover.h"
#include "server/rings/lane.h"
#include "server/rings/pending.h"
#include "server/rings/shared_region.h"
#include "server/rings/staging_area.h"
#include "server/rings/turn.h"
#include "server/runtime/event_loop.h"

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
  HandoverState handover;
  bool crosses_hosts = false;  // it is given to another host, or follows one (HostHandover)
  SharedRegion progress;
  uint64_t progress_lane = 0;   // that it came with, and goes back to
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
  uint32_t offer_tokens = 0;      // as its opener says (OpenSessionRequest)
  uint32_t reset_count = 0;       // prompts before the present one

  // From now on; its processes see it without being told.
  void ask_for_checkpoints(const model::CheckpointPolicy& policy, const model::Layout& layout);
  // Before whose tails it is asked for a checkpoint; likewise.
  void set_tail(uint32_t tokens);
  model::ProgressHeader& progress_header() {
    return *reinterpret_cast<model::ProgressHeader*>(progress.data());
  }
};

// Of its conversation, whose turns supersede each other's checkpoints: the same for all sessions
// that name one, and unlike any other's of a prompt that names none. Never 0.
uint32_t conversation_tag(const Session& session);

class Attachment final : public EventHandler {
 public:
  // `staging`: what it commits from; null: it does not.
  Attachment(Session* session, ClientProcess* client, std::unique_ptr<Lane> lane,
             StagingArea* staging);

  Session& session() { return *session_; }
  ClientProcess& client() { return *client_; }
  Lane& lane() { return *lane_; }
  const Lane& lane() const { return *lane_; }
  StagingArea* staging() { return staging_; }
  cache::HolderTag holder_tag() const { return holder_tag_; }
  // Of one that ended. Nothing else may be called afterwards.
  std::unique_ptr<Lane> take_lane() { return std::move(lane_); }

  // The doorbell rang.
  void on_event(uint32_t) override { activate(); }
  // Back among those that are polled, if it was not: it has something to do.
  void activate();

  // What its process knows the session by, unique in the daemon: a process may be attached to one
  // session twice, and closes one of them. Set by the registry.
  uint64_t id = 0;
  size_t place = 0;           // in the registry's attachments()
  bool keeps_lane = false;    // its process said so with its close, and nothing of it drains
  bool said_goodbye = false;  // it ends because its process closed the session
  model::SessionRole role = model::SessionRole::kBoth;
  uint32_t taken_tokens = 0;       // HandoverState's
  cache::Reservation reservation;  // of its own loads and leases; empty: its session's counts
  bool progress_known = false;     // its process has the session's progress mapped with the lane

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
  Session* session_;
  ClientProcess* client_;
  std::unique_ptr<Lane> lane_;
  StagingArea* staging_;
  cache::HolderTag holder_tag_;
};

}  // namespace quire::server
