#include "tiering/io/copy_engine.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "tiering/io/crc_copy.h"

namespace quire::tiering::copy_engine_test {
namespace {

TEST(InlineCopyEngine, CopiesEveryPageAndSealsIt) {
  std::array<std::byte, 300> source{};
  std::array<std::byte, 300> target{};
  std::memset(source.data(), 7, source.size());
  std::array<CopyPage, 2> pages = {CopyPage{source.data(), target.data(), 100},
                                   CopyPage{source.data() + 100, target.data() + 100, 200}};
  CopyTask task{.id = 1, .pages = pages};
  InlineCopyEngine engine(4);
  ASSERT_TRUE(engine.submit(&task));
  EXPECT_EQ(source, target);
  EXPECT_EQ(pages[0].crc32c, crc32c(source.data(), 100));
  EXPECT_EQ(pages[1].crc32c, crc32c(source.data(), 200));
}

TEST(InlineCopyEngine, WithoutTargetOnlyChecks) {
  std::array<std::byte, 64> source{};
  std::array<CopyPage, 1> pages = {CopyPage{.source = source.data(), .bytes = source.size()}};
  CopyTask task{.id = 1, .pages = pages};
  InlineCopyEngine engine(1);
  ASSERT_TRUE(engine.submit(&task));
  EXPECT_EQ(pages[0].crc32c, crc32c(source.data(), source.size()));
}

TEST(InlineCopyEngine, Law10_FullQueueRefusesUntilPolled) {
  std::array<CopyTask, 3> tasks;
  InlineCopyEngine engine(2);
  EXPECT_TRUE(engine.submit(&tasks[0]));
  EXPECT_TRUE(engine.submit(&tasks[1]));
  EXPECT_FALSE(engine.submit(&tasks[2]));
  EXPECT_EQ(engine.in_flight(), 2u);
  std::array<CopyTask*, 1> done{};
  EXPECT_EQ(engine.poll(done), 1u);
  EXPECT_EQ(done[0], &tasks[0]);
  EXPECT_TRUE(engine.submit(&tasks[2]));
  std::array<CopyTask*, 8> rest{};
  EXPECT_EQ(engine.poll(rest), 2u);
  EXPECT_EQ(rest[0], &tasks[1]);
  EXPECT_EQ(engine.in_flight(), 0u);
}

}  // namespace
}  // namespace quire::tiering::copy_engine_test
