#include "server/rings/lane.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <new>

namespace quire::server {

using model::Completion;
using model::ControlGeometry;
using model::ControlHeader;
using model::Errc;
using model::errno_error;
using model::FdGuard;
using model::make_error;
using model::ReplyGeometry;
using model::ReplyHeader;
using model::Submission;

model::Result<void> LaneShape::check() const {
  if (!model::is_power_of_two(ring_entries) || ring_entries < model::kMinRingEntries ||
      ring_entries > model::kMaxRingEntries) {
    return make_error(Errc::kInvalidArgument, "ring_entries must be a power of two in 8..4096");
  }
  if (max_units == 0 || max_units >= model::kMaxUnits) {
    return make_error(Errc::kInvalidArgument, "max_units must be in 1..16,777,215");
  }
  if (max_load_pages == 0 || max_load_pages > model::kMaxLoadPages) {
    return make_error(Errc::kInvalidArgument, "max_load_pages must be in 1..1,048,576");
  }
  return {};
}

uint64_t LaneShape::total_bytes() const {
  return model::control_geometry(ring_entries, max_units).bytes +
         model::reply_geometry(ring_entries, max_load_pages).bytes;
}

model::Result<std::unique_ptr<Lane>> Lane::create(uint64_t id, uint32_t uid,
                                                  const LaneShape& shape) {
  std::unique_ptr<Lane> lane(new Lane(id, uid, shape));
  QUIRE_TRY(lane->make_regions());
  QUIRE_TRY(lane->make_doorbells());
  lane->reset();
  new (lane->control_.data()) ControlHeader;
  return lane;
}

model::Result<void> Lane::make_regions() {
  const ControlGeometry control_at = model::control_geometry(shape_.ring_entries, shape_.max_units);
  const ReplyGeometry reply_at = model::reply_geometry(shape_.ring_entries, shape_.max_load_pages);
  control_ = QUIRE_TRY(
      SharedRegion::create(control_at.bytes, ClientAccess::kReadWrite, Allocation::kByClient));
  reply_ = QUIRE_TRY(
      SharedRegion::create(reply_at.bytes, ClientAccess::kReadOnly, Allocation::kElsewhere));
  return {};
}

// The daemon's words only: those of the client are the client's to set back, before it is told of
// the next session. Ring indexes that it leaves standing end that session, as any scribble does.
void Lane::reset() {
  new (reply_.data()) ReplyHeader;
  outstanding_ = 0;
  unpublished_ = false;
  place_rings();
  reply().daemon_sleeping.value.store(1, std::memory_order_relaxed);  // not polled yet
}

void Lane::place_rings() {
  const ControlGeometry control_at = model::control_geometry(shape_.ring_entries, shape_.max_units);
  const ReplyGeometry reply_at = model::reply_geometry(shape_.ring_entries, shape_.max_load_pages);
  const auto* submissions =
      reinterpret_cast<const Submission*>(control_.data() + control_at.submissions_offset);
  auto* completions = reinterpret_cast<Completion*>(reply_.data() + reply_at.completions_offset);
  // Each index lies with its writer: the daemon's in memory that the client cannot write.
  submissions_ = {&reply().submission_head, &control().submission_tail, submissions,
                  shape_.ring_entries};
  completions_ = {&reply().completion_tail, &control().completion_head, completions,
                  shape_.ring_entries};
}

model::Result<void> Lane::make_doorbells() {
  doorbell_ = FdGuard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wakeup_event_ = FdGuard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  wakeup_epoll_ = FdGuard(::epoll_create1(EPOLL_CLOEXEC));
  if (!doorbell_.valid() || !wakeup_event_.valid() || !wakeup_epoll_.valid()) {
    return errno_error("eventfd or epoll_create1");
  }
  epoll_event event{};
  // Edge-triggered: the daemon never reads the eventfd, and each write is an edge. A client that
  // held the eventfd itself could fill it and block the core in write().
  event.events = EPOLLIN | EPOLLET;
  if (::epoll_ctl(wakeup_epoll_.get(), EPOLL_CTL_ADD, wakeup_event_.get(), &event) != 0) {
    return errno_error("epoll_ctl");
  }
  return {};
}

Remains Lane::take_remains() {
  return {.descriptors = {control_.take_fd(), reply_.take_fd(), progress.take_fd(),
                          std::move(doorbell_), std::move(wakeup_event_), std::move(wakeup_epoll_)},
          .mappings = {control_.take_mapping(), reply_.take_mapping(), progress.take_mapping()}};
}

std::array<int, model::kSessionDescriptorCount> Lane::client_descriptors(int progress_fd) const {
  return {control_.client_fd(), reply_.client_fd(), progress_fd, doorbell_.get(),
          wakeup_epoll_.get()};
}

void Lane::close_client_descriptors() {
  control_.close_fd();
  reply_.close_fd();
  wakeup_epoll_.reset();
  known_ = true;
}

Lane::Next Lane::next() {
  const auto ready = submissions_.readable();
  // An index that is further ahead than the ring is long: scribbled.
  if (!ready) return Next::kScribbled;
  if (*ready == 0) return Next::kNone;
  const auto room = completions_.writable();
  if (!room) return Next::kScribbled;
  // Each request that is taken has a place for its completion reserved, so complete() never waits.
  return outstanding_ < *room ? Next::kReady : Next::kNone;
}

Submission Lane::take() {
  ++outstanding_;
  unpublished_ = true;
  return submissions_.take();
}

void Lane::complete(const Completion& completion) {
  QUIRE_CHECK(outstanding_ > 0);
  --outstanding_;
  unpublished_ = true;
  completions_.put(completion);
}

void Lane::publish() {
  if (!unpublished_) return;
  unpublished_ = false;
  // Entries are freed before their completions can be seen: a client that reacts to one finds room.
  submissions_.publish();
  completions_.publish();
  // Pairs with the client's fence between "I sleep" and its last look at the ring: either it sees
  // the completions, or this load sees that it sleeps.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (control().client_sleeping.value.load(std::memory_order_relaxed) == 0) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wakeup_event_.get(), &one, sizeof(one));
}

bool Lane::arm() {
  reply().daemon_sleeping.value.store(1, std::memory_order_relaxed);
  // Pairs with the client's fence between its submission and its look at this word: either it
  // rings, or next() below sees the submission.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // A client that submits without taking its completions is not polled either: it rings again.
  if (next() == Next::kNone) return true;
  disarm();
  return false;
}

void Lane::disarm() { reply().daemon_sleeping.value.store(0, std::memory_order_relaxed); }

void Lane::publish_load_ready(uint8_t slot, uint32_t descriptors) {
  reply().load_ready[slot - 1].store(descriptors, std::memory_order_release);
}

void Lane::mark_closed() {
  unpublished_ = true;
  // A client that sees it gives up what is outstanding; the publish wakes one that sleeps.
  reply().closed.value.store(1, std::memory_order_release);
  publish();
}

cache::ChainView Lane::chain() const {
  const uint64_t offset =
      model::control_geometry(shape_.ring_entries, shape_.max_units).hashes_offset;
  return {reinterpret_cast<const model::Hash256*>(control_.data() + offset), shape_.max_units};
}

std::span<model::PageDescriptor> Lane::descriptors() const {
  const uint64_t offset =
      model::reply_geometry(shape_.ring_entries, shape_.max_load_pages).descriptors_offset;
  return {reinterpret_cast<model::PageDescriptor*>(reply_.data() + offset), shape_.max_load_pages};
}

}  // namespace quire::server
