#include "server/start/flag_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace quire::server::flag_file_test {
namespace {

using model::Errc;

class FlagFile : public testing::Test {
 protected:
  ~FlagFile() override { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  static std::vector<std::string> texts(const std::vector<FlagLine>& lines) {
    std::vector<std::string> texts;
    for (const FlagLine& line : lines) texts.push_back(line.text);
    return texts;
  }

  const std::string path_ = testing::TempDir() + "quire-flag-file-test.flags";
};

TEST_F(FlagFile, LinesStandInThePlaceOfTheirFile) {
  write("# comment\n\n  --ram_bytes=2GiB  \n--verify_hits\r\n");
  for (const auto& file : {std::vector<std::string>{"--flagfile=" + path_},
                           std::vector<std::string>{"-flagfile", path_}}) {
    std::vector<std::string> arguments = {"--spin_us=1"};
    arguments.insert(arguments.end(), file.begin(), file.end());
    arguments.push_back("--spin_us=2");
    const auto lines = expand_flag_files(arguments);
    ASSERT_TRUE(lines.ok());
    EXPECT_EQ(texts(*lines), (std::vector<std::string>{"--spin_us=1", "--ram_bytes=2GiB",
                                                       "--verify_hits", "--spin_us=2"}));
    EXPECT_EQ((*lines)[1].origin, path_ + ":3");
  }
}

TEST_F(FlagFile, UnreadableFilesAndLinesThatAreNoFlagsAreNamed) {
  const auto missing = expand_flag_files({"--flagfile=/nowhere/x.flags"});
  ASSERT_EQ(missing.code(), Errc::kInvalidArgument);
  EXPECT_NE(missing.error().text.find("/nowhere/x.flags"), std::string::npos);
  EXPECT_EQ(expand_flag_files({"--flagfile=/tmp"}).code(), Errc::kInvalidArgument);
  EXPECT_EQ(expand_flag_files({"--flagfile=/dev/zero"}).code(), Errc::kInvalidArgument);
  write("--spin_us=1\nram_bytes=2GiB\n");
  const auto no_flag = expand_flag_files({"--flagfile=" + path_});
  ASSERT_EQ(no_flag.code(), Errc::kInvalidArgument);
  EXPECT_NE(no_flag.error().text.find(path_ + ":2"), std::string::npos) << no_flag.error().text;
}

TEST_F(FlagFile, FileThatNamesItselfEnds) {
  write("--flagfile=" + path_ + "\n");
  EXPECT_EQ(expand_flag_files({"--flagfile=" + path_}).code(), Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::server::flag_file_test
