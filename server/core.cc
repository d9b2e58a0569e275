#include "server/core.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>

#include "model/clean_text.h"
#include "server/runtime/log.h"
#include "server/sessions/peer_roles.h"
#include "server/start/http_address.h"

namespace quire::server {

using model::Errc;
using model::Error;

namespace {

constexpr uint32_t kTurnsBetweenSockets = 32;  // rings are looked at more often than sockets
constexpr uint64_t kOwnDescriptors = 128;      // of the listener, the log, the tiers
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int kWaitingTimeoutMs = 5;  // while something is looked at by time
constexpr int kIdleTimeoutMs = 1000;
constexpr int64_t kDrainNs = 10 * kSecondNs;

// What all clients share, by Shared. Descriptors: segments take two each, and what the daemon opens
// for itself has room; at least a quarter of all is the clients' however small the limit.
UidShares::Amounts shared_totals(const Options& options) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const uint64_t all = files.rlim_cur;
  const uint64_t http = options.http_address.empty() ? 0 : kMaxHttpConnections;
  const uint64_t own = 2 * (options.ram_bytes / options.segment_bytes) + kOwnDescriptors + http;
  return {options.max_connections, options.max_sessions, options.session_memory_bytes,
          std::max(all / 4, all - std::min(all, own)), cache::kMaxLayouts / 2};
}

}  // namespace

model::Result<std::unique_ptr<Core>> Core::create(const CoreParts& parts) {
  EventLoop loop = QUIRE_TRY(EventLoop::create());
  ClosingLines closing = QUIRE_TRY(ClosingLines::create());
  RegionMaker maker = QUIRE_TRY(RegionMaker::create());
  std::unique_ptr<Core> core(
      new Core(parts, std::move(loop), std::move(closing), std::move(maker)));
  QUIRE_TRY(core->wire());
  return core;
}

Core::Core(const CoreParts& parts, EventLoop loop, ClosingLines closing, RegionMaker maker)
    : parts_(parts),
      loop_(std::move(loop)),
      closing_(std::move(closing)),
      shares_(shared_totals(*parts.options), parts.options->uid_share_percent),
      connections_({.loop = &loop_,
                    .clock = parts.clock,
                    .shares = &shares_,
                    .closing = &closing_,
                    .counters = &counters_,
                    .server = this}),
      maker_(std::move(maker)) {}

model::Result<void> Core::wire() {
  const Options& options = *parts_.options;
  disposer_ = QUIRE_TRY(PolicyDisposer::create());
  traces_ = std::make_unique<TraceRecorder>(parts_.clock, /*with_thread=*/true);
  if (const WhyBytes bytes = why_bytes(options); bytes.turns > 0) {
    memory_ = std::make_unique<TurnMemory>(bytes.turns);
  }
  QUIRE_TRY(make_events());
  turn_ =
      QUIRE_TRY(CoreTurn::create({.cache = parts_.cache,
                                  .copies = parts_.copies,
                                  .tiers = parts_.tiers,
                                  .clock = parts_.clock,
                                  .dispatcher = {.verify_hits = options.verify_hits,
                                                 .default_deadline_ms = options.default_deadline_ms,
                                                 .search = {.budget_ms = options.search_ms,
                                                            .min_tokens = options.search_tokens},
                                                 .turn_sink = parts_.turn_sink,
                                                 .ghosts = parts_.ghosts,
                                                 .traces = traces_.get(),
                                                 .memory = memory_.get()},
                                  .registry = {.shares = &shares_, .closer = &closing_.sessions()},
                                  .counters = &counters_,
                                  .disposer = disposer_.get(),
                                  .unwatch = [this](Attachment& attachment) {
                                    loop_.remove(attachment.lane().doorbell_fd());
                                    if (verbs_ == nullptr) return;  // the end of the daemon
                                    verbs_->hand_over().note_leaving(attachment.session());
                                  }}));
  if (parts_.ledger != nullptr) {
    storage_.emplace(
        StorageFeed::Parts{.cache = parts_.cache, .clock = parts_.clock, .ledger = parts_.ledger});
  }
  desk_ = QUIRE_TRY(StatusDesk::create(status_sources()));
  desk_->serve(parts_.feed);
  verbs_ = std::make_unique<ControlVerbs>(QUIRE_TRY(ControlVerbs::create(
      {.cache = parts_.cache,
       .registry = &turn_->registry(),
       .segments = &turn_->segments(),
       .teller = &turn_->teller(),
       .options = parts_.options,
       .tiers = parts_.tiers,
       .memory_check = &turn_->dispatcher().memory_check(),
       .clock = parts_.clock,
       .shares = &shares_,
       .maker = &maker_,
       .desk = desk_.get(),
       .keeper = parts_.keeper,
       .ghosts = parts_.ghosts,
       .ledger = parts_.ledger,
       .traces = traces_.get(),
       .memory = memory_.get(),
       .config = config_parts(),
       .events = events(),
       .daemon_epoch = parts_.daemon_epoch,
       .watch_doorbell = [this](Attachment& attachment) { return watch_doorbell(attachment); },
       .end_attachment =
           [this](Attachment& attachment) {
             uint32_t budget = CoreTurn::kEndStepsPerTurn;
             turn_->end_attachment(attachment, budget);
           }})));
  QUIRE_TRY(listen());
  return publish_events();
}

