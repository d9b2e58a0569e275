// Publishes every domain's events in vLLM's envelope, for routers that subscribe to engines. It is
// a reader of the feed as any other: with a snapshot at its start and after each gap, told there as
// AllBlocksCleared and what is held.
//
// Threads: made and destroyed by the core; the rest is its helper's.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "model/helper_thread.h"
#include "model/result.h"
#include "server/events/event_cursor.h"
#include "server/events/zmq_envelope.h"
#include "server/events/zmq_sockets.h"

namespace quire::server {

class ZmqPublisher {
 public:
  // `feed` outlives it. Errors of ZmqSockets::open; kBusy: no seat is free.
  static model::Result<std::unique_ptr<ZmqPublisher>> start(EventFeed* feed,
                                                            const ZmqEndpoints& endpoints,
                                                            EnvelopeShape shape);
  ~ZmqPublisher();

 private:
  ZmqPublisher(EventFeed* feed, EventSeat* seat, std::unique_ptr<ZmqSockets> sockets,
               EnvelopeShape shape);
  std::chrono::milliseconds run_once(const std::stop_token& stop);

  EventFeed* feed_;
  EventSeat* seat_;
  std::unique_ptr<ZmqSockets> sockets_;
  ZmqEnvelope envelope_;
  EventCursor cursor_;
  model::HelperThread helper_;  // last: ends before what it uses goes
};

}  // namespace quire::server
