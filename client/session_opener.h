// Opens one session, which may have to be admitted first: asks, keeps the ticket, asks again.
//
// It asks again now and then: nobody waits in the daemon for an answer. What it was given up for,
// or destroyed with, leaves the daemon's queue. Threads: one at a time. Lifetime: keeps the
// attachment; may outlive its client.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "client/attachment.h"
#include "client/quire.h"
#include "client/session_impl.h"
#include "model/wire.h"

namespace quire::client {

class SessionOpener {
 public:
  struct Target {
    std::shared_ptr<Attachment> attachment;
    StagingArea* staging = nullptr;  // the attachment's
    ClientOptions client;
    SessionOptions session;
    uint32_t layout = 0;  // registered with this attachment
  };
  SessionOpener(Target target, const model::OpenSessionRequest& request)
      : target_(std::move(target)), request_(request) {}
  SessionOpener(const SessionOpener&) = delete;
  SessionOpener& operator=(const SessionOpener&) = delete;
  ~SessionOpener() { give_up(); }

  // The session, once; null: it is queued, also after so long. An error: it is over. kClosed: it
  // was before.
  model::Result<std::unique_ptr<SessionImpl>> ask(uint64_t wait_ms);
  // ask() until it is not queued any more.
  model::Result<std::unique_ptr<SessionImpl>> wait();

  // As the daemon said last. 0: it is not queued.
  uint32_t position() const { return reply_.position; }
  std::optional<uint64_t> estimate_ms() const;

 private:
  model::Result<std::unique_ptr<SessionImpl>> ask_once();
  void give_up();

  Target target_;
  model::OpenSessionRequest request_;  // with the ticket, while it is queued
  model::OpenSessionReply reply_;      // of one that is queued
  bool over_ = false;
};

// Of a lane that was offered for a session and not taken.
void give_lane_back(Attachment& attachment, std::optional<SessionChannel> lane,
                    model::Errc refused_with);

// From the reply to open or join, which may say that it goes on with `kept`. What cannot be used is
// closed in the daemon.
model::Result<std::unique_ptr<SessionImpl>> start_session(const SessionOpener::Target& target,
                                                          Frame frame,
                                                          std::optional<SessionChannel> kept);

}  // namespace quire::client
