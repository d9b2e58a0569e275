// Completion, manual and reference say what quirectl's parser takes, and docs/reference.md says the
// same.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "client/quirectl/command_line.h"
#include "client/quirectl/exit_codes.h"

namespace quire::client::manual_test {
namespace {

std::string printed_by(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "quirectl");
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out, err;
  EXPECT_EQ(run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err),
            kExitOk)
      << err.str();
  return out.str();
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string text;
  for (int letter = std::fgetc(pipe); letter != EOF; letter = std::fgetc(pipe)) {
    text += static_cast<char>(letter);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

// What a real bash offers at the end of these words, the last of which is being typed.
class BashCompletion : public testing::Test {
 protected:
  BashCompletion() { std::ofstream(path_) << printed_by({"completion", "bash"}); }
  ~BashCompletion() override { std::filesystem::remove(path_); }

  std::set<std::string> offered(const std::string& words) {
    const std::string script = "source " + path_ + "; COMP_WORDS=(" + words +
                               "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _quirectl; printf "
                               "\"%s\\n\" \"${COMPREPLY[@]}\"";
    std::istringstream lines(output_of("bash --norc -c '" + script + "' 2>&1"));
    std::set<std::string> found;
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) found.insert(line);
    }
    return found;
  }

  const std::string path_ =
      testing::TempDir() + "quirectl-completion-" + std::to_string(::getpid());
};

using Words = std::set<std::string>;

TEST_F(BashCompletion, OffersVerbsAndTheirVerbs) {
  EXPECT_EQ(offered("quirectl st"), Words{"status"});
  EXPECT_EQ(offered("quirectl poli"), Words{"policy"});
  EXPECT_EQ(offered("quirectl policy a"), Words{"advise"});
  EXPECT_EQ(offered("quirectl policy set \"\""),
            (Words{"--domain", "--help", "--tenant", "checkpoints", "ram", "ssd"}));
  EXPECT_TRUE(offered("quirectl \"\"").contains("doctor"));
}

TEST_F(BashCompletion, KnowsWhatAnOptionMayBe) {
  const Words outputs{"csv", "json", "table", "toml"};
  EXPECT_EQ(offered("quirectl -o \"\""), outputs);
  EXPECT_EQ(offered("quirectl status --output \"\""), outputs) << "behind every verb, too";
  EXPECT_EQ(offered("quirectl -o json policy advise --window \"\""), (Words{"15m", "1h", "24h"}));
  EXPECT_EQ(offered("quirectl --color al"), Words{"always"});
  EXPECT_EQ(offered("quirectl status --timeout_ms \"\""), Words{}) << "any number";
}

TEST_F(BashCompletion, SkipsOptionsAndTheirValues) {
  EXPECT_EQ(offered("quirectl --socket policy -o json quota c"), Words{"clear"})
      << "a value that reads like a verb is none";
  EXPECT_TRUE(offered("quirectl status --").contains("--watch"));
  EXPECT_TRUE(offered("quirectl status --").contains("--socket"));
  EXPECT_FALSE(offered("quirectl ping --").contains("--watch"));
}

TEST(Completion, ShellsThatAreThereReadIt) {
  for (const std::string shell : {"zsh", "fish"}) {
    const std::string text = printed_by({"completion", shell});
    EXPECT_NE(text.find("doctor"), text.npos);
    if (std::system(("command -v " + shell + " >/dev/null").c_str()) != 0) continue;
    const std::string path = testing::TempDir() + "quirectl-" + shell;
    std::ofstream(path) << text;
    EXPECT_EQ(std::system((shell + " -n " + path).c_str()), 0) << shell;
    std::filesystem::remove(path);
  }
}

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
