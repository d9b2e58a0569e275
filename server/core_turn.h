// What the core does with rings, copies, the cache and its tiers, turn by turn, without sockets,
// descriptors or sleep. Core puts these around it; the simulator calls it as it stands.
//
// A turn: finished copies, one step of the tiers, finished loads, then at most
// Dispatcher::kSubmissionsPerTurn of each polled ring and kStepsPerTurn of work for each domain,
// then a bounded step of what no request waits for. background() is for every some turns.
//
// Threads: core only. Lifetime: the parts outlive it. Bounds: those of the dispatcher, the
// registry and the tiers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "server/rings/client_process.h"
#include "server/rings/dispatcher.h"
#include "server/runtime/policy_disposer.h"
#include "server/sessions/checkpoint_teller.h"
#include "server/sessions/client_counters.h"
#include "server/sessions/segment_share.h"
#include "server/sessions/session_registry.h"
#include "tiering/tier_set.h"

namespace quire::server {

struct CoreTurnParts {
  cache::Cache* cache = nullptr;
  tiering::CopyEngine* copies = nullptr;
  tiering::TierSet* tiers = nullptr;  // null: RAM only
  const model::Clock* clock = nullptr;
  DispatcherOptions dispatcher;
  RegistryOptions registry;
  ClientCounters* counters = nullptr;
  PolicyDisposer* disposer = nullptr;  // null: what a switch leaves is freed within a turn
  // Called with an attachment that is about to end: its doorbell is watched no more.
  std::function<void(Attachment&)> unwatch;
};

class CoreTurn {
 public:
  static model::Result<std::unique_ptr<CoreTurn>> create(const CoreTurnParts& parts);

  // What a turn found to do.
  struct Work {
    bool clients = false;     // they are likely to ask again at once
    bool device = false;      // which wakes the core by its descriptor
    bool background = false;  // of what no request waits for
  };
  Work step(int64_t now_ns);
  // One bounded step of what has time: segments given up, dead roots, policies that are switched,
  // what ended attachments held. True when the next one has something to do already.
  bool background(int64_t now_ns);

  // Its ring is polled from the next turn after its doorbell rang (Attachment::on_event).
  void watch(Attachment& attachment);
  // Arms every ring that has been idle for `spin_ns`: its client will ring. True when none is left
  // to poll: what waits for an event is woken by it, and is no reason to poll its ring.
  bool arm_idle(int64_t now_ns, int64_t spin_ns);
  // After a sleep: no ring counts as idle yet. True when some are polled.
  bool note_woken(int64_t now_ns);
  // Whether some ring is looked at each turn.
  bool is_polling() const { return !active_.empty(); }
  // The tiers alone, for the last look before a sleep.
  bool step_tiers() { return parts_.tiers != nullptr && parts_.tiers->step(active_.empty()); }

  // Law 5. What is beyond `budget`, which is lowered, follows in background().
  void end_attachment(Attachment& attachment, uint32_t& budget);
  // Of the client's attachments, as many as `budget` is enough for.
  void end_attachments(ClientProcess& client, uint32_t& budget);
  static constexpr uint32_t kEndStepsPerTurn = 1024;  // of a client that is gone: some 100 us

  // The parts, for who wires or watches them.
  Dispatcher& dispatcher() { return *dispatcher_; }
  const Dispatcher& dispatcher() const { return *dispatcher_; }
  SessionRegistry& registry() { return *registry_; }
  SegmentShare& segments() { return *segments_; }
  CheckpointTeller& teller() { return *teller_; }

 private:
  explicit CoreTurn(const CoreTurnParts& parts) : parts_(parts) {}
  // Each polled ring once, as far as its domain's steps of this turn reach.
  bool serve_active(int64_t now_ns);
  bool step_board();
  void end_faulty(Attachment& attachment);

  CoreTurnParts parts_;
  uint64_t settled_ = 0;  // EvictionBoard::settled_count, as those who wait know it
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<SessionRegistry> registry_;
  std::unique_ptr<SegmentShare> segments_;
  std::unique_ptr<CheckpointTeller> teller_;
  std::vector<Attachment*> active_;  // polled each turn
  // Of each domain in this turn: its attachments share them.
  std::array<uint32_t, cache::kMaxDomains> steps_left_{};
  size_t first_served_ = 0;  // in active_; moves on to whoever had to wait
};

}  // namespace quire::server
