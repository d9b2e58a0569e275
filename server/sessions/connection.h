// One client's socket: framing, descriptor passing, peer identity and the watch for its death.
//
// Death is socket EOF or pidfd readable, whichever comes first, so a descriptor that leaked to a
// child of the client does not keep it alive here. Nothing a peer sends or omits can block: reads
// and writes are non-blocking, both buffers are bounded, half a frame has a deadline, and what it
// sends costs it its own turns: the owner calls serve() for one frame at a time. Descriptors that a
// peer sends are never received, so that the core never closes one; the owner takes the socket, and
// what waits in it, to be closed elsewhere. Threads: core only. The owner destroys it after
// on_end(), not from within.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "model/clock.h"
#include "model/fd_guard.h"
#include "model/ids.h"
#include "model/wire.h"
#include "server/rings/client_process.h"
#include "server/runtime/event_loop.h"

namespace quire::server {

class Connection;

struct PeerIdentity {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  // There may be something to serve(): in the connection's turn.
  virtual void on_input(Connection& connection) = 0;
  // A whole frame with a valid header. An error ends the connection after it was sent.
  virtual model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                                       std::string_view payload) = 0;
  // A reply, or an error in its place, goes out.
  virtual void on_reply(Connection&) {}
  // Called once. `reason` is kOk for a plain hang-up.
  virtual void on_end(Connection& connection, const model::Error& reason) = 0;
};

class Connection final : public EventHandler, public ClientProcess {
 public:
  static constexpr uint32_t kTurnsPerPace = 256;  // 25,600 frames a second
  static constexpr int64_t kPaceNs = 10'000'000;

  // Takes an accepted, non-blocking socket; reads SO_PEERCRED and opens the peer's pidfd.
  static model::Result<std::unique_ptr<Connection>> create(model::FdGuard fd, EventLoop* loop,
                                                           const model::Clock* clock,
                                                           ConnectionOwner* owner);
  ~Connection() override;

  // Who connected, as the kernel says; the same whoever uses the socket later.
  const PeerIdentity& peer() const { return peer_; }
  // All that it is in, as of the time when it connected; its first group among them.
  std::vector<uint32_t> peer_groups() const;
  uint32_t uid() const override { return peer_.uid; }
  bool ended() const override { return ended_; }
  void tell(model::FrameType type, std::string_view payload) override {
    send(type, false, 0, payload);
  }

  // Queues a frame and sends what the socket takes. `descriptors` are lent for the call, at most
  // kMaxDescriptorsPerFrame; they are duplicated only when the frame has to wait, so that running
  // out of descriptors does not end a peer that reads. A peer that does not read is ended at
  // kMaxOutboxBytes: the connection, and its attachments, may have ended when this returns.
  void send(model::FrameType type, bool reply, uint32_t sequence, std::string_view payload,
            std::span<const int> descriptors = {});
  // As send(); a frame that carries a status and no more.
  void send_error(model::FrameType type, uint32_t sequence, const model::Error& error);
  // Tells the owner and stops watching; idempotent.
  void end(const model::Error& reason);
  // One turn: reads at most kReadStep bytes and takes at most one frame. True when a further frame
  // is here already; what waits in the socket is told by on_input().
  bool serve();
  // Its next frame waits, for an answer that is under way or for its time; nothing that it sends
  // wakes the core meanwhile. resume() calls on_input().
  void suspend() { suspended_ = true; }
  void resume();
  bool suspended() const { return suspended_; }
  // Whether it may be served once more now. What sends without end would keep the core from
  // sleeping, and the machine's other programs from the processor.
  bool may_take_turn(int64_t now_ns);
  bool pace_is_over(int64_t now_ns) const { return now_ns - pace_start_ns_ >= kPaceNs; }
  // Ends a peer that has been silent in the middle of a frame, or before hello, for too long.
  void check_deadline(int64_t now_ns);
  // After the end: the socket, and whether something may wait in it that takes long to close.
  struct ClosedSocket {
    model::FdGuard fd;
    bool may_hold_descriptors = false;
  };
  ClosedSocket take_socket();

  void on_event(uint32_t epoll_events) override;

  // --- owned by the control verbs ---
  bool greeted = false;
  std::string client_name;
  std::unordered_set<uint32_t> layouts;  // registered by this client, which holds them

  // --- owned by the core ---
  bool charged = false;  // to its uid; otherwise it is refused
  bool in_turn = false;  // in a list of those with something to serve
  // Of the frame that was taken last: one at a time waits for its answer, for it suspends the
  // connection.
  struct Asked {
    size_t verb = 0;  // index in model::kSocketVerbs
    int64_t taken_ns = 0;
    enum class State : uint8_t { kAnswered, kServed, kWaits } state = State::kAnswered;
  };
  Asked asked;

 private:
  // Watches the peer's pidfd.
  class DeathWatch final : public EventHandler {
   public:
    explicit DeathWatch(Connection* connection) : connection_(connection) {}
    void on_event(uint32_t) override;

   private:
    Connection* connection_;
  };
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::span<const int> lent;  // only during the send() that queued it
    std::vector<model::FdGuard> descriptors;
  };

  Connection(model::FdGuard fd, EventLoop* loop, const model::Clock* clock, ConnectionOwner* owner)
      : fd_(std::move(fd)), loop_(loop), clock_(clock), owner_(owner), death_watch_(this) {}
  model::Result<void> identify();
  // What the socket has, at most kReadStep bytes. Errors end the connection.
  model::Result<void> receive();
  model::Result<void> take_frame();
  // A whole frame, or a header that is answered with an error.
  bool has_frame() const;
  size_t inbox_left() const { return inbox_.size() - inbox_used_; }
  void flush();
  void watch();
  bool send_front();
  model::Result<void> keep_lent();

  model::FdGuard fd_;
  model::FdGuard pidfd_;
  EventLoop* loop_;
  const model::Clock* clock_;
  ConnectionOwner* owner_;
  DeathWatch death_watch_;
  PeerIdentity peer_;
  std::string inbox_;
  size_t inbox_used_ = 0;         // taken from its front; dropped when more is read
  int64_t waiting_since_ns_ = 0;  // start of the present half frame, or of the connection
  std::deque<Outgoing> outbox_;
  size_t outbox_bytes_ = 0;
  uint32_t turns_taken_ = 0;  // since pace_start_ns_
  int64_t pace_start_ns_ = 0;
  uint16_t reply_version_ =
      model::kProtocolVersion;  // of frames sent; another's once, to refuse it
  bool suspended_ = false;
  bool muted_ = false;  // sent something while suspended: not watched for more
  bool want_write_ = false;
  bool ended_ = false;
};

inline constexpr size_t kMaxOutboxBytes = 4 << 20;  // a client that does not read its replies
inline constexpr int64_t kFrameDeadlineNs = 10'000'000'000;  // hello, and half a frame

}  // namespace quire::server