// What wakes the core, and at last whom it serves.
model::Result<void> Core::listen() {
  QUIRE_TRY(loop_.add(parts_.waker->fd(), EPOLLIN | EPOLLET, parts_.waker));
  if (parts_.tiers != nullptr) {
    for (const tiering::TierSet::Member& member : parts_.tiers->members()) {
      QUIRE_TRY(loop_.add(member.tier->wake_fd(), EPOLLIN, &wake_only_));
    }
  }
  const auto closed_fds = closing_.done_fds();
  std::vector<int> done_fds{maker_.done_fd(), desk_->done_fd()};
  done_fds.insert(done_fds.end(), closed_fds.begin(), closed_fds.end());
  for (const int fd : done_fds) QUIRE_TRY(loop_.add(fd, EPOLLIN | EPOLLET, &wake_only_));
  const Options& options = *parts_.options;
  const auto accepts = [this](model::FdGuard fd) { return connections_.accept(std::move(fd)); };
  listener_ =
      QUIRE_TRY(parts_.listen_fd >= 0
                    ? Listener::adopt(parts_.listen_fd, &loop_, accepts)
                    : Listener::create(options.socket_path, options.socket_mode, &loop_, accepts));
  return {};
}

std::optional<ConfigVerbs::Parts> Core::config_parts() {
  if (parts_.config == nullptr) return std::nullopt;
  return ConfigVerbs::Parts{
      .config = parts_.config,
      .desk = desk_.get(),
      .call_core = [this](std::function<void()> function) { call(std::move(function)); },
      .take_over = parts_.take_over};
}

model::Result<void> Core::make_events() {
  if (parts_.options->event_bytes == 0) return {};
  events_ = QUIRE_TRY(EventService::create({.cache = parts_.cache,
                                            .clock = parts_.clock,
                                            .daemon_epoch = parts_.daemon_epoch,
                                            .memory_bytes = parts_.options->event_bytes}));
  return {};
}

model::Result<void> Core::publish_events() {
  const Options& options = *parts_.options;
  if (events_ == nullptr || options.events_zmq.empty()) return {};
  const bool maps = options.events_zmq_format == "map";
  return events_->publish({.events = options.events_zmq, .replay = options.events_zmq_replay},
                          maps ? EnvelopeShape::kMap : EnvelopeShape::kArray);
}

// The verbs first: a helper of theirs calls the core until it ends.
Core::~Core() { verbs_.reset(); }

bool Core::serve_connections() {
  const size_t opened = verbs_->sessions().finish_openings();
  const bool served = connections_.serve(now_ns_);
  return desk_->step(now_ns_) || served || opened > 0;
}

model::Result<void> Core::on_frame(Connection& connection, const model::FrameHeader& header,
                                   std::string_view payload) {
  const model::SocketVerb* verb = model::find_verb(static_cast<model::FrameType>(header.type));
  if (verb == nullptr) return verbs_->on_frame(connection, header, payload);
  using State = Connection::Asked::State;
  const auto index = static_cast<size_t>(verb - model::kSocketVerbs.data());
  connection.asked = {index, verb_times_.turn_ns(), State::kServed};
  verb_times_.took(index);
  const auto done = verbs_->on_frame(connection, header, payload);
  const bool waits = connection.asked.state == State::kServed && connection.suspended();
  if (waits) verb_times_.kept(index);
  connection.asked.state = waits ? State::kWaits : State::kAnswered;
  return done;
}

// The first answer counts; what a verb answers within its call is counted with the turn.
void Core::on_reply(Connection& connection) {
  Connection::Asked& asked = connection.asked;
  using State = Connection::Asked::State;
  if (asked.state == State::kWaits) verb_times_.ended(asked.verb, asked.taken_ns);
  asked.state = State::kAnswered;
}

