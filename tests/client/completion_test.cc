// What shells offer at the end of a line, asked of the shells themselves.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/client/command_output.h"

namespace quire::client::completion_test {
namespace {

using tests::output_of;
using tests::printed_by;

using Words = std::set<std::string>;

// Of each line what stands before a tab: behind it fish has a description.
Words words_of(const std::string& text) {
  std::istringstream lines(text);
  Words found;
  for (std::string line; std::getline(lines, line);) {
    if (line = line.substr(0, line.find('\t')); !line.empty()) found.insert(line);
  }
  return found;
}

// What a real bash offers at the end of these words, the last of which is being typed.
class BashCompletion : public testing::Test {
 protected:
  BashCompletion() { std::ofstream(path_) << printed_by({"completion", "bash"}); }
  ~BashCompletion() override { std::filesystem::remove(path_); }

  Words offered(const std::string& words) {
    const std::string script = "source " + path_ + "; COMP_WORDS=(" + words +
                               "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _quirectl; printf "
                               "\"%s\\n\" \"${COMPREPLY[@]}\"";
    return words_of(output_of("bash --norc -c '" + script + "' 2>&1"));
  }

  const std::string path_ =
      testing::TempDir() + "quirectl-completion-" + std::to_string(::getpid());
};

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

// A shell that is not on every machine; it is none of what building needs.
class OtherShell : public testing::Test {
 protected:
  explicit OtherShell(const std::string& shell) : shell_(shell) {
    std::filesystem::create_directories(folder_ + "/models");
    std::ofstream(folder_ + "/_quirectl") << printed_by({"completion", shell});
    std::ofstream(folder_ + "/prompt.json") << "[]";
  }
  ~OtherShell() override { std::filesystem::remove_all(folder_); }
  void SetUp() override {
    if (std::system(("command -v " + shell_ + " >/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "no " << shell_ << " on this machine: apt-get install " << shell_;
    }
  }

  const std::string shell_;
  const std::string folder_ =
      testing::TempDir() + "quirectl-" + shell_ + "-" + std::to_string(::getpid());
};

class ZshCompletion : public OtherShell {
 protected:
  ZshCompletion() : OtherShell("zsh") {}
  // Loaded as a user's start-up file does, or found by zsh in its own path of functions.
  Words offered(const std::string& line, const std::string& how = "source") {
    return words_of(output_of("zsh -f " QUIRE_SOURCE_DIR "/tests/client/zsh_offers.zsh " + how +
                              ' ' + folder_ + " '" + line + "' 2>&1"));
  }
};

TEST_F(ZshCompletion, OffersVerbsAndTheirVerbs) {
  EXPECT_EQ(offered("quirectl st"), Words{"status"});
  EXPECT_EQ(offered("quirectl policy a"), Words{"advise"});
  EXPECT_EQ(offered("quirectl policy set "), (Words{"checkpoints", "ram", "ssd"}));
  EXPECT_EQ(offered("quirectl policy a", "fpath"), Words{"advise"});
}

TEST_F(ZshCompletion, KnowsWhatAnOptionMayBe) {
  EXPECT_EQ(offered("quirectl -o "), (Words{"csv", "json", "table", "toml"}));
  EXPECT_EQ(offered("quirectl status --output "), (Words{"csv", "json", "table", "toml"}));
  EXPECT_EQ(offered("quirectl -o json policy advise --window "), (Words{"15m", "1h", "24h"}));
  EXPECT_EQ(offered("quirectl status --timeout_ms "), Words{}) << "any number";
}

TEST_F(ZshCompletion, SkipsOptionsAndTheirValues) {
  EXPECT_EQ(offered("quirectl --socket policy -o json quota c"), Words{"clear"})
      << "a value that reads like a verb is none";
  const Words of_status = offered("quirectl status --");
  EXPECT_TRUE(of_status.contains("--watch"));
  EXPECT_TRUE(of_status.contains("--socket"));
  EXPECT_FALSE(offered("quirectl ping --").contains("--watch"));
}

TEST_F(ZshCompletion, OffersFilesWhereOneIsNamed) {
  EXPECT_EQ(offered("quirectl trace replay "),
            (Words{"_quirectl", "models", "offers", "prompt.json", "setup"}));
  EXPECT_EQ(offered("quirectl locate --tokens pro"), Words{"prompt.json"});
  EXPECT_EQ(offered("quirectl ping pro"), Words{});
}

class FishCompletion : public OtherShell {
 protected:
  FishCompletion() : OtherShell("fish") {}
  Words offered(const std::string& line) {
    return words_of(output_of("cd " + folder_ + "; HOME=" + folder_ +
                              " fish --no-config -c 'source _quirectl; complete -C \"" + line +
                              "\"' 2>&1"));
  }
};

TEST_F(FishCompletion, OffersVerbsAndTheirVerbs) {
  EXPECT_EQ(offered("quirectl st"), Words{"status"});
  EXPECT_EQ(offered("quirectl policy a"), Words{"advise"});
  EXPECT_EQ(offered("quirectl policy set "), (Words{"checkpoints", "ram", "ssd"}));
}

TEST_F(FishCompletion, KnowsWhatAnOptionMayBe) {
  EXPECT_EQ(offered("quirectl -o "), (Words{"csv", "json", "table", "toml"}));
  EXPECT_EQ(offered("quirectl status --output "), (Words{"csv", "json", "table", "toml"}));
  EXPECT_EQ(offered("quirectl -o json policy advise --window "), (Words{"15m", "1h", "24h"}));
  EXPECT_EQ(offered("quirectl status --timeout_ms "), Words{}) << "any number";
}

TEST_F(FishCompletion, SkipsOptionsAndTheirValues) {
  EXPECT_EQ(offered("quirectl --socket policy -o json quota c"), Words{"clear"})
      << "a value that reads like a verb is none";
  const Words of_status = offered("quirectl status --");
  EXPECT_TRUE(of_status.contains("--watch"));
  EXPECT_TRUE(of_status.contains("--socket"));
  EXPECT_FALSE(offered("quirectl ping --").contains("--watch"));
}

TEST_F(FishCompletion, OffersFilesWhereOneIsNamed) {
  EXPECT_EQ(offered("quirectl trace replay pro"), Words{"prompt.json"});
  EXPECT_EQ(offered("quirectl locate --tokens pro"), Words{"prompt.json"});
  EXPECT_EQ(offered("quirectl ping pro"), Words{});
}

}  // namespace
}  // namespace quire::client::completion_test
