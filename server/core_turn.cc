#include "server/core_turn.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/runtime/log.h"

namespace quire::server {

using model::Errc;

namespace {

// Of the cache's work for one domain: 50 to 120 us, in which others wait.
constexpr uint32_t kStepsPerTurn = 1024;
constexpr uint32_t kReclaimStepsPerTurn = 256;     // for dead roots, in the background
constexpr uint32_t kForgottenPerTurn = 256;        // nodes, where the table gets full: some 50 us
constexpr uint32_t kSwitchedEntriesPerTurn = 128;  // of a switch of eviction policies: some 15 us

}  // namespace

model::Result<std::unique_ptr<CoreTurn>> CoreTurn::create(const CoreTurnParts& parts) {
  std::unique_ptr<CoreTurn> turn(new CoreTurn(parts));
  turn->dispatcher_ = QUIRE_TRY(
      Dispatcher::create(parts.cache, parts.copies, parts.tiers, parts.clock, parts.dispatcher));
  turn->registry_ =
      std::make_unique<SessionRegistry>(parts.cache, turn->dispatcher_.get(), parts.registry);
  turn->teller_ = std::make_unique<CheckpointTeller>(parts.cache, turn->registry_.get());
  turn->segments_ =
      std::make_unique<SegmentShare>(parts.cache, [tiers = parts.tiers](const std::byte* segment) {
        if (tiers != nullptr) tiers->forget_segment(segment);
      });
  return turn;
}

CoreTurn::Work CoreTurn::step(int64_t now_ns) {
  Work work;
  dispatcher_->begin_turn(now_ns);
  // Before new work is taken: finished copies free jobs and memory that it may need.
  work.clients = dispatcher_->finish_copies() > 0;
  work.device = step_tiers();
  // Before new work is taken, which may need places for its nodes.
  work.background = parts_.cache->node_room().step(kForgottenPerTurn);
  // After the tier: what it brought in this step is delivered in this turn.
  work.clients = dispatcher_->finish_loads() > 0 || work.clients;
  work.clients = serve_active(now_ns) || work.clients;
  work.background = dispatcher_->background(now_ns) || work.background;
  if (parts_.cache->room().taker().is_busy()) {
    parts_.cache->room().taker().step();
    work.clients = true;
  }
  return work;
}

// A domain whose work of this turn is spent waits for the next one, which starts with the first
// that had to wait: neither many attachments nor large requests of one uid make another's turn
// late.
bool CoreTurn::serve_active(int64_t now_ns) {
  steps_left_.fill(kStepsPerTurn);
  bool worked = false;
  std::optional<size_t> waits;
  const size_t count = active_.size();
  for (size_t n = 0; n < count; ++n) {
    const size_t i = (first_served_ + n) % count;
    Attachment& attachment = *active_[i];
    uint32_t& steps_left = steps_left_[attachment.session().domain.value];
    if (steps_left == 0) {
      if (!waits) waits = i;
      continue;
    }
    const Dispatcher::Served served = dispatcher_->serve(attachment, steps_left);
    if (served == Dispatcher::Served::kScribbled) {
      end_faulty(attachment);  // the list changed: the others' turn comes with the next one
      return true;
    }
    if (served == Dispatcher::Served::kSome) {
      // A ring is armed by how long it was idle: spinning a little saves its client a system call.
      attachment.last_active_ns = now_ns;
      worked = true;
    }
  }
  // The next turn begins with the first that found its domain's steps spent.
  first_served_ = waits.value_or(0);
  return worked || waits;
}

bool CoreTurn::background(int64_t now_ns) {
  bool left = false;
  segments_->retire_pending(now_ns);
  // Uses take this time: some turns of delay are nothing to a policy, and no use asks the clock.
  parts_.cache->board().set_now(now_ns / 1000);
  parts_.cache->reservations().set_now(now_ns);
  if (parts_.cache->departures() != nullptr) parts_.cache->departures()->set_now(now_ns);
  if (!parts_.cache->names().dead_roots().empty()) {
    left = parts_.cache->store().dead_roots().reclaim(kReclaimStepsPerTurn);
  }
  parts_.cache->pins().expire(now_ns);
  left = step_board() || left;
  PolicyDisposer::Policies retired = parts_.cache->board().take_retired();
  if (parts_.disposer != nullptr) parts_.disposer->give(std::move(retired));
  left = teller_->step() || left;
  left = parts_.cache->sweep().step(cache::ContentSweep::kStepsPerTurn) || left;
  if (registry_->draining_count() > 0) left = registry_->sweep() || left;
  return left;
}

// True: entries move still.
bool CoreTurn::step_board() {
  cache::EvictionBoard& board = parts_.cache->board();
  const bool left = board.step(kSwitchedEntriesPerTurn);
  // Who found nothing of its own to give may find it now.
  const uint64_t settled = board.settled_count(model::TierId::kRam);
  if (std::exchange(settled_, settled) != settled) {
    parts_.cache->store().pool().events().raise_all();
  }
  return left;
}

void CoreTurn::watch(Attachment& attachment) {
  attachment.active_list = &active_;
  // None of them allocates when it rings.
  const size_t attachments = registry_->attachments().size() + 1;
  if (active_.capacity() < attachments) active_.reserve(2 * attachments);
}

bool CoreTurn::arm_idle(int64_t now_ns, int64_t spin_ns) {
  while (!active_.empty()) {
    Attachment& attachment = *active_.back();
    // Its client may sleep until it is answered, so nobody would ring for it.
    if (attachment.pending.ready_verbs != 0) return false;
    if (now_ns - attachment.last_active_ns < spin_ns) return false;
    if (!attachment.lane().arm()) {
      attachment.last_active_ns = now_ns;
      return false;
    }
    attachment.active = false;
    active_.pop_back();
  }
  return true;
}

bool CoreTurn::note_woken(int64_t now_ns) {
  for (Attachment* attachment : active_) attachment->last_active_ns = now_ns;
  return !active_.empty();
}

void CoreTurn::end_attachment(Attachment& attachment, uint32_t& budget) {
  parts_.unwatch(attachment);
  // Out of the list of polled rings before the registry ends it, which may destroy it.
  std::erase(active_, &attachment);
  attachment.active_list = nullptr;
  registry_->end(attachment, budget);
}

void CoreTurn::end_attachments(ClientProcess& client, uint32_t& budget) {
  while (!client.attachments.empty() && budget > 0) {
    end_attachment(*client.attachments.back(), budget);
  }
}

// Law 11: scribbled ring memory ends that session and nothing else.
void CoreTurn::end_faulty(Attachment& attachment) {
  ClientProcess& client = attachment.client();
  const std::string text = "the submission ring holds what no client library writes";
  model::SessionEndedEvent event;
  event.session = attachment.id;
  event.status = model::make_status(Errc::kMalformedFrame, text);
  uint32_t budget = kEndStepsPerTurn;
  // Ended before the client is told: telling may end the connection, with all that is attached.
  end_attachment(attachment, budget);
  ++parts_.counters->sessions_ended_by_fault;
  log(LogKind::kSessionFault, LogLevel::kWarning,
      "session=" + std::to_string(event.session) + " ended: " + text);
  client.tell(model::FrameType::kSessionEnded, model::struct_bytes(event));
}

}  // namespace quire::server
