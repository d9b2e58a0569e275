#include "client/event_stream.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace quire::client {

using model::Errc;
using model::EventKind;
using model::EventRecord;
using model::EventRoot;
using model::Result;

EventStream::EventStream(model::FdGuard pipe) : pipe_(std::move(pipe)) {}

// Numbers of the last event that is known, or known to be missed.
void EventStream::note(const EventRecord& record) {
  switch (static_cast<EventKind>(record.kind)) {
    case EventKind::kStart:
      epoch_ = record.count;
      last_sequence_ = record.sequence - 1;
      break;
    case EventKind::kStored:
    case EventKind::kRemoved:
      last_sequence_ = record.sequence;
      break;
    case EventKind::kCleared:
      last_sequence_ = record.sequence;
      ended_roots_.push_back(record.root);
      break;
    case EventKind::kGap:
      last_sequence_ = record.last;
      break;
    default:
      break;
  }
}

// False: not all of one is there.
bool EventStream::take_one(size_t& at) {
  if (bytes_.size() - at < sizeof(EventRecord)) return false;
  EventRecord record;
  std::memcpy(&record, bytes_.data() + at, sizeof(record));
  size_t taken = sizeof(record);
  if (record.kind == static_cast<uint8_t>(EventKind::kRoot)) {
    if (bytes_.size() - at < sizeof(record) + sizeof(EventRoot)) return false;
    std::memcpy(&roots_[record.root], bytes_.data() + at + taken, sizeof(EventRoot));
    taken += sizeof(EventRoot);
  }
  at += taken;
  note(record);
  records_.push_back(record);
  return true;
}

Result<std::span<const Event>> EventStream::poll(int timeout_ms) {
  for (const uint32_t root : ended_roots_) roots_.erase(root);
  ended_roots_.clear();
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(std::exchange(used_, 0)));
  records_.clear();
  events_.clear();
  pollfd entry{.fd = pipe_.get(), .events = POLLIN, .revents = 0};
  const int ready = ::poll(&entry, 1, timeout_ms);
  if (ready < 0 && errno != EINTR) return model::errno_error("poll the daemon's pipe");
  if (ready <= 0) return std::span<const Event>();
  const size_t before = bytes_.size();
  bytes_.resize(before + kReadBytes);
  const ssize_t got = ::read(pipe_.get(), bytes_.data() + before, kReadBytes);
  bytes_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (got < 0 && errno != EINTR) return model::errno_error("read the daemon's pipe");
  if (got == 0) {
    return model::make_error(Errc::kUnavailable, "the daemon ended the subscription to events");
  }
  while (take_one(used_)) {
  }
  // Once no record moves any more.
  for (const EventRecord& record : records_) {
    const auto root = roots_.find(record.root);
    events_.push_back({.kind = static_cast<EventKind>(record.kind),
                       .record = &record,
                       .root = root == roots_.end() ? nullptr : &root->second});
  }
  return std::span<const Event>(events_);
}

}  // namespace quire::client
