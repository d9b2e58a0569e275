// What quirectl tells a script: each exit code, by what leads to it, over a real daemon; what a
// reader's quirectl can do, and what a terminal sees.
#include "client/quirectl/exit_codes.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "client/quirectl/command_line.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/process/disguise.h"
#include "tests/support/patience.h"

namespace quire::tests::exit_codes_test {

namespace {

using Words = std::vector<std::string>;

constexpr uid_t kReader = 60002;
constexpr uid_t kMeter = 60003;

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

class ExitCodes : public testing::Test {
 protected:
  // In this process, which may be somebody else.
  Ran run(const Words& words) { return run_at(daemon_.socket_path(), words); }
  static Ran run_at(const std::string& socket, Words words) {
    words.insert(words.begin(), {"quirectl", "--socket", socket});
    std::vector<const char*> pointers;
    for (const std::string& word : words) pointers.push_back(word.c_str());
    std::ostringstream out, err;
    const int code =
        client::run_command_line(static_cast<int>(pointers.size()), pointers.data(), "0", out, err);
    return {code, out.str(), err.str()};
  }

  DaemonProcess daemon_{{.flags = {"--reader_uids=" + std::to_string(kReader),
                                   "--meter_uids=" + std::to_string(kMeter)}}};
};

// What a reader may not.
const std::vector<Words> kChanges{
    {"policy", "set", "ram", "arc"},
    {"policy", "set", "checkpoints", "none"},
    {"quota", "set", "ram", "--domain", "uid:1"},
    {"quota", "clear", "ram", "--domain", "uid:1"},
    {"pin", "--domain", "uid:1", "--namespace", "m", "--budget", "1MiB"},
    {"unpin", "--all"},
    {"evict"},
    {"evict", "--yes"},
    {"flush"},
    {"verify"},
    {"scrub", "start"},
    {"scrub", "stop"},
    {"kept", "drop", "--yes"},
    {"trace", "record"},
    {"meter", "head"}};
const std::vector<Words> kLooks{
    {"status"},        {"sessions"},    {"tenants"}, {"policy", "show"},
    {"quota", "show"}, {"pin", "show"}, {"pin"},     {"top", "-n", "1"}};

}  // namespace

TEST_F(ExitCodes, EachHasItsCause) {
  EXPECT_EQ(run({"ping"}).code, client::kExitOk);
  EXPECT_EQ(run({"policy", "set", "ram", "best"}).code, client::kExitUsage) << "the daemon's word";
  EXPECT_EQ(run({"config", "set", "ram_bytes", "1"}).code, client::kExitUsage);
  EXPECT_EQ(run({"dance"}).code, client::kExitUsage);
  EXPECT_EQ(run({"policy"}).code, client::kExitUsage);
  EXPECT_EQ(run({"status", "-o", "xml"}).code, client::kExitUsage);
  EXPECT_EQ(run_at("/nowhere.sock", {"ping"}).code, client::kExitCannotConnect);
  EXPECT_EQ(run({"flush"}).code, client::kExitNotFound);
  EXPECT_EQ(run({"doctor", "--quired", "/nowhere/quired"}).code, client::kExitDegraded);
  EXPECT_EQ(run({"evict"}).code, client::kExitRefused);
  EXPECT_EQ(run({"evict", "--yes"}).code, client::kExitOk);
}

TEST_F(ExitCodes, AReaderLooksAndChangesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  {
    const Disguise disguise(kReader);
    EXPECT_EQ(run({"ping"}).code, client::kExitOk);  // its domain is there
  }
  const std::string policies = run({"policy", "show", "-o", "json"}).out;
  {
    const Disguise disguise(kReader);
    for (const Words& look : kLooks) EXPECT_EQ(run(look).code, client::kExitOk) << look[0];
    for (const Words& change : kChanges) {
      const Ran ran = run(change);
      EXPECT_EQ(ran.code, client::kExitNotAuthorised) << change[0] << ": " << ran.err;
      EXPECT_NE(ran.err.find(" needs "), ran.err.npos) << "and who may: " << ran.err;
    }
  }
  EXPECT_EQ(run({"policy", "show", "-o", "json"}).out, policies);
  EXPECT_EQ(run({"pin", "show", "-o", "csv"}).out,
            "domain,tenant,namespace,held_bytes,budget_bytes,left_seconds\n")
      << "nothing is pinned";
}

TEST_F(ExitCodes, AClientIsToldWhoMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  const Disguise disguise(60001);
  EXPECT_EQ(run({"sessions"}).code, client::kExitNotAuthorised);
  EXPECT_EQ(run({"top", "-n", "1"}).code, client::kExitNotAuthorised);
  const Ran status = run({"status"});
  EXPECT_EQ(status.code, client::kExitOk);
  EXPECT_NE(status.out.find("--reader_uids"), status.out.npos) << status.out;
  EXPECT_NE(run({"policy", "show"}).err.find("policy show needs a reader"), std::string::npos);
}

TEST_F(ExitCodes, AMeterMayReadReceiptsAndNothingElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be somebody else";
  const Disguise disguise(kMeter);
  EXPECT_EQ(run({"meter", "head"}).code, client::kExitNotFound) << "none are kept";
  EXPECT_EQ(run({"sessions"}).code, client::kExitNotAuthorised);
  EXPECT_EQ(run({"policy", "show"}).code, client::kExitNotAuthorised);
}

TEST_F(ExitCodes, TheFormIsTakenBeforeAndBehindEveryVerb) {
  for (const Words& look : kLooks) {
    if (look[0] == "top") continue;
    for (const std::string form : {"json", "csv"}) {
      Words before{"-o", form};
      before.insert(before.end(), look.begin(), look.end());
      Words behind = look;
      behind.insert(behind.end(), {"--output", form});
      const Ran first = run(before);
      EXPECT_EQ(first.code, client::kExitOk) << look[0] << ": " << first.err;
      EXPECT_EQ(run(behind).code, client::kExitOk) << look[0];
      EXPECT_EQ(first.out.starts_with("{\"schema\":\"quire."), form == "json") << first.out;
    }
  }
}

// A terminal of its own: the screen comes on another page, and q brings the first one back.
TEST_F(ExitCodes, TopDrawsOnATerminalUntilQ) {
  int terminal = -1;
  winsize size{.ws_row = 20, .ws_col = 60, .ws_xpixel = 0, .ws_ypixel = 0};
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("NO_COLOR");
    const std::string program = program_path("quirectl");
    ::execl(program.c_str(), "quirectl", "--socket", daemon_.socket_path().c_str(), "top",
            "--interval", "0.05", nullptr);
    ::_exit(127);
  }
  const model::FdGuard guard(terminal);
  std::string seen;
  const auto read_more = [&] {
    pollfd entry{.fd = terminal, .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, static_cast<int>(kPatienceMs)) != 1) return false;
    char part[4096];
    const ssize_t got = ::read(terminal, part, sizeof(part));
    if (got > 0) seen.append(part, static_cast<size_t>(got));
    return got > 0;
  };
  const auto screens = [&] {
    size_t count = 0;
    for (size_t at = seen.find("\x1b[H"); at != seen.npos; at = seen.find("\x1b[H", at + 1))
      ++count;
    return count;
  };
  while (screens() < 3 && read_more()) {
  }
  EXPECT_EQ(screens() >= 3, true) << seen;
  EXPECT_TRUE(seen.starts_with("\x1b[?1049h")) << "another page";
  EXPECT_NE(seen.find("\x1b[32mok\x1b[0m"), seen.npos) << "in colours";
  EXPECT_EQ(::write(terminal, "q", 1), 1);
  while (read_more()) {
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_NE(seen.find("\x1b[?1049l"), seen.npos) << "the first page is back";
}

}  // namespace quire::tests::exit_codes_test
