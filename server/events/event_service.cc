#include "server/events/event_service.h"

namespace quire::server {

model::Result<std::unique_ptr<EventService>> EventService::create(const EventFeed::Parts& parts) {
  std::unique_ptr<EventService> service(new EventService());
  service->feed_ = QUIRE_TRY(EventFeed::create(parts));
  service->sender_ =
      std::make_unique<EventSender>(service->feed_.get(), parts.clock, /*with_thread=*/true);
  return service;
}

model::Result<void> EventService::publish(const ZmqEndpoints& endpoints, EnvelopeShape shape) {
  zmq_ = QUIRE_TRY(ZmqPublisher::start(feed_.get(), endpoints, shape));
  return {};
}

bool EventService::step(int64_t now_ns) {
  sender_->reclaim();
  return feed_->step(now_ns);
}

}  // namespace quire::server
