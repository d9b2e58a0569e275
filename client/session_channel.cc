#include "client/session_channel.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>
#include <string>
#include <utility>

#include "client/shared_memory.h"

namespace quire::client {

namespace {

using model::Errc;
using model::FdGuard;
using model::make_error;
using model::Mapping;
using model::OpenSessionReply;
using model::Result;
using model::SessionDescriptor;

model::Error malformed(std::string text) {
  return make_error(Errc::kMalformedFrame, std::move(text));
}

Result<void> check_numbers(const OpenSessionReply& reply) {
  const bool ring_fits = model::is_power_of_two(reply.ring_entries) &&
                         reply.ring_entries >= model::kMinRingEntries &&
                         reply.ring_entries <= model::kMaxRingEntries;
  const bool areas_fit = reply.max_units >= 1 && reply.max_units <= model::kMaxUnits &&
                         reply.max_load_pages >= 1 && reply.max_load_pages <= model::kMaxLoadPages;
  if (!ring_fits || !areas_fit) return malformed("a session reply with sizes out of range");
  // Both sides compute the places; where they differ every index would be misread.
  const auto control = model::control_geometry(reply.ring_entries, reply.max_units);
  const auto answer = model::reply_geometry(reply.ring_entries, reply.max_load_pages);
  if (control.bytes != reply.control_bytes || answer.bytes != reply.reply_bytes) {
    return malformed("the daemon lays a session's memory out differently");
  }
  return {};
}

size_t place(SessionDescriptor which) { return static_cast<size_t>(which); }

}  // namespace

Result<SessionChannel> SessionChannel::open(const OpenSessionReply& reply,
                                            std::vector<FdGuard> descriptors) {
  // Before anything is mapped by them: the numbers are the daemon's word.
  QUIRE_TRY(check_numbers(reply));
  if (descriptors.size() < model::kSessionDescriptorCount) {
    return malformed("a session reply without its descriptors");
  }
  SessionChannel channel;
  channel.lane_ = reply.lane;
  channel.shape_ = {reply.ring_entries, reply.max_units, reply.max_load_pages};
  QUIRE_TRY(channel.map_areas(reply, descriptors));
  channel.doorbell_ = std::move(descriptors[place(SessionDescriptor::kDoorbell)]);
  channel.wakeup_ = std::move(descriptors[place(SessionDescriptor::kWakeup)]);
  channel.place_rings();
  return channel;
}

Result<SessionChannel> SessionChannel::reopen(SessionChannel kept, const OpenSessionReply& reply,
                                              std::vector<FdGuard> descriptors) {
  QUIRE_TRY(check_numbers(reply));
  const Shape shape{reply.ring_entries, reply.max_units, reply.max_load_pages};
  if (reply.lane != kept.lane_ || shape != kept.shape_) {
    return malformed("a session reply with another lane than the one that was asked for");
  }
  if (reply.lane_state == static_cast<uint32_t>(model::SessionLane::kKnownWhole)) return kept;
  if (descriptors.empty()) return malformed("a session reply without its progress");
  kept.progress_ = QUIRE_TRY(map_checked(descriptors.front(), model::kProgressBytes, false));
  return kept;
}

Result<void> SessionChannel::map_areas(const OpenSessionReply& reply,
                                       std::span<const FdGuard> descriptors) {
  const auto at = [&](SessionDescriptor which) -> const FdGuard& {
    return descriptors[place(which)];
  };
  control_ = QUIRE_TRY(map_checked(at(SessionDescriptor::kControl), reply.control_bytes, true,
                                   reply.control_offset));
  // Before the first use: shortage is an error here, and a SIGBUS later.
  QUIRE_TRY(allocate_shared(control_));
  reply_ = QUIRE_TRY(
      map_checked(at(SessionDescriptor::kReply), reply.reply_bytes, false, reply.reply_offset));
  progress_ =
      QUIRE_TRY(map_checked(at(SessionDescriptor::kProgress), model::kProgressBytes, false));
  return {};
}

// The daemon sets its words back when it keeps the lane, and reads none of these until it is told
// of the next session.
void SessionChannel::rest() {
  new (control_.data()) model::ControlHeader;
  in_flight_ = 0;
  armed_ = false;
  place_rings();
}

void SessionChannel::place_rings() {
  const auto control_areas = model::control_geometry(shape_.ring_entries, shape_.max_units);
  const auto reply_areas = model::reply_geometry(shape_.ring_entries, shape_.max_load_pages);
  std::byte* ours = control_.data();
  const std::byte* theirs = reply_.data();
  // Each index is read where its writer has it: the daemon's words lie in memory mapped read-only.
  submissions_ = {&control().submission_tail, &reply().submission_head,
                  reinterpret_cast<model::Submission*>(ours + control_areas.submissions_offset),
                  shape_.ring_entries};
  completions_ = {
      &control().completion_head, &reply().completion_tail,
      reinterpret_cast<const model::Completion*>(theirs + reply_areas.completions_offset),
      shape_.ring_entries};
  hashes_ = {reinterpret_cast<model::Hash256*>(ours + control_areas.hashes_offset),
             shape_.max_units};
  descriptors_ = {
      reinterpret_cast<const model::PageDescriptor*>(theirs + reply_areas.descriptors_offset),
      shape_.max_load_pages};
}

model::ControlHeader& SessionChannel::control() const {
  return *reinterpret_cast<model::ControlHeader*>(control_.data());
}

const model::ReplyHeader& SessionChannel::reply() const {
  return *reinterpret_cast<const model::ReplyHeader*>(reply_.data());
}

const model::ProgressHeader& SessionChannel::progress() const {
  return *reinterpret_cast<const model::ProgressHeader*>(progress_.data());
}

uint32_t SessionChannel::load_ready(uint8_t slot) const {
  return reply().load_ready[slot - 1].load(std::memory_order_acquire);
}

Result<void> SessionChannel::put(const model::Submission& submission) {
  const std::optional<uint32_t> writable = submissions_.writable();
  if (!writable) return malformed("the daemon's submission index is impossible");
  // The second bound keeps a place free for each completion: the daemon never waits for one.
  if (*writable == 0 || in_flight_ == shape_.ring_entries) {
    return make_error(Errc::kBusy, "the ring is full: take completions first");
  }
  submissions_.put(submission);
  ++in_flight_;
  return {};
}

void SessionChannel::flush() {
  // Room for completions first: the daemon leaves a submission alone that it could not answer, and
  // nothing would tell it about room that comes later.
  completions_.publish();
  submissions_.publish();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (reply().daemon_sleeping.value.load(std::memory_order_relaxed) == 0) return;
  const uint64_t one = 1;
  // Cannot fail in a way that matters: a full counter means that the daemon is woken anyway.
  [[maybe_unused]] const ssize_t written = ::write(doorbell_.get(), &one, sizeof one);
}

Result<std::optional<model::Completion>> SessionChannel::take() {
  const std::optional<uint32_t> readable = completions_.readable();
  if (!readable) return malformed("the daemon's completion index is impossible");
  if (*readable == 0) return std::optional<model::Completion>();
  // Counted here: the daemon's index alone does not say what was asked.
  if (in_flight_ == 0) return malformed("a completion that nobody asked for");
  --in_flight_;
  return std::optional<model::Completion>(completions_.take());
}

void SessionChannel::publish_taken() { completions_.publish(); }

// An impossible index counts as "something": take() reports it.
bool SessionChannel::has_completion() const { return completions_.readable() != 0u; }

bool SessionChannel::closed() const {
  return reply().closed.value.load(std::memory_order_acquire) != 0;
}

bool SessionChannel::arm() {
  control().client_sleeping.value.store(1, std::memory_order_relaxed);
  armed_ = true;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!has_completion()) return true;
  disarm();
  return false;
}

void SessionChannel::disarm() {
  if (!armed_) return;
  armed_ = false;
  control().client_sleeping.value.store(0, std::memory_order_relaxed);
  epoll_event event{};
  // Takes the edge that came while it was armed, so that the next sleep does not return for it.
  ::epoll_wait(wakeup_.get(), &event, 1, 0);
}

Result<SessionChannel::Woken> SessionChannel::sleep(int news_fd, Deadline deadline) {
  if (closed() || !arm()) return Woken{};
  // The socket too: a daemon that dies writes no wake-up.
  pollfd entries[2] = {{wakeup_.get(), POLLIN, 0}, {news_fd, POLLIN | POLLRDHUP, 0}};
  const timespec timeout = deadline.left_timespec();
  const int ready = ::ppoll(entries, 2, &timeout, nullptr);
  const int code = errno;
  // Armed no longer than the sleep: the daemon would pay a system call for each completion.
  disarm();
  if (ready < 0 && code != EINTR) {
    errno = code;
    return model::errno_error("poll");
  }
  return Woken{ready > 0 && entries[1].revents != 0};
}

}  // namespace quire::client
