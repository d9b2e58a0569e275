#include "bench/neighbour_bench.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "tests/attacks/attack_field.h"

namespace quire::bench {

namespace {

using tests::Attack;
using tests::AttackField;
using tests::NeighbourReport;

constexpr uint32_t kNeighbourTurns = 5;
constexpr uint32_t kNeighbourRounds = 1000;  // of the neighbour, in each turn with and each without

// An attacker shares the machine's two cores with the daemon and the neighbour. That is the
// kernel's to divide, so attackers get what nobody else wants (SCHED_IDLE: at the lowest niceness
// their slices still held up whoever woke), and this one shows what is left of it: it does nothing
// but spin.
void spin_for_ever(tests::AttackGround& ground) {
  ground.ready();
  for (;;) __builtin_ia32_pause();
}

struct Samples {
  std::vector<double> commit_us;
  std::vector<double> hit_us;
  uint64_t failures = 0;  // refused, lost or wrong

  void add(const NeighbourReport& report) {
    failures += report.refusals + report.lost + report.wrong_pages + (report.alive ? 0 : 1);
    commit_us.insert(commit_us.end(), report.commit_us.begin(), report.commit_us.end());
    hit_us.insert(hit_us.end(), report.hit_us.begin(), report.hit_us.end());
  }
  // Of a whole round: what a turn of a session waits for.
  double p99_us() const {
    std::vector<double> rounds(commit_us);
    for (size_t i = 0; i < rounds.size(); ++i) rounds[i] += hit_us[i];
    return percentile(std::move(rounds), 0.99);
  }
};

struct Outcome {
  std::string name;
  Samples without;
  Samples with;
  double gone_ms = 0;  // slowest of the turns
  std::string left_behind;

  double ratio() const { return with.p99_us() / std::max(without.p99_us(), 1.0); }
};

Outcome measure(Attack attack) {
  Outcome outcome{.name = std::string(attack.name)};
  for (auto* run : {&attack.run, &attack.accomplice}) {
    if (!*run) continue;
    *run = [idle = *run](tests::AttackGround& ground) {
      run_when_idle();
      idle(ground);
    };
  }
  AttackField field(attack);
  field.neighbour().rounds(kNeighbourRounds);  // not counted: everything is touched once
  for (uint32_t turn = 0; turn < kNeighbourTurns; ++turn) {
    outcome.without.add(field.neighbour().rounds(kNeighbourRounds));
    if (!field.begin()) {
      outcome.left_behind = "the attack came to nothing";
      return outcome;
    }
    outcome.with.add(field.neighbour().rounds(kNeighbourRounds));
    outcome.gone_ms = std::max(outcome.gone_ms, field.kill_and_time_ms());
  }
  outcome.left_behind = field.left_behind();
  field.neighbour().leave();
  return outcome;
}

bool is_attack(const std::string& name) {
  const std::vector<Attack> attacks = tests::all_attacks();
  return std::any_of(attacks.begin(), attacks.end(),
                     [&](const Attack& attack) { return attack.name == name; });
}

std::string json_of(const Outcome& outcome) {
  return JsonObject()
      .add("name", outcome.name)
      .add("p99_ratio", outcome.ratio())
      .add("p99_us_without", outcome.without.p99_us())
      .add("p99_us_with", outcome.with.p99_us())
      .add("commit_p50_us_with", percentile(outcome.with.commit_us, 0.5))
      .add("hit_p50_us_with", percentile(outcome.with.hit_us, 0.5))
      .add("failures", static_cast<double>(outcome.without.failures + outcome.with.failures))
      .add("gone_ms", outcome.gone_ms)
      .add("left_behind", outcome.left_behind)
      .str();
}

void print_row(const Outcome& outcome) {
  std::printf("%-28s %9.0f us %9.0f us  %6.2fx  %4llu failures  gone after %6.1f ms  %s\n",
              outcome.name.c_str(), outcome.without.p99_us(), outcome.with.p99_us(),
              outcome.ratio(),
              static_cast<unsigned long long>(outcome.without.failures + outcome.with.failures),
              outcome.gone_ms, outcome.left_behind.c_str());
}

}  // namespace

int run_neighbour_bench(bool json, const std::string& only) {
  if (::geteuid() != 0) {
    std::fputs("bench: neighbour needs root, to be several users; run it with sudo\n", stderr);
    return 1;
  }
  if (!only.empty() && !is_attack(only)) {
    std::fprintf(stderr, "bench: no attack is called %s\n", only.c_str());
    return 2;
  }
  const Outcome machine = measure({.name = "machine", .run = spin_for_ever});
  if (!json) {
    std::puts("attack                        p99 without     p99 with   ratio");
    print_row(machine);
  }
  std::string rows;
  double worst = 0;
  uint64_t failures = 0;
  for (const Attack& attack : tests::all_attacks()) {
    if (!only.empty() && attack.name != only) continue;
    const Outcome outcome = measure(attack);
    worst = std::max(worst, outcome.ratio());
    failures += outcome.with.failures + outcome.without.failures;
    rows += (rows.empty() ? "" : ",") + json_of(outcome);
    if (!json) print_row(outcome);
  }
  if (json) {
    std::puts(JsonObject()
                  .add("bench", std::string("neighbour"))
                  .add_raw("machine", json_of(machine))
                  .add_raw("attacks", "[" + rows + "]")
                  .add("worst_p99_ratio", worst)
                  .add("failures", static_cast<double>(failures))
                  .str()
                  .c_str());
  } else {
    std::printf("worst ratio %.2fx (target <= 3), %llu failures\n", worst,
                static_cast<unsigned long long>(failures));
  }
  return failures == 0 ? 0 : 1;
}

}  // namespace quire::bench
