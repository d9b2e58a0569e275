#include "server/control/state_keeper.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/patience.h"

namespace quire::server::state_keeper_test {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool comes_to_be_kept(const StateKeeper& keeper) {
  const auto end = std::chrono::steady_clock::now() + tests::kPatience;
  while (!keeper.is_kept() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return keeper.is_kept();
}

class StateKeeperTest : public testing::Test {
 protected:
  StateKeeperTest() { std::filesystem::create_directory(directory_); }
  ~StateKeeperTest() override { std::filesystem::remove_all(directory_); }

  const std::string directory_ = testing::TempDir() + "quire-keeper-" + std::to_string(::getpid());
  const std::string path_ = directory_ + "/state.toml";
};

TEST_F(StateKeeperTest, NewestTextIsThereWholeInTheEnd) {
  {
    const auto keeper = StateKeeper::create(path_).value();
    EXPECT_TRUE(keeper->is_kept()) << "nothing was changed";
    for (int i = 0; i <= 100; ++i) keeper->keep("text " + std::to_string(i));
  }  // waits for it
  EXPECT_EQ(read(path_), "text 100");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1)
      << "nothing else is left behind";
}

TEST_F(StateKeeperTest, WhatCannotBeWrittenIsToldAndTriedAgainWithTheNextChange) {
  std::filesystem::remove(directory_);
  const auto keeper = StateKeeper::create(path_).value();
  keeper->keep("lost");
  ASSERT_TRUE(comes_to_be_kept(*keeper));
  EXPECT_NE(keeper->error().find(directory_), std::string::npos) << keeper->error();
  std::filesystem::create_directory(directory_);
  keeper->keep("kept");
  ASSERT_TRUE(comes_to_be_kept(*keeper));
  EXPECT_EQ(keeper->error(), "");
  EXPECT_EQ(read(path_), "kept");
}

TEST_F(StateKeeperTest, WithoutAPathNothingIsKeptAndNothingIsMissing) {
  const auto keeper = StateKeeper::create("").value();
  keeper->keep("text");
  EXPECT_TRUE(keeper->is_kept());
  EXPECT_EQ(keeper->error(), "");
}

}  // namespace
}  // namespace quire::server::state_keeper_test