// Where a client's death is handled (law 5): what it held is given back here and now; of thousands
// of sessions the rest follows in steps, and what copy workers still read when they are done.
void Core::on_end(Connection& connection, const Error& reason) {
  uint32_t budget = CoreTurn::kEndStepsPerTurn;
  turn_->end_attachments(connection, budget);
  // Nobody waits for its word any more; whether it keeps a mapping, the kernel says.
  turn_->segments().forget(connection);
  verbs_->forget(connection);
  const std::string who =
      "client=" + connection.client_name + " pid=" + std::to_string(connection.peer().pid);
  ++(reason.code == Errc::kOk ? counters_.clients_left : counters_.clients_ended);
  if (reason.code == Errc::kOk) {
    log(LogKind::kClientLeft, LogLevel::kDebug, who + " left: " + reason.text);
  } else {
    log(LogKind::kClientEnded, LogLevel::kWarning,
        who + " ended: " + std::string(model::errc_name(reason.code)) + ": " + reason.text);
  }
}

bool Core::let_go(Connection& connection, uint32_t& budget) {
  turn_->end_attachments(connection, budget);
  if (!connection.attachments.empty()) return false;
  turn_->registry().forget(connection);
  return true;
}

model::Result<void> Core::watch_doorbell(Attachment& attachment) {
  turn_->watch(attachment);
  return loop_.add(attachment.lane().doorbell_fd(), EPOLLIN | EPOLLET, &attachment);
}

void Core::run() {
  if (parts_.service != nullptr) {
    parts_.service->ready();
    parts_.service->status(service_status());
  }
  while (!stopping_.load(std::memory_order_relaxed)) {
    note_time();
    if (turn()) continue;
    __builtin_ia32_pause();  // a copy worker may share this physical core
    if (now_ns_ - last_work_ns_ >= int64_t{parts_.options->spin_us} * 1000) {
      if (turn_->arm_idle(now_ns_, int64_t{parts_.options->spin_us} * 1000)) sleep();
    }
  }
  drain();
}

void Core::note_time() {
  now_ns_ = parts_.clock->now_ns();
  verb_times_.begin_turn(now_ns_);
  if (parts_.feed != nullptr) parts_.feed->note_turn(now_ns_);
}

bool Core::turn() {
  CoreTurn::Work work = turn_->step(now_ns_);
  const bool look_at_sockets = ++turns_ % kTurnsBetweenSockets == 0;
  if (look_at_sockets) {
    work.clients = loop_.turn(0) > 0 || work.clients;
    work.clients = serve_connections() || work.clients;
  }
  if (look_at_sockets || background_left_) background_left_ = background();
  if (calls_.waits()) calls_.run();
  // Clients are likely to ask again at once; a device wakes the core by its descriptor.
  if (work.clients) last_work_ns_ = now_ns_;
  return work.clients || work.device || background_left_ || work.background;
}

// One bounded step. True when the next one has something to do already.
bool Core::background() {
  bool left = turn_->background(now_ns_);
  verbs_->locates().step();
  verbs_->hand_over().step();
  traces_->reclaim();
  if (events_ != nullptr) left = events_->step(now_ns_) || left;
  if (connections_.has_ended()) {
    left = connections_.let_ended_go(CoreTurn::kEndStepsPerTurn) || left;
    // Descriptors come free, for which the listener may be waiting.
    listener_->resume();
  }
  closing_.collect(shares_, now_ns_);
  tell_service();
  if (storage_) left = storage_->step(now_ns_) || left;
  if (now_ns_ - last_second_ns_ < kSecondNs) return left;
  last_second_ns_ = now_ns_;
  if (parts_.service != nullptr) parts_.service->status(service_status());
  parts_.supply->tick(now_ns_);
  listener_->resume();  // descriptors also come free with sessions, and in other processes
  connections_.check_deadlines(now_ns_);
  return left;
}

void Core::tell_service() {
  if (parts_.service != nullptr) parts_.service->step(now_ns_);
}

// A line for `systemctl status`.
std::string Core::service_status() const {
  const std::string memory = parts_.supply->status().failure;
  const bool tiers = parts_.tiers == nullptr || parts_.tiers->is_whole();
  std::string state = "serving";
  if (!parts_.missing_tiers.empty()) {
    state = "degraded (" + parts_.missing_tiers.front().reason + "), serving";
  } else if (!memory.empty()) {
    state = "degraded (" + memory + "), serving";
  } else if (!tiers) {
    state = "degraded (quirectl status says why), serving";
  }
  return model::escape_text(state + " " + std::to_string(connections_.size()) + " clients, " +
                            std::to_string(turn_->registry().session_count()) + " sessions");
}

void Core::sleep() {
  background_left_ = background();
  // Announced before the last look: who has news after the look sees that the core sleeps, and
  // writes the eventfd.
  parts_.waker->set_asleep(true);
  const bool work_came = background_left_ || turn_->dispatcher().finish_copies() > 0 ||
                         turn_->step_tiers() || desk_->feed_is_asked() || calls_.waits() ||
                         stopping_.load(std::memory_order_seq_cst);
  if (!work_came) loop_.turn(sleep_ms());
  // Before connections are served: by the time before the sleep they would have waited for it.
  note_time();
  serve_connections();
  parts_.waker->set_asleep(false);
  if (turn_->note_woken(now_ns_)) last_work_ns_ = now_ns_;
}

