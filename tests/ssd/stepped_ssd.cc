#include "tests/ssd/stepped_ssd.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace quire::tests {

namespace {

constexpr std::chrono::milliseconds kALittle{5};
constexpr uint32_t kForeverMs = 0xffffffff;  // the longest there is

}  // namespace

SteppedSsd::SteppedSsd(const OptionsChange& change, server::DaemonSeams seams)
    : FaultySsd(
          [&, this](server::Options& options) {
            directory.use()(options);
            options.ssd_hang_ms = std::chrono::milliseconds(kHang).count();
            options.spin_us = 0;
            if (change) change(options);
          },
          {.manifest_env = seams.manifest_env, .clock = &clock}) {}

SteppedSsd::~SteppedSsd() {
  clear_faults();
  with_engine([](FaultyEngine& engine) { engine.hold_all(false); });
  release_held();
  EXPECT_TRUE(comes([](server::Daemon& daemon) { return daemon.tiers()->idle(); }));
}

bool SteppedSsd::comes(const std::function<bool(server::Daemon&)>& condition) {
  return daemon().eventually([&](server::Daemon& daemon) {
    if (condition(daemon)) return true;
    clock.advance(kALittle);
    return false;
  });
}

bool SteppedSsd::settle() {
  return comes([](server::Daemon& daemon) {
    return inspect(daemon).counters().all_on_ssd() && daemon.tiers()->idle();
  });
}

bool SteppedSsd::comes_to(tiering::TierMode state) {
  return comes([&](server::Daemon& daemon) { return ssd_status(daemon).state == state; });
}

bool SteppedSsd::stands_still() {
  return daemon().eventually(
      [&](server::Daemon& daemon) { return all_held_on_core() && ssd_status(daemon).checks == 0; });
}

model::Errc SteppedSsd::load_that_hangs(client::Client& client, uint64_t context, uint32_t tokens) {
  const auto reader = rig().session(client, context, tokens);
  const auto match = reader->match(tokens + 1);
  QUIRE_CHECK(match.ok() && match->tokens[model::TierId::kSsd] > 0);
  QUIRE_CHECK(reader->submit_load(match->lease, {.deadline_ms = kForeverMs}).ok());
  reader->flush();
  QUIRE_CHECK(wait_for_held(1));
  hang();
  std::array<model::Completion, 1> completion{};
  QUIRE_CHECK(reader->wait(kPatienceMs).ok());
  QUIRE_CHECK(*reader->poll_completions(completion) == 1);
  return static_cast<model::Errc>(completion[0].code);
}

}  // namespace quire::tests
