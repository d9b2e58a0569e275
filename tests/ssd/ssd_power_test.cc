// Law 8, the power fails: of one run of a daemon, the directories that a power cut at each sync may
// leave. Each opens, has what was durable before the cut, and not one wrong byte.
// QUIRE_POWER_IMAGES: images with unsynced parts at each sync; QUIRE_POWER_SEED: which.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/ssd/crash_workload.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/power_recorder.h"

namespace quire::tests::ssd_power_test {

namespace {

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST(SsdPower, Law08_EveryImageOfAPowerCutOpensWithWhatWasDurable) {
  const ScratchDirectory scratch(memory_directory());
  PowerRecorder recorder(scratch / "ssd");
  run_crash_workload(scratch / "ssd", recorder.seams(),
                     [&](const std::string& line) { recorder.note(line); });
  const PowerRecorder::ImageOptions options{
      .seed = number_from("QUIRE_POWER_SEED", 1),
      .at_each_sync = static_cast<uint32_t>(number_from("QUIRE_POWER_IMAGES", 3))};
  uint64_t with_durable = 0;
  std::set<uint64_t> ever_durable;
  const uint64_t images =
      recorder.for_each_image(scratch.path(), options, [&](const PowerRecorder::Image& image) {
        std::set<uint64_t> durable;
        for (const std::string& line : image.notes) note_told(durable, line);
        with_durable += durable.empty() ? 0 : 1;
        ever_durable.insert(durable.begin(), durable.end());
        EXPECT_EQ(check_after_crash(image.path, durable), "") << image.what;
        return !testing::Test::HasFailure();
      });
  EXPECT_GT(images, 50u);
  // However many objects one sync makes durable: each context that was not dropped before the next
  // one's syncs.
  EXPECT_GT(with_durable, 5u);
  EXPECT_GE(ever_durable.size(), 3u);
  RecordProperty("images", static_cast<int>(images));
}

}  // namespace quire::tests::ssd_power_test
