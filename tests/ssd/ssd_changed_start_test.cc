// Law 8, a daemon is killed or loses its power, and the next start has other flags, or other users
// before those whose content it is: what was durable is there, to the last byte, at the start after
// it that has the flags of before.
#include <gtest/gtest.h>

#include "tests/ssd/crash_workload.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/ssd/ssd_child.h"
#include "tests/support/power_recorder.h"

namespace quire::tests {

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
  constexpr uint64_t kEach = 3;  // not each step: ssd_crash_test has them
  uint64_t runs = 0;
  for (uint64_t step = 2;; step += kEach, ++runs) {
    const ScratchDirectory scratch(memory_directory());
    ChildProcess child("crash", {scratch / "ssd", "after-operation", std::to_string(step)});
    const int end = child.wait();
    std::set<uint64_t> durable;
    for (std::string line; !(line = child.next_line()).empty();) note_told(durable, line);
    ASSERT_EQ(check_changed(scratch / "ssd", durable, runs), "") << step;
    if (end == 0) break;
  }
  EXPECT_GE(runs, kChangedStarts);
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

}  // namespace quire::tests
