// Law 8, a daemon is killed or loses its power, and the next start has other flags, or other users
// before those whose content it is: what was durable is there, to the last byte, at the start after
// it that has the flags of before.
#include <gtest/gtest.h>

#include "tests/ssd/crash_workload.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/ssd/ssd_child.h"
#include "tests/support/power_recorder.h"

namespace quire::tests::ssd_changed_start_test {

namespace {

// Each way to change a start gets some.
ChangedStart changed(uint64_t number) { return static_cast<ChangedStart>(number % kChangedStarts); }

std::string check_changed(const std::string& path, const std::set<uint64_t>& durable,
                          uint64_t number) {
  const std::string wrong = start_changed(path, changed(number));
  if (!wrong.empty()) return wrong;
  return check_after_crash(path, durable, CrashContent::kPlain, kRoomForOthers);
}

}  // namespace

TEST(SsdChangedStart, Law08_KilledThenStartedWithOtherFlags) {
  uint64_t killed = 0;
  const auto kill_and_change = [&](uint64_t step) {
    const ScratchDirectory scratch(memory_directory());
    ChildProcess child("crash", {scratch / "ssd", "after-operation", std::to_string(step)});
    const bool ended = child.wait() == 0;
    std::set<uint64_t> durable;
    for (std::string line; !(line = child.next_line()).empty();) note_told(durable, line);
    EXPECT_EQ(check_changed(scratch / "ssd", durable, killed), "") << step;
    killed += ended ? 0 : 1;
    return !ended && !HasFailure();
  };
  // How many operations a run has depends on how they happen to be grouped. A pass takes each third
  // (ssd_crash_test has them all); passes go on, over other steps, until each change had a kill.
  constexpr uint64_t kEach = 3;
  for (uint64_t pass = 1; killed < kChangedStarts && !HasFailure(); ++pass) {
    ASSERT_LE(pass, kEach * kChangedStarts) << "a run has no operation to be killed after";
    for (uint64_t step = 1 + pass % kEach; kill_and_change(step); step += kEach) continue;
  }
}

TEST(SsdChangedStart, Law08_PowerCutThenStartedWithOtherFlags) {
  const ScratchDirectory scratch(memory_directory());
  PowerRecorder recorder(scratch / "ssd");
  run_crash_workload(scratch / "ssd", recorder.seams(),
                     [&](const std::string& line) { recorder.note(line); });
  uint64_t number = 0;
  recorder.for_each_image(
      scratch.path(), {.seed = 2, .at_each_sync = 0}, [&](const PowerRecorder::Image& image) {
        std::set<uint64_t> durable;
        for (const std::string& line : image.notes) note_told(durable, line);
        EXPECT_EQ(check_changed(image.path, durable, number++), "") << image.what;
        return !testing::Test::HasFailure();
      });
  EXPECT_GE(number, kChangedStarts);
}

}  // namespace quire::tests::ssd_changed_start_test
