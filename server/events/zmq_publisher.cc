#include "server/events/zmq_publisher.h"

#include <utility>

namespace quire::server {

using model::Result;

namespace {

constexpr std::chrono::milliseconds kBetweenZmqLooks{5};
constexpr int kStepsInATurn = 16;
constexpr int kReplaysInATurn = 4;

double zmq_time_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

ZmqPublisher::ZmqPublisher(EventFeed* feed, EventSeat* seat, std::unique_ptr<ZmqSockets> sockets,
                           EnvelopeShape shape)
    : feed_(feed),
      seat_(seat),
      sockets_(std::move(sockets)),
      envelope_(shape),
      cursor_(feed, seat, {.snapshot = model::EventSnapshot::kAtOnce}) {}

Result<std::unique_ptr<ZmqPublisher>> ZmqPublisher::start(EventFeed* feed,
                                                          const ZmqEndpoints& endpoints,
                                                          EnvelopeShape shape) {
  auto sockets = QUIRE_TRY(ZmqSockets::open(endpoints));
  EventSeat* seat = feed->sit(std::nullopt);
  if (seat == nullptr) {
    return model::make_error(model::Errc::kBusy, "events have as many readers as they serve");
  }
  std::unique_ptr<ZmqPublisher> publisher(new ZmqPublisher(feed, seat, std::move(sockets), shape));
  QUIRE_TRY(publisher->helper_.start(
      {.name = "quire-zmq", .niceness = 10},
      [raw = publisher.get()](const std::stop_token& stop) { return raw->run_once(stop); }));
  return publisher;
}

ZmqPublisher::~ZmqPublisher() {
  helper_.stop();
  feed_->leave(*seat_);
}

std::chrono::milliseconds ZmqPublisher::run_once(const std::stop_token& stop) {
  bool more = false;
  // Who asks for replays without end does not keep the daemon from stopping.
  if (stop.stop_requested()) return model::HelperThread::kUntilWoken;
  for (int i = 0; i < kReplaysInATurn && sockets_->serve_replay(); ++i) more = true;
  for (int i = 0; i < kStepsInATurn; ++i) {
    const bool full = cursor_.step(envelope_);
    if (const std::string batch = envelope_.take_batch(zmq_time_seconds()); !batch.empty()) {
      sockets_->publish(batch);
    }
    if (!full) return more ? model::HelperThread::kAtOnce : kBetweenZmqLooks;
  }
  return model::HelperThread::kAtOnce;
}

}  // namespace quire::server
