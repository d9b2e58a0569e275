// The core: one thread, one event loop, sole owner of pages, index, leases and sessions.
//
// A turn: the rings, copies and tiers (CoreTurn), then a bounded step of background work and the
// sockets now and then: one frame of each of the next few connections that sent something, round
// robin. After spin_us without work rings are armed one by one (the client will ring), and
// when none is left to poll the core sleeps in epoll. Threads: run() on one thread; stop() and
// call() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/socket_verbs.h"
#include "server/control/control_verbs.h"
#include "server/core_turn.h"
#include "server/events/event_sender.h"
#include "server/events/zmq_publisher.h"
#include "server/metering/storage_feed.h"
#include "server/rings/request_times.h"
#include "server/runtime/event_loop.h"
#include "server/runtime/off_core_closer.h"
#include "server/runtime/region_maker.h"
#include "server/runtime/service_notifier.h"
#include "server/runtime/trace_recorder.h"
#include "server/sessions/client_counters.h"
#include "server/sessions/connection.h"
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

class Core final : public ConnectionOwner {
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
  const std::vector<std::unique_ptr<Connection>>& connections() const { return connections_; }
  const ClientCounters& counters() const { return counters_; }
  MemoryCheckStatus memory_check() const { return dispatcher().memory_check().status(); }
  EventSender* events() { return events_.get(); }  // null: they are off
  size_t paused_count() const { return dispatcher().paused_count(); }
  const UidShares& shares() const { return *shares_; }
  uint64_t copied_bytes() const { return dispatcher().copied_bytes(); }
  size_t waiting_commits() const { return dispatcher().waiting_commits(); }
  uint64_t largest_steps() const { return dispatcher().counters().largest_steps; }

  // It gets a turn, once, however often it is told of.
  void on_input(Connection& connection) override;
  model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                               std::string_view payload) override;
  void on_reply(Connection& connection) override;
  // Called from within the connection, which stays until background().
  void on_end(Connection& connection, const model::Error& reason) override;

 private:
  // Those whose last close may take long wait in a line of their own: they delay only each other.
  struct Closers {
    OffCoreCloser sockets;
    OffCoreCloser sockets_with_descriptors;
    OffCoreCloser sessions;  // their memory and descriptors
  };
  StatusSources status_sources() const;
  Core(const CoreParts& parts, EventLoop loop, Closers closers, RegionMaker maker)
      : parts_(parts),
        loop_(std::move(loop)),
        closers_(std::move(closers)),
        maker_(std::move(maker)) {}
  model::Result<void> wire();
  model::Result<void> listen();
  std::optional<ConfigVerbs::Parts> config_parts();
  model::Result<void> make_events();
  model::Result<void> publish_events();
  // A connection charged to its uid. False: refused, and told why where it can be.
  bool accept(model::FdGuard fd);
  model::Result<void> watch_doorbell(Attachment& attachment);
  const Dispatcher& dispatcher() const { return turn_->dispatcher(); }

  // Reads the clock: it is what the rest of a turn goes by.
  void note_time();
  // True when there was work, so the next turn comes at once.
  bool turn();
  bool serve_connections();
  // Connections that had their turns of a while are served again.
  void resume_paced();
  bool let_ended_go();
  // What threads beside the core have closed is not charged any more.
  void collect_closed();
  bool background();
  void run_calls();
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
  std::unique_ptr<EventFeed> feed_;
  std::unique_ptr<EventSender> events_;
  std::unique_ptr<ZmqPublisher> zmq_;  // null: not asked for
  std::unique_ptr<CoreTurn> turn_;
  std::unique_ptr<StatusDesk> desk_;
  std::unique_ptr<ControlVerbs> verbs_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  Closers closers_;
  RegionMaker maker_;
  std::unique_ptr<PolicyDisposer> disposer_;
  std::optional<StorageFeed> storage_;  // none: receipts are not kept
  std::unique_ptr<UidShares> shares_;
  std::deque<Connection*> to_serve_;  // by whose turn it is; each is marked in_turn
  std::deque<Connection*> paced_;     // had their turns of this while; each is suspended
  ClientCounters counters_;
  RequestTimes verb_times_{model::kSocketVerbs.size()};
  int64_t now_ns_ = 0;
  int64_t last_work_ns_ = 0;
  int64_t last_second_ns_ = 0;
  int64_t last_hurry_ns_ = 0;
  uint32_t turns_ = 0;
  bool connections_ended_ = false;
  bool background_left_ = false;  // the next step has something to do already

  std::atomic<bool> stopping_{false};
  std::mutex calls_mutex_;
  std::vector<std::function<void()>> calls_;  // guarded by calls_mutex_
  std::atomic<bool> has_calls_{false};        // set after a push, cleared by the core
};

}  // namespace quire::server
