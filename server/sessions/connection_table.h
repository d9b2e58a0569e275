// Clients' connections, from their accept to the last close of their socket: each is charged to its
// uid, has its turns, and goes when nothing of its client is left.
//
//   accept --> waits for input --on_input--> in turn --serve()--> its frame is answered
//                   ^                          |  had its turns of this while
//                   '----its time comes---- paced
//   ended --step by step: what its client holds, its socket--> ClosingLines
//
// Turns go round: a frame of each of the next few that sent something. Threads: core only. Bound:
// UidShares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "model/clock.h"
#include "model/result.h"
#include "server/runtime/event_loop.h"
#include "server/sessions/client_counters.h"
#include "server/sessions/closing_lines.h"
#include "server/sessions/connection.h"
#include "server/sessions/uid_shares.h"

namespace quire::server {

// Who answers clients, and knows what they hold.
class ClientServer {
 public:
  virtual ~ClientServer() = default;
  // As ConnectionOwner says.
  virtual model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                                       std::string_view payload) = 0;
  virtual void on_reply(Connection& connection) = 0;
  // Called from within the connection, which stays until let_go().
  virtual void on_end(Connection& connection, const model::Error& reason) = 0;
  // Gives back what the client of an ended connection holds, as far as `budget`, which is lowered,
  // is enough for. True: nothing is left.
  virtual bool let_go(Connection& connection, uint32_t& budget) = 0;
};

class ConnectionTable final : public ConnectionOwner {
 public:
  static constexpr uint64_t kDescriptorsOfAConnection = 2;  // its socket, and its peer's pidfd

  // All outlive it.
  struct Parts {
    EventLoop* loop = nullptr;
    const model::Clock* clock = nullptr;
    UidShares* shares = nullptr;
    ClosingLines* closing = nullptr;
    ClientCounters* counters = nullptr;
    ClientServer* server = nullptr;
  };
  explicit ConnectionTable(const Parts& parts) : parts_(parts) {}

  // False: refused, and told why where it can be.
  bool accept(model::FdGuard fd);
  // The next few turns. True: there were some.
  bool serve(int64_t now_ns);
  // Whether somebody's turn is due; whether somebody's will be, with time alone.
  bool has_turns() const { return !to_serve_.empty(); }
  bool paces() const { return !paced_.empty(); }
  // Ends those that are silent where they may not be.
  void check_deadlines(int64_t now_ns);
  void end_all(const model::Error& reason);
  // Of those that ended, as far as a budget of steps is enough. True: more is left for the next.
  bool let_ended_go(uint32_t budget);
  // Some ended since let_ended_go() had nothing left.
  bool has_ended() const { return has_ended_; }
  size_t size() const { return connections_.size(); }

  // It gets a turn, once, however often it is told of.
  void on_input(Connection& connection) override;
  model::Result<void> on_frame(Connection& connection, const model::FrameHeader& header,
                               std::string_view payload) override {
    return parts_.server->on_frame(connection, header, payload);
  }
  void on_reply(Connection& connection) override { parts_.server->on_reply(connection); }
  void on_end(Connection& connection, const model::Error& reason) override;

 private:
  model::Result<void> charge(Connection& connection);
  // Those that had their turns of a while are served again.
  void resume_paced(int64_t now_ns);

  Parts parts_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Connection*> to_serve_;  // by whose turn it is; each is marked in_turn
  std::deque<Connection*> paced_;     // had their turns of this while; each is suspended
  bool has_ended_ = false;
};

}  // namespace quire::server
