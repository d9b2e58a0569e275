// One connection to one life of the daemon: its socket, its epoch and the segments mapped from it.
// Client and sessions share it: a session of an earlier epoch keeps its attachment, and with it the
// memory its page views point into, until it is destroyed, whatever became of its client. That is
// shared ownership in fact, so it is a shared_ptr here, and only here.
//
// 1. States: live -> dead (hang-up or broken stream) -> superseded (the client attached anew).
//    Never back.
// 2. Every call gives one reply or one error. A reply that comes after its call's time-out is
//    dropped with its descriptors; a session that it opened is closed again.
// 3. In a forked child nothing is sent, received or locked.
// Threads: any. The socket has one lock; hot paths only try it.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/client_memory.h"
#include "client/deadline.h"
#include "client/fork_guard.h"
#include "client/frame_socket.h"
#include "client/guarded.h"
#include "client/segment_map.h"
#include "model/result.h"
#include "model/wire.h"

namespace quire::client {

struct AttachOptions {
  std::string socket_path;
  std::string client_name;
  uint32_t verb_timeout_ms = 5000;  // connecting, and each call
  uint32_t spin_us = 0;             // look for an answer this long before sleeping
  bool populate_segments = true;
  SegmentObserver* observer = nullptr;  // may be null
};

class Attachment {
 public:
  // Connects and says hello; maps the segments whose descriptors came along.
  static model::Result<std::shared_ptr<Attachment>> attach(const AttachOptions& options);
  // For attach() and tests, which hand in a connected socket. Says nothing yet.
  Attachment(ForkGuard fork_guard, FrameSocket socket, AttachOptions options);
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  // kUnsupportedVersion when the daemon and this library share no protocol version.
  model::Result<void> hello();

  // kForked, kStaleHandle (superseded) or kUnavailable (dead); the first that applies.
  model::Result<void> check() const;
  bool forked() const { return fork_guard_.forked(); }
  bool alive() const { return !dead_.load(std::memory_order_acquire); }
  void supersede() { superseded_.store(true, std::memory_order_release); }

  // One verb and its reply, whose status is kOk. kDeadlineExceeded leaves the connection as it is.
  model::Result<Frame> call(model::FrameType type, std::string_view payload);
  // Handles what the daemon sent without blocking: retired segments, ended sessions, hang-up. Does
  // nothing while another thread is in a call: that one handles the news.
  model::Result<void> progress();

  // Adds a user to a segment, mapping it on first sight (one call).
  model::Result<SegmentView> acquire_segment(uint32_t segment);
  void release_segments(std::span<const uint32_t> segments);
  uint64_t mapped_bytes() { return segments_.mapped_bytes(); }

  // An area of at least `needed` bytes; where there is none, a new one of `wanted`. Stays for the
  // attachment's life.
  model::Result<StagingArea*> staging(uint64_t needed, uint64_t wanted);
  Guarded<ClientMemory>& memory() { return memory_; }

  // Keeps the reason should the daemon end this session.
  void watch_session(uint64_t session);
  void forget_session(uint64_t session);
  // Why it ended; kClosed when the daemon did not say.
  model::Error session_end(uint64_t session);

  uint64_t epoch() const { return epoch_; }
  const std::string& domain() const { return domain_; }
  // Readable when progress() has something to do.
  int fd() const { return socket_fd_; }

 private:
  struct WatchedSession {
    uint64_t session = 0;
    model::Error end;  // kOk while it lives
  };
  struct Wire {
    FrameSocket socket;
    uint32_t sequence = 0;
    std::vector<WatchedSession> sessions;
  };

  model::Result<Frame> call_locked(Wire& wire, model::FrameType type, std::string_view payload);
  // The next frame, as FrameSocket::receive(). A wake-up takes as long as some short calls do.
  model::Result<std::optional<Frame>> receive(Wire& wire, Deadline deadline);
  model::Result<Frame> accept_reply(Wire& wire, model::FrameType type, Frame frame);
  model::Result<void> adopt_segment(const model::SegmentInfo& info, const model::FdGuard& fd);
  model::Result<void> adopt_hello(const Frame& reply);
  void dispatch(Wire& wire, const Frame& frame);
  void end_session(Wire& wire, const Frame& frame);
  void drop_late_reply(Wire& wire, const Frame& frame);
  void acknowledge_unmapped(Wire& wire);
  model::Error fail(Wire& wire, model::Error error);

  ForkGuard fork_guard_;
  const AttachOptions options_;
  const int socket_fd_;
  std::atomic<bool> dead_{false};        // stored under the wire's lock, loaded by any thread
  std::atomic<bool> superseded_{false};  // stored by the client's thread
  uint64_t epoch_ = 0;                   // these two: written by hello() only
  std::string domain_;
  SegmentMap segments_;
  Guarded<ClientMemory> memory_;
  Guarded<Wire> wire_;
};

}  // namespace quire::client
