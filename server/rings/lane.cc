#include "server/rings/lane.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <new>

namespace quire::server {

using model::Completion;
using model::ControlHeader;
using model::errno_error;
using model::FdGuard;
using model::ReplyHeader;
using model::Submission;

model::Result<std::unique_ptr<Lane>> Lane::create(uint64_t id, std::shared_ptr<LaneMemory> memory) {
  std::unique_ptr<Lane> lane(new Lane(id, std::move(memory)));
  QUIRE_TRY(lane->make_doorbells());
  lane->reset();
  new (&lane->control()) ControlHeader;
  return lane;
}

// The daemon's words only: those of the client are the client's to set back, before it is told of
// the next session. Ring indexes that it leaves standing end that session, as any scribble does.
void Lane::reset() {
  new (&reply()) ReplyHeader;
  outstanding_ = 0;
  unpublished_ = false;
  place_rings();
  reply().daemon_sleeping.value.store(1, std::memory_order_relaxed);  // not polled yet
}

void Lane::place_rings() {
  const auto* submissions = reinterpret_cast<const Submission*>(
      memory_->control(place_) + shape().control().submissions_offset);
  auto* completions =
      reinterpret_cast<Completion*>(memory_->reply(place_) + shape().reply().completions_offset);
  // Each index lies with its writer: the daemon's in memory that the client cannot write.
  submissions_ = {&reply().submission_head, &control().submission_tail, submissions,
                  shape().ring_entries};
  completions_ = {&reply().completion_tail, &control().completion_head, completions,
                  shape().ring_entries};
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
  Remains remains;
  remains.descriptors = {progress.take_fd(), std::move(doorbell_), std::move(wakeup_event_),
                         std::move(wakeup_epoll_)};
  remains.mappings[0] = progress.take_mapping();
  return remains;
}

std::shared_ptr<LaneMemory> Lane::take_memory() {
  memory_->give_back(place_);
  return std::move(memory_);
}

std::array<int, model::kSessionDescriptorCount> Lane::client_descriptors(int progress_fd) const {
  return {memory_->control_fd(), memory_->reply_fd(), progress_fd, doorbell_.get(),
          wakeup_epoll_.get()};
}

void Lane::close_client_descriptors() {
  memory_->sent();
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
  const std::byte* hashes = memory_->control(place_) + shape().control().hashes_offset;
  return {reinterpret_cast<const model::Hash256*>(hashes), shape().max_units};
}

std::span<model::PageDescriptor> Lane::descriptors() const {
  std::byte* descriptors = memory_->reply(place_) + shape().reply().descriptors_offset;
  return {reinterpret_cast<model::PageDescriptor*>(descriptors), shape().max_load_pages};
}

}  // namespace quire::server
