// Manual and reference say what quirectl's parser takes, and docs/reference.md says the same.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "client/quirectl/exit_codes.h"
#include "tests/client/command_output.h"

namespace quire::client::manual_test {
namespace {

using tests::printed_by;

TEST(Reference, InDocsIsTheOneOfTheseCommands) {
  std::ifstream file(QUIRE_SOURCE_DIR "/docs/reference.md");
  const std::string kept{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(kept == printed_by({"reference"}))
      << "the commands changed: quirectl reference > docs/reference.md";
}

TEST(Reference, NamesEveryCommandRoleAndExitCode) {
  const std::string text = printed_by({"reference"});
  for (const std::string part :
       {"### quirectl policy set", "### quirectl meter bill", "### quirectl trace record",
        "### quirectl completion", "### quirectl pin\n", "### quirectl pin show",
        "| policy show |  | yes |  | yes |", "| policy set |  |  |  | yes |",
        "| meter blocks |  |  | yes | yes |", "| ping | yes | yes | yes | yes |",
        "| evict go |  |  |  | yes | yes | yes |"}) {
    EXPECT_NE(text.find(part), text.npos) << part;
  }
  EXPECT_EQ(text.find("### quirectl locate "), text.npos) << "a group of options is no command";
  for (const ExitCode& code : kExitCodes) {
    EXPECT_NE(text.find("| " + std::to_string(code.code) + " | " + std::string(code.meaning)),
              text.npos);
  }
}

TEST(Manual, IsRoffThatManReads) {
  const std::string text = printed_by({"man"});
  EXPECT_TRUE(text.starts_with(".TH QUIRECTL 1")) << text.substr(0, 80);
  EXPECT_NE(text.find(".SS policy set\n"), text.npos);
  EXPECT_NE(text.find(".SH EXIT STATUS"), text.npos);
  EXPECT_EQ(text.find("\n\n"), text.npos) << "a blank line is no request";
}

}  // namespace
}  // namespace quire::client::manual_test
