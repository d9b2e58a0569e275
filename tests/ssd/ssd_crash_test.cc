// Law 8, a daemon killed at every persistence step: before each operation on the device, after
// each, and after each change that RocksDB makes to a file. What was durable before is there
// afterwards, and nothing that is there is wrong. (The superblock's steps: ssd_directory_test.)
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>

#include "tests/ssd/crash_workload.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/ssd/ssd_child.h"
#include "tests/support/faulty_engine.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/observed_engine.h"

namespace quire::tests::ssd_crash_test {

namespace {

constexpr uint64_t kMostSteps = 1000;  // more than any run has

using Engine = std::unique_ptr<tiering::IoEngine>;

// The n-th step, from 1.
class KillAt {
 public:
  explicit KillAt(uint64_t step) : step_(step) {}
  void operator()() {
    if (++count_ == step_) ::raise(SIGKILL);
  }

 private:
  const uint64_t step_;
  std::atomic<uint64_t> count_{0};
};

server::DaemonSeams seams_that_kill(const std::string& where, KillAt& kill,
                                    FaultyFileSystem& file_system) {
  server::DaemonSeams seams;
  seams.manifest_env = file_system.env();
  file_system.skip_device_syncs();  // a kill loses nothing that was written
  if (where == "before-operation") {
    seams.wrap_engine = [&kill](Engine inner) {
      auto engine = std::make_unique<FaultyEngine>(std::move(inner));
      engine->set_hook([&kill](const tiering::IoOp&, uint64_t) { kill(); });
      return engine;
    };
  } else if (where == "after-operation") {
    seams.wrap_engine = [&kill](Engine inner) {
      const auto on_done = [&kill](const tiering::IoOp&) { kill(); };
      return std::make_unique<ObservedEngine>(std::move(inner),
                                              ObservedEngine::Observer{.on_done = on_done});
    };
  } else {
    file_system.set_hook([&kill](const FileEvent&) { kill(); });
  }
  return seams;
}

// Arguments: directory, where to kill, at which step.
ChildRole works_until_killed("crash", [](const std::vector<std::string>& arguments) {
  KillAt kill(std::stoull(arguments[2]));
  FaultyFileSystem file_system;
  const server::DaemonSeams seams = seams_that_kill(arguments[1], kill, file_system);
  run_crash_workload(arguments[0], seams, report_to_parent);
  return 0;
});

// For each step until a run comes to its end. Returns how many there are.
uint64_t kill_at_every_step(const std::string& where) {
  for (uint64_t step = 1; step < kMostSteps; ++step) {
    const ScratchDirectory scratch(memory_directory());
    ChildProcess child("crash", {scratch / "ssd", where, std::to_string(step)});
    const int end = child.wait();
    std::set<uint64_t> durable;
    for (std::string line; !(line = child.next_line()).empty();) note_told(durable, line);
    EXPECT_EQ(check_after_crash(scratch / "ssd", durable), "") << where << " " << step;
    if (end == 0) {
      EXPECT_EQ(durable, (std::set<uint64_t>{3, 4, 5}));
      return step - 1;
    }
    EXPECT_EQ(end, -SIGKILL);
    if (end != -SIGKILL || testing::Test::HasFailure()) return step;
  }
  return kMostSteps;
}

}  // namespace

TEST(SsdCrash, Law08_KilledBeforeEachOperationOnTheDevice) {
  const uint64_t steps = kill_at_every_step("before-operation");
  EXPECT_GE(steps, 20u);
  EXPECT_LT(steps, kMostSteps);
}

TEST(SsdCrash, Law08_KilledAfterEachOperationOnTheDevice) {
  const uint64_t steps = kill_at_every_step("after-operation");
  EXPECT_GE(steps, 20u);
  EXPECT_LT(steps, kMostSteps);
}

TEST(SsdCrash, Law08_KilledAfterEachChangeToAFileOfTheManifest) {
  const uint64_t steps = kill_at_every_step("after-change");
  EXPECT_GE(steps, 20u);
  EXPECT_LT(steps, kMostSteps);
}

}  // namespace quire::tests::ssd_crash_test
