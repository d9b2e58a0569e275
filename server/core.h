// The core: one thread, one event loop, sole owner of pages, index, leases and sessions.
//
// A turn: the rings, copies and tiers (CoreTurn), then a bounded step of background work and the
// sockets now and then (ConnectionTable). After spin_us without work rings are armed one by one
// (the client will ring), and when none is left to poll the core sleeps in epoll. Threads: run() on
// one thread; stop() and call() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/socket_verbs.h"
#include "server/control/control_verbs.h"
#include "server/core_turn.h"
#include "server/events/event_service.h"
#include "server/metering/storage_feed.h"
#include "server/rings/request_times.h"
#include "server/runtime/call_queue.h"
#include "server/runtime/event_loop.h"
#include "server/runtime/region_maker.h"
#include "server/runtime/service_notifier.h"
#include "server/runtime/trace_recorder.h"
#include "server/sessions/client_counters.h"
#include "server/sessions/closing_lines.h"
#include "server/sessions/connection_table.h"
#include "server/sessions/listener.h"
#include "server/sessions/uid_shares.h"
#include "server/start/options.h"
#include "server/status/status_desk.h"
#include "tiering/tier_set.h"

namespace quire::server {

struct CoreParts {
  cache::Cache* cache = nullptr;
  allocator::SegmentSupply* supply = nullptr;
  tiering::CopyEngine* copies = nullptr;
  tiering::TierSet* tiers = nullptr;       // null: RAM only
  std::vector<MissingTier> missing_tiers;  // asked for, and not to be had
  const model::Clock* clock = nullptr;
  Waker* waker = nullptr;  // also rung by copy workers, the segment supply and the tiers
  const Options* options = nullptr;
  uint64_t daemon_epoch = 0;
  TurnSink* turn_sink = nullptr;  // may be null
  StateKeeper* keeper = nullptr;
  GhostFeed* ghosts = nullptr;         // likewise
  Ledger* ledger = nullptr;            // likewise
  StatusFeed* feed = nullptr;          // likewise
  int listen_fd = -1;                  // a service manager's, to be adopted; -1: makes its own
  ServiceNotifier* service = nullptr;  // null: nobody is told
  const LiveConfig* config = nullptr;  // null: the daemon has no flags
  std::function<model::Result<void>(const FreshOptions&)> take_over;  // with config
};

class Core final : public ClientServer {
 public:
  static model::Result<std::unique_ptr<Core>> create(const CoreParts& parts);
  ~Core() override;

  // Serves until stop(); returns after the last copy ended and every client was let go.
  void run();
  // Returns at once; run() returns later.
  void stop();
  // Runs `function` on the core thread between two turns.
  void call(std::function<void()> function);

  const std::string& listening_on() const { return listener_->path(); }  // before run()

  // Core thread only.
  void options_changed();  // reads again what it had parsed of them
  // What follows is read for status and tests, on the core thread between two turns.
  SessionRegistry& registry() { return turn_->registry(); }
  const Dispatcher& dispatcher() const { return turn_->dispatcher(); }
  EventSender* events() { return events_ ? &events_->sender() : nullptr; }  // null: they are off

  model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                               std::string_view payload) override;
  void on_reply(Connection& connection) override;
  void on_end(Connection& connection, const model::Error& reason) override;
  bool let_go(Connection& connection, uint32_t& budget) override;

 private:
  StatusSources status_sources() const;
  Core(const CoreParts& parts, EventLoop loop, ClosingLines closing, RegionMaker maker);
  model::Result<void> wire();
  model::Result<void> listen();
  std::optional<ConfigVerbs::Parts> config_parts();
  model::Result<void> make_events();
  model::Result<void> publish_events();
  model::Result<void> watch_doorbell(Attachment& attachment);

  // Reads the clock: it is what the rest of a turn goes by.
  void note_time();
  // True when there was work, so the next turn comes at once.
  bool turn();
  bool serve_connections();
  bool background();
  // A sign of life that is due.
  void tell_service();
  std::string service_status() const;
  void sleep();
  // Until the next deadline, or the next look at what is watched by time; at most a second.
  int sleep_ms() const;
  // The end: clients go first, copies are waited for, then tiers get what is fresh. Bounded by
  // kDrainNs.
  void drain();
  void drain_tiers(int64_t start_ns);

  // Descriptors of the device and of threads that only wake the core; it polls them each turn.
  class WakeOnly final : public EventHandler {
   public:
    void on_event(uint32_t) override {}
  };

  CoreParts parts_;
  EventLoop loop_;
  WakeOnly wake_only_;
  std::unique_ptr<TraceRecorder> traces_;
  std::unique_ptr<TurnMemory> memory_;  // null: turns are not remembered
  // Before the turn, whose end changes what is stored. Null: events are off.
  std::unique_ptr<EventService> events_;
  ClosingLines closing_;
  UidShares shares_;
  ClientCounters counters_;
  std::unique_ptr<CoreTurn> turn_;
  std::unique_ptr<StatusDesk> desk_;
  std::unique_ptr<ControlVerbs> verbs_;
  std::unique_ptr<Listener> listener_;
  ConnectionTable connections_;
  RegionMaker maker_;
  std::unique_ptr<PolicyDisposer> disposer_;
  std::optional<StorageFeed> storage_;  // none: receipts are not kept
  RequestTimes verb_times_{model::kSocketVerbs.size()};
  int64_t now_ns_ = 0;
  int64_t last_work_ns_ = 0;
  int64_t last_second_ns_ = 0;
  uint32_t turns_ = 0;
  bool background_left_ = false;  // the next step has something to do already

  std::atomic<bool> stopping_{false};
  CallQueue calls_;
};

}  // namespace quire::server
