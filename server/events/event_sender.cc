#include "server/events/event_sender.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "model/wire.h"

namespace quire::server {

using model::Errc;
using model::Result;

namespace {

// Looked at so often: a router that hears of an object some milliseconds later routes as well, and
// the core need not wake anybody.
constexpr std::chrono::milliseconds kBetweenEventLooks{5};
// Of one subscriber, before others have their turn.
constexpr int kMessagesInATurn = 64;

int64_t event_time_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

// What one step of a cursor gives, as it goes into the pipe.
class EventSender::Message final : public EventSink {
 public:
  void take(const model::EventRecord& record) override {
    model::EventRecord sent = record;
    sent.time_us = now_us_;
    bytes_.append(model::struct_bytes(sent));
  }
  void take_root(const model::EventRecord& record, const model::EventRoot& root) override {
    take(record);
    bytes_.append(model::struct_bytes(root));
  }
  std::string_view bytes() const { return bytes_; }

 private:
  const int64_t now_us_ = event_time_us();
  std::string bytes_;
};

Result<EventSender::Subscription*> EventSender::find_place(uint32_t uid) {
  size_t of_user = 0;
  Subscription* free = nullptr;
  for (Subscription& one : subscriptions_) {
    if (one.phase.load(std::memory_order_acquire) == Phase::kFree) {
      free = free == nullptr ? &one : free;
    } else if (one.uid == uid) {
      ++of_user;
    }
  }
  if (of_user >= kMostOfOneUser) {
    return model::make_error(Errc::kBusy, "this user has 8 subscriptions to events; end one");
  }
  if (free == nullptr) {
    return model::make_error(Errc::kBusy, "28 subscriptions to events are under way; end one");
  }
  return free;
}

Result<void> EventSender::subscribe(EventSubscriber subscriber) {
  reclaim();
  Subscription* place = QUIRE_TRY(find_place(subscriber.uid));
  if (with_thread_ && !helper_.started()) {
    // Gives way to copies and commits, as recordings do.
    QUIRE_TRY(helper_.start({.name = "quire-events", .niceness = 10},
                            [this](const std::stop_token&) { return run_once(); }));
  }
  place->seat = feed_->sit(subscriber.domain);
  if (place->seat == nullptr) {
    return model::make_error(Errc::kBusy, "events have as many readers as they serve");
  }
  place->owner = subscriber.owner;
  place->uid = subscriber.uid;
  place->everything = !subscriber.domain;
  place->writer.emplace(std::move(subscriber.write_end));
  place->cursor.emplace(feed_, place->seat, subscriber.options);
  place->close_by_ns = 0;
  ++count_;
  place->phase.store(Phase::kSending, std::memory_order_release);
  if (with_thread_) helper_.wake();
  return {};
}

void EventSender::forget(const void* owner) {
  if (count_ == 0) return;
  for (Subscription& one : subscriptions_) {
    if (one.owner != owner) continue;
    one.owner = nullptr;
    // Unless the helper found before that nobody reads.
    Phase sending = Phase::kSending;
    one.phase.compare_exchange_strong(sending, Phase::kClosing, std::memory_order_acq_rel);
  }
}

void EventSender::recheck(const std::function<bool(const void* owner)>& may) {
  for (Subscription& one : subscriptions_) {
    if (!one.everything || one.owner == nullptr || may(one.owner)) continue;
    one.owner = nullptr;
    Phase sending = Phase::kSending;
    one.phase.compare_exchange_strong(sending, Phase::kClosing, std::memory_order_acq_rel);
  }
}

void EventSender::reclaim() {
  if (count_ == 0) return;
  for (Subscription& one : subscriptions_) {
    if (one.phase.load(std::memory_order_acquire) != Phase::kGone) continue;
    feed_->leave(*std::exchange(one.seat, nullptr));
    one.owner = nullptr;
    --count_;
    one.phase.store(Phase::kFree, std::memory_order_release);
  }
}

bool EventSender::send(Subscription& to) {
  if (to.writer->reader_gone()) {
    close(to);
    return false;
  }
  const bool closing = to.phase.load(std::memory_order_acquire) == Phase::kClosing;
  const int64_t now_ns = closing ? clock_->now_ns() : 0;
  if (closing && to.close_by_ns == 0) to.close_by_ns = now_ns + kDrainNs;
  for (int i = 0; i < kMessagesInATurn; ++i) {
    if (!to.writer->flush()) {
      if (closing && now_ns >= to.close_by_ns) close(to);
      return false;
    }
    Message message;
    const bool more = to.cursor->step(message);
    to.writer->put(message.bytes());
    if (more) continue;
    const bool all_sent = to.writer->flush();
    if (closing && (all_sent || now_ns >= to.close_by_ns)) close(to);
    return false;
  }
  return true;
}

void EventSender::close(Subscription& subscription) {
  subscription.writer.reset();
  subscription.cursor.reset();
  subscription.phase.store(Phase::kGone, std::memory_order_release);
}

std::chrono::milliseconds EventSender::run_once() {
  bool more = false;
  bool any = false;
  for (Subscription& one : subscriptions_) {
    const Phase phase = one.phase.load(std::memory_order_acquire);
    if (phase != Phase::kSending && phase != Phase::kClosing) continue;
    any = true;
    more = send(one) || more;
  }
  if (more) return model::HelperThread::kAtOnce;
  return any ? kBetweenEventLooks : model::HelperThread::kUntilWoken;
}

}  // namespace quire::server
