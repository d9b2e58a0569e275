#include "tests/attacks/attack_field.h"

#include <unistd.h>

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

bool AttackField::begin() {
  attacker_.emplace(TestProcess::call([this](Channel& channel) {
    become(kAttackerUid);
    AttackGround ground(daemon_.socket_path(), &channel);
    attack_.run(ground);
    ground.ready();
    for (;;) ::pause();
    return 0;
  }));
  return attacker_->channel().receive() == "r";
}

bool AttackField::kill_attacker() {
  attacker_->signal(SIGKILL);
  const bool killed = attacker_->wait() == -SIGKILL;
  attacker_.reset();
  return killed;
}

std::string AttackField::left_behind() {
  const DaemonStatus now = daemon_.status();
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
  compare("session_shared_bytes", now.session_shared_bytes, baseline_.session_shared_bytes);
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
  attacker_->signal(SIGKILL);
  const auto start = std::chrono::steady_clock::now();
  eventually([&] { return left_behind().empty(); });
  const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - start;
  attacker_->wait();
  attacker_.reset();
  return passed.count();
}

}  // namespace quire::tests
