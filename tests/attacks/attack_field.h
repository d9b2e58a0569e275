// A daemon with a neighbour in it, and attackers that come and are killed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/attacks/attack.h"
#include "tests/attacks/neighbour.h"
#include "tests/process/daemon_process.h"

namespace quire::tests {

inline constexpr uid_t kNeighbourUid = 20001;
inline constexpr uid_t kAttackerUid = 20002;
inline constexpr uid_t kAccompliceUid = 20003;

class AttackField {
 public:
  // Needs root, for the uids.
  explicit AttackField(const Attack& attack);

  Neighbour& neighbour() { return neighbour_; }
  DaemonProcess& daemon() { return daemon_; }

  // Returns once the attack works. False: it ended, or never came to it.
  bool begin();
  // SIGKILL in the middle of it. False when one of the attackers had ended by itself.
  bool kill_attackers();
  // How much more memory of its own the daemon has than before the attack: its heap and its tables,
  // not what it shares with clients.
  uint64_t private_growth_bytes();
  // Nothing is left of the attacker but objects: sessions and their memory, leases, fills,
  // connections.
  // What is, in words; empty: nothing.
  std::string left_behind();
  // left_behind() becomes nothing; else what is still there after a test's patience.
  std::string await_nothing_left();
  // How long it takes from the kill until the daemon holds nothing of the attacker, in ms. For
  // benchmarks; polls the daemon's status.
  double kill_and_time_ms();

 private:
  bool start(uid_t uid, const std::function<void(AttackGround&)>& run);

  const Attack attack_;
  DaemonProcess daemon_;
  Neighbour neighbour_;
  DaemonStatus baseline_;
  std::vector<TestProcess> attackers_;
};

}  // namespace quire::tests