int Core::sleep_ms() const {
  if (connections_.has_turns() || desk_->is_filling()) return 0;
  // What the tier put off, deadlines of loads, and clients that are slow to unmap a segment are
  // looked at again soon; a request that waits wakes the core by its event.
  const bool tier_waits = parts_.tiers != nullptr && !parts_.tiers->idle();
  const bool waits = tier_waits || closing_.lingers() || turn_->segments().retiring_count() > 0 ||
                     dispatcher().has_background() || desk_->waits() ||
                     verbs_->sessions().waits() || verbs_->locates().waits() ||
                     verbs_->hand_over().waits() || connections_.paces() ||
                     (events_ != nullptr && events_->is_walking());
  int limit_ms = waits ? kWaitingTimeoutMs : kIdleTimeoutMs;
  if (parts_.service != nullptr) limit_ms = std::min(limit_ms, parts_.service->most_sleep_ms());
  const int64_t deadline_ns = dispatcher().next_deadline_ns();
  if (deadline_ns == kNoDeadline) return limit_ms;
  // Rounded up: a wake-up before the time would find nothing late, and sleep again for 0 ms.
  const int64_t left_ms = (deadline_ns - parts_.clock->now_ns()) / model::kNsPerMs + 1;
  return static_cast<int>(std::clamp<int64_t>(left_ms, 0, limit_ms));
}

// Lets every client go and waits, bounded, for copies that still read their memory.
void Core::drain() {
  if (parts_.service != nullptr) parts_.service->stopping();
  listener_.reset();
  turn_->dispatcher().stopping();
  connections_.end_all(model::make_error(Errc::kOk, "the daemon stops"));
  while (connections_.let_ended_go(CoreTurn::kEndStepsPerTurn)) {
  }
  const int64_t start = parts_.clock->now_ns();
  while (parts_.copies->in_flight() > 0 && parts_.clock->now_ns() - start < kDrainNs) {
    note_time();
    turn_->dispatcher().finish_copies();
  }
  // What ended attachments hold goes in steps, and none is destroyed while a copy of its is in
  // flight.
  while (registry().draining_count() > 0 && parts_.clock->now_ns() - start < kDrainNs) {
    turn_->dispatcher().finish_copies();
    registry().sweep();
  }
  drain_tiers(start);
  if (storage_) storage_->tell_all();
  // No client is left to be asked: segments that were taken back go to the supply.
  turn_->segments().retire_pending(now_ns_);
  connections_.let_ended_go(CoreTurn::kEndStepsPerTurn);
  calls_.run();
}

// A clean stop: what is fresh goes to the tiers below, within the time that stopping may take.
void Core::drain_tiers(int64_t start_ns) {
  if (parts_.tiers == nullptr) return;
  parts_.tiers->hurry();
  while (parts_.clock->now_ns() - start_ns < kDrainNs) {
    note_time();
    tell_service();
    if (parts_.tiers->step()) continue;
    if (parts_.tiers->idle()) return;
    loop_.turn(1);
  }
  log(LogLevel::kWarning, "stopped with work left for the tiers below RAM: " +
                              std::to_string(parts_.tiers->queued()) + " objects queued");
}

void Core::options_changed() {
  shares_.set_bounds(parts_.options->max_connections, parts_.options->uid_share_percent);
  turn_->teller().begin();  // of checkpoints, where no rule says something else
  auto tenants = TenantRules::parse(parts_.options->tenants);
  if (tenants.ok()) verbs_->sessions().set_tenants(std::move(tenants).value());
  if (events_ == nullptr) return;
  events_->sender().recheck([this](const void* owner) {
    const auto& connection = *static_cast<const Connection*>(owner);
    return roles_of(connection, parts_.options->roles).has(model::VerbRole::kReader);
  });
}

void Core::stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  parts_.waker->wake();
}

void Core::call(std::function<void()> function) {
  calls_.add(std::move(function));
  parts_.waker->wake();
}

StatusSources Core::status_sources() const {
  return {.cache = parts_.cache,
          .supply = parts_.supply,
          .registry = &turn_->registry(),
          .dispatcher = &turn_->dispatcher(),
          .tiers = parts_.tiers,
          .missing = parts_.missing_tiers,
          .shares = &shares_,
          .segments = &turn_->segments(),
          .clients = &counters_,
          .connections = &connections_,
          .verb_times = &verb_times_,
          .closing = &closing_,
          .maker = &maker_,
          .ledger = parts_.ledger,
          .events = events_ ? &events_->feed() : nullptr,
          .options = parts_.options,
          .daemon_epoch = parts_.daemon_epoch,
          .started_us = wall_clock_us()};
}

}  // namespace quire::server
