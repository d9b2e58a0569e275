#include "tests/attacks/attack_field.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

namespace quire::tests {

AttackField::AttackField(const Attack& attack)
    : attack_(attack),
      daemon_({.ram_mib = attack.ram_mib, .flags = attack.flags}),
      neighbour_(daemon_.socket_path(), kNeighbourUid) {
  // What it allocates once (a writer's session) is part of the baseline.
  QUIRE_CHECK(neighbour_.rounds(1).alive);
  baseline_ = daemon_.status();
}

bool AttackField::start(uid_t uid, const std::function<void(AttackGround&)>& run) {
  attackers_.push_back(TestProcess::call([&](Channel& channel) {
    become(uid);
    AttackGround ground(daemon_.socket_path(), &channel);
    run(ground);
    ground.ready();
    for (;;) ::pause();
    return 0;
  }));
  return attackers_.back().channel().receive() == "r";
}

bool AttackField::begin() {
  if (!start(kAttackerUid, attack_.run)) return false;
  if (attack_.accomplice && !start(kAccompliceUid, attack_.accomplice)) return false;
  return !attack_.shows || eventually([this] { return attack_.shows(daemon_.status_json()); });
}

bool AttackField::kill_attackers() {
  for (const TestProcess& attacker : attackers_) attacker.signal(SIGKILL);
  bool killed = true;
  for (TestProcess& attacker : attackers_) killed = attacker.wait() == -SIGKILL && killed;
  attackers_.clear();
  return killed;
}

uint64_t AttackField::private_growth_bytes() {
  const uint64_t now = daemon_.status().private_bytes;
  return now - std::min(now, baseline_.private_bytes);
}

// Of the status alone: what a session holds is counted there until its files are closed and its
// memory is unmapped.
std::string AttackField::left_behind() {
  const DaemonStatus now = daemon_.own_status();
  std::string left;
  const auto compare = [&](const char* what, uint64_t is, uint64_t was) {
    if (is == was) return;
    left +=
        std::string(what) + " " + std::to_string(is) + " instead of " + std::to_string(was) + "; ";
  };
  compare("connected", now.connected, baseline_.connected);
  compare("sessions", now.sessions, baseline_.sessions);
  compare("attachments", now.attachments, baseline_.attachments);
  compare("draining", now.draining, 0);
  compare("session bytes in use", now.bytes_in_use(), baseline_.bytes_in_use());
  compare("leases", now.leases, baseline_.leases);
  compare("fills", now.fills, baseline_.fills);
  compare("slots beyond visible pages", now.pages, now.group_pages);
  return left;
}

std::string AttackField::await_nothing_left() {
  std::string left;
  eventually([&] { return (left = left_behind()).empty(); });
  return left;
}

double AttackField::kill_and_time_ms() {
  for (const TestProcess& attacker : attackers_) attacker.signal(SIGKILL);
  const auto start = std::chrono::steady_clock::now();
  eventually([&] { return left_behind().empty(); });
  const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - start;
  for (TestProcess& attacker : attackers_) attacker.wait();
  attackers_.clear();
  return passed.count();
}

}  // namespace quire::tests
