// An attack: what one client does that must cost nobody else anything. Each is a process of its own
// uid, beside a neighbour of another uid; it goes on until it is killed (SIGKILL, in the middle of
// it), and afterwards the daemon holds nothing of it but the objects it committed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/process/test_process.h"

namespace quire::tests {

// Where an attack takes place; lives in the attacker's process.
class AttackGround {
 public:
  AttackGround(std::string socket_path, Channel* channel)
      : socket_path_(std::move(socket_path)), channel_(channel) {}

  const std::string& socket_path() const { return socket_path_; }
  // The attack has begun to work: from now on the neighbour is watched. Only the first call counts.
  void ready();

 private:
  std::string socket_path_;
  Channel* channel_;
  bool ready_ = false;
};

struct Attack {
  std::string_view name;  // as in --gtest_filter and in the bench's `attacks[].name`
  // Goes on for ever; it is killed. One that returns keeps what it holds until then. A refusal by
  // the daemon is an answer like any other: it tries again, over a new connection when that ended.
  std::function<void(AttackGround&)> run;
  // What a client of a third uid does, from when run() works until both are killed; it goes on for
  // ever, too. Null: there is none.
  std::function<void(AttackGround&)> accomplice;
  // Whether the daemon's status shows what the attack is for; the neighbour is watched from then
  // on. Null: nothing to be seen there.
  std::function<bool(std::string_view status)> shows;
  uint64_t ram_mib = 256;          // four segments of 64 MiB
  std::vector<std::string> flags;  // of the daemon, beyond DaemonProcess's
};

// Every attack there is.
std::vector<Attack> all_attacks();
// By what they go for.
std::vector<Attack> socket_attacks();
std::vector<Attack> fill_attacks();
std::vector<Attack> memory_attacks();
std::vector<Attack> table_attacks();

}  // namespace quire::tests
