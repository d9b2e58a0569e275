// Options of the whole program are taken on both sides of every verb of quirectl.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "client/quirectl/command_line.h"
#include "client/quirectl/daemon_command.h"
#include "tests/client/client_fixture.h"

namespace quire::client::global_options_test {
namespace {

struct Ran {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Ran quirectl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "quirectl");
  std::vector<const char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(argument.c_str());
  std::ostringstream out, err;
  const int code =
      run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err);
  return {code, out.str(), err.str()};
}

using Words = std::vector<std::string>;

Words join(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

class GlobalOptions : public ClientFixture {
 protected:
  GlobalOptions() { ::unsetenv("QUIRECTL_OUTPUT"); }

  // The verb with the options before, and behind it: the same, and no complaint about usage.
  void expect_same(const Words& options, const Words& verb) {
    const Ran before = quirectl(join(options, verb));
    const Ran behind = quirectl(join(verb, options));
    EXPECT_NE(before.exit_code, kExitUsage) << verb[0] << ": " << before.err;
    EXPECT_EQ(before.exit_code, behind.exit_code) << verb[0] << ": " << behind.err;
    EXPECT_EQ(before.out, behind.out) << verb[0];
    EXPECT_EQ(before.err, behind.err) << verb[0];
  }
};

TEST_F(GlobalOptions, WhereNobodyListensThatIsSaid) {
  const Ran ran = quirectl({"--socket", "/nowhere/quired.sock", "status"});
  EXPECT_EQ(ran.exit_code, kExitCannotConnect);
  EXPECT_EQ(ran.err,
            "quirectl: unavailable: connect to /nowhere/quired.sock: No such file or directory; is "
            "quired running? --socket, or QUIRE_SOCKET, says where\n");
}

TEST_F(GlobalOptions, ACommandThatIsNoneIsToldFromThoseThatThereAre) {
  const auto refused = [](const Words& words) {
    const Ran ran = quirectl(words);
    EXPECT_EQ(ran.exit_code, kExitUsage);
    EXPECT_EQ(ran.out, "");
    return ran.err.substr(0, ran.err.find(" There are:"));
  };
  EXPECT_EQ(refused({"statsu"}), "quirectl: no command \"statsu\"; did you mean status?");
  EXPECT_EQ(refused({"-o", "json", "meter", "bil"}),
            "quirectl meter: no command \"bil\"; did you mean bill?");
  EXPECT_EQ(refused({"policy"}), "quirectl policy: which command?");
  EXPECT_EQ(refused({}), "quirectl: which command?");
  EXPECT_NE(quirectl({"policy"}).err.find("There are: show set advise\n"), std::string::npos)
      << quirectl({"policy"}).err;
  EXPECT_NE(quirectl({"why", "--tokens"}).err.find("--tokens"), std::string::npos);
  EXPECT_NE(quirectl({"policy", "set"}).err.find("OF is required"), std::string::npos);
}

TEST_F(GlobalOptions, VerbsThatAskTheDaemonTakeThemOnBothSides) {
  start({.json = R"({"running":false,"passes":3,"bad":0})"});
  const Words options = {"--socket", path_, "--timeout_ms", "20000", "-o", "json"};
  for (const Words& verb :
       {Words{"status"}, Words{"verify"}, Words{"verify", "--headers"}, Words{"scrub", "status"},
        Words{"scrub", "start", "--bytes_per_second", "7"}}) {
    expect_same(options, verb);
  }
  EXPECT_EQ(quirectl(join({"scrub", "status"}, options)).out,
            R"({"schema":"quire.scrub.v1","running":false,"passes":3,"bad":0})"
            "\n");
  EXPECT_EQ(quirectl({"-o", "json", "status", "--socket", path_}).out.front(), '{');
  EXPECT_EQ(quirectl({"--socket=" + path_, "ping", "--timeout_ms=20000"}).exit_code, kExitOk);
  EXPECT_EQ(quirectl({"ping", "--socket=" + path_, "--timeout_ms=20000"}).exit_code, kExitOk);
}

TEST_F(GlobalOptions, TheLastWordOnOutputIsTheOneBehindTheVerb) {
  const std::string file = QUIRE_SOURCE_DIR "/configs/models/llama-3.1-70b.toml";
  expect_same({"-o", "json"}, {"layout", "show", file});
  expect_same({"-o", "toml", "--socket", "/nowhere"}, {"layout", "show", file});
  expect_same({"--timeout_ms", "5"}, {"layout", "check", file});
  EXPECT_EQ(quirectl({"layout", "-o", "json", "show", file}).out.front(), '{');
  EXPECT_EQ(quirectl({"-o", "table", "layout", "show", file, "-o", "json"}).out.front(), '{');
  EXPECT_NE(quirectl({"layout", "show", file}).out.front(), '{') << "a table by default";
}

TEST_F(GlobalOptions, LayoutsKeepTheirOwnDefaultWhateverTheEnvironmentSays) {
  ::setenv("QUIRECTL_OUTPUT", "json", 1);
  const std::string file = QUIRE_SOURCE_DIR "/configs/models/llama-3.1-70b.toml";
  EXPECT_NE(quirectl({"layout", "show", file}).out.front(), '{');
  start({.json = R"({"state":"ok"})"});
  EXPECT_EQ(quirectl({"status", "--socket", path_}).out,
            "{\"schema\":\"quire.status.v1\",\"state\":\"ok\"}\n");
  EXPECT_EQ(quirectl({"status", "--socket", path_, "-o", "table", "--all"}).out, "state  ok\n");
  ::unsetenv("QUIRECTL_OUTPUT");
}

TEST_F(GlobalOptions, RebuildTakesThemToo) {
  const Words verb = {"rebuild", "--ssd_path", "/nowhere"};
  for (const Words& all : {join({"--timeout_ms", "5"}, verb), join(verb, {"--timeout_ms", "5"})}) {
    EXPECT_NE(quirectl(all).exit_code, kExitUsage);
  }
}

TEST_F(GlobalOptions, WhatIsUnknownIsNamedWithTheWayOut) {
  for (const Words& words :
       {Words{"status", "--bogus"}, Words{"--bogus", "status"}, Words{"scrub", "status", "--bogus"},
        Words{"layout", "show", "--bogus"}, Words{"ping", "bogus"}, Words{"bogus"}}) {
    const Ran ran = quirectl(words);
    EXPECT_EQ(ran.exit_code, kExitUsage);
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find("--help"), std::string::npos) << words[0] << ": " << ran.err;
  }
  EXPECT_NE(quirectl({"status", "--bogus"}).err.find("--bogus"), std::string::npos);
}

TEST_F(GlobalOptions, OneVerbAtATime) {
  start({.json = R"({"state":"ok"})"});
  const Ran ran = quirectl({"--socket", path_, "ping", "status"});
  EXPECT_EQ(ran.exit_code, kExitUsage);
  EXPECT_EQ(ran.out, "");
}

TEST_F(GlobalOptions, AnOutputThatAVerbDoesNotHaveIsAWrongUsage) {
  const Ran toml = quirectl({"-o", "toml", "status", "--socket", path_});
  EXPECT_EQ(toml.exit_code, kExitUsage);
  EXPECT_NE(toml.err.find("table, json or csv"), std::string::npos) << toml.err;
  EXPECT_EQ(quirectl({"status", "-o", "xml"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace quire::client::global_options_test
