// What an operator types: quired's flags and quirectl's exit codes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "model/layout_toml.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"

namespace quire::tests::command_line_test {

namespace {

constexpr int kUsage = 2;
constexpr int kNotFound = 5;
constexpr int kCannotConnect = 3;
constexpr int kRefused = 7;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

void expect_refused(const std::string& flag, const std::string& value) {
  const Output output = run_program("quired", {"--check_config", "--" + flag + "=" + value});
  EXPECT_EQ(output.exit_code, kUsage) << flag << "=" << value << ": " << output.text;
  EXPECT_TRUE(contains(output.text, flag)) << output.text;
}

}  // namespace

TEST(Quired, CheckConfigValidatesAndStartsNothing) {
  const Output output =
      run_program("quired", {"--check_config", "--socket=/nowhere/quired.sock", "--ram_bytes=2GiB",
                             "--tenants=1000=a|b;0=*", "--shared_namespaces=x,y"});
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_TRUE(contains(output.text, "configuration ok")) << output.text;
}

TEST(Quired, PrintConfigShowsValueAndOrigin) {
  const Output output = run_program("quired", {"--print_config", "--spin_us=77"});
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_TRUE(contains(output.text, "--spin_us=77  # given\n")) << output.text;
  EXPECT_TRUE(contains(output.text, "--segment_bytes=64MiB  # default\n")) << output.text;
  EXPECT_FALSE(contains(output.text, "--flagfile")) << "only the daemon's own flags";
}

TEST(Quired, FlagFileCountsAsGiven) {
  const std::string path =
      write_file(testing::TempDir() + "quired-test.flags", "# comment\n--ram_bytes=256MiB\n");
  const Output output = run_program("quired", {"--flagfile=" + path, "--print_config"});
  std::filesystem::remove(path);
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_TRUE(contains(output.text, "--ram_bytes=256MiB  # given\n")) << output.text;
}

TEST(Quired, UnknownFlagIsNamed) {
  const Output output = run_program("quired", {"--check_config", "--ram_bites=1GiB"});
  EXPECT_GT(output.exit_code, 0);
  EXPECT_TRUE(contains(output.text, "ram_bites")) << output.text;
}

TEST(Quired, WrongValueIsRefusedWithTheFlagsName) {
  expect_refused("segment_bytes", "1MiB");
  expect_refused("segment_bytes", "65MiB");
  expect_refused("huge_pages", "maybe");
  expect_refused("ram_bytes", "x");
  expect_refused("ram_bytes", "1MiB");
  expect_refused("ram_bytes", "99999999999TiB");
  expect_refused("memory_limit_bytes", "127MiB");
  expect_refused("tenants", "abc");
  expect_refused("socket_mode", "0999");
  expect_refused("socket", std::string(108, 'x'));
  expect_refused("copy_workers", "0");
  expect_refused("max_connections", "0");
  expect_refused("max_sessions", "0");
  expect_refused("default_deadline_ms", "0");
  expect_refused("default_deadline_ms", "600001");
  expect_refused("search_ms", "1001");
  expect_refused("session_memory_bytes", "1");
  expect_refused("log_level", "loud");
}

TEST(Quired, WordThatIsNoFlagIsRefused) {
  const Output output = run_program("quired", {"--check_config", "start"});
  EXPECT_EQ(output.exit_code, kUsage);
  EXPECT_TRUE(contains(output.text, "start")) << output.text;
}

TEST(Quired, SecondDaemonOnTheSocketRefusesAndTheFirstLives) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1);
  const Output second = run_program(
      "quired", {"--socket=" + daemon.socket_path(), "--ram_bytes=64MiB", "--huge_pages=off"});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_TRUE(contains(second.text, daemon.socket_path())) << second.text;
  EXPECT_TRUE(hits_bit_exactly(*session));
  EXPECT_TRUE(daemon.connect()->ping().ok()) << "the socket is still the first one's";
}

TEST(Quired, SocketThatCannotBeMadeIsRefused) {
  const Output output = run_program(
      "quired", {"--socket=/proc/none/quired.sock", "--ram_bytes=64MiB", "--huge_pages=off"});
  EXPECT_EQ(output.exit_code, 1);
  EXPECT_TRUE(contains(output.text, "/proc/none")) << output.text;
}

TEST(Quired, SigtermEndsWellAndRemovesTheSocket) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1);
  const auto match = session->match(kPromptTokens);
  ASSERT_TRUE(match.ok());
  ASSERT_TRUE(session->begin_fill(model::FillKind::kCheckpoint, 4).ok());
  EXPECT_EQ(daemon.stop(), 0) << "with a client that holds things";
  EXPECT_FALSE(std::filesystem::exists(daemon.socket_path()));
  daemon.start();
}

TEST(Quirectl, ExitCodesTellWhatHappened) {
  DaemonProcess daemon;
  const std::string socket = "--socket=" + daemon.socket_path();
  const Output ping = run_program("quirectl", {socket, "ping"});
  EXPECT_EQ(ping.exit_code, 0);
  EXPECT_TRUE(ping.text.starts_with("ok ")) << ping.text;
  const Output table = run_program("quirectl", {socket, "status", "--all"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_TRUE(contains(table.text, "daemon_epoch")) << table.text;
  const Output json = run_program("quirectl", {socket, "status", "-o", "json"});
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_TRUE(json.text.starts_with("{\"schema\":\"quire.status.v1\"")) << json.text;
  EXPECT_EQ(run_program("quirectl", {socket, "status", "-o", "xml"}).exit_code, kUsage);
  const Output scraped = run_program("quirectl", {socket, "status", "--format", "prometheus"});
  EXPECT_EQ(scraped.exit_code, 0);
  EXPECT_TRUE(contains(scraped.text, "\n# TYPE quire_clients_accepted_total counter\n"))
      << scraped.text;
  EXPECT_EQ(run_program("quirectl", {socket, "status", "--format", "xml"}).exit_code, kUsage);
  EXPECT_EQ(run_program("quirectl", {socket, "dance"}).exit_code, kUsage);
  EXPECT_EQ(run_program("quirectl", {}).exit_code, kUsage);
}

// The whole way of a change: what is printed, who it holds for, the line of the log, a restart.
TEST(Quirectl, PolicyIsSwitchedWhileTheDaemonRunsAndEachChangeIsLogged) {
  const std::string log_path = testing::TempDir() + "quired-policy-" + std::to_string(::getpid());
  std::filesystem::remove(log_path);
  DaemonProcess daemon({.flags = {"--log_level=warning"}, .log_path = log_path});
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1);
  const std::string socket = "--socket=" + daemon.socket_path();
  const std::string own = "uid:" + std::to_string(::geteuid());
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {socket, "policy"});
    return run_program("quirectl", arguments);
  };
  const Output set = run({"set", "ram", "arc", "--domain", own, "-o", "json"});
  EXPECT_EQ(set.exit_code, 0) << set.text;
  EXPECT_TRUE(contains(set.text, "\"switching\":false")) << "it waits for the end: " << set.text;
  EXPECT_TRUE(contains(set.text, "\"policy\":\"arc\"")) << set.text;
  EXPECT_TRUE(hits_bit_exactly(*session));
  EXPECT_EQ(run({"set", "ram", "best"}).exit_code, kUsage);
  EXPECT_EQ(run({"set", "tape", "arc"}).exit_code, kUsage);
  EXPECT_EQ(run({"set", "ram", "arc", "--domain", "uid:4242"}).exit_code, 5) << "not found";
  EXPECT_EQ(run({}).exit_code, kUsage);
  EXPECT_EQ(daemon.stop(), 0);  // its log is whole
  std::ifstream log(log_path);
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  EXPECT_TRUE(contains(lines, "audit=change uid=" + std::to_string(::geteuid()) + " pid="));
  EXPECT_TRUE(contains(
      lines, " verb=policy action=set tier=ram domain=" + own + " policy=arc from=lru to=arc"))
      << lines;
  EXPECT_FALSE(contains(lines, "policy=best")) << "what was refused changed nothing";
  daemon.start();
  EXPECT_FALSE(contains(run({"show", "-o", "json"}).text, "\"policy\":\"arc\""))
      << "as the flags say";
  std::filesystem::remove(log_path);
}

TEST(Quirectl, CheckpointsAreSetAdvisedAndLogged) {
  const std::string log_path = testing::TempDir() + "quired-words-" + std::to_string(::getpid());
  std::filesystem::remove(log_path);
  DaemonProcess daemon(
      {.flags = {"--log_level=warning", "--checkpoints=branch"}, .log_path = log_path});
  const std::string own = "uid:" + std::to_string(::geteuid());
  const auto client = daemon.connect();  // the domain is there
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket=" + daemon.socket_path(), "policy"});
    return run_program("quirectl", arguments);
  };
  const Output set =
      run({"set", "checkpoints", "every:1024", "--domain", own, "--tenant", "t", "-o", "json"});
  EXPECT_EQ(set.exit_code, 0) << set.text;
  EXPECT_TRUE(contains(set.text, R"("domain":"*","tenant":"*","policy":"branch")")) << set.text;
  EXPECT_TRUE(contains(set.text, R"("tenant":"t","policy":"every:1024")")) << set.text;
  EXPECT_EQ(run({"set", "checkpoints", "some"}).exit_code, kUsage);
  EXPECT_EQ(run({"set", "checkpoints", "none", "--domain", "uid:4242"}).exit_code, 5);
  EXPECT_EQ(run({"set", "checkpoints"}).exit_code, kUsage);
  EXPECT_TRUE(contains(run({"advise", "checkpoints", "--window", "15m"}).text,
                       "checkpoints, last 15m: 0 prompt tokens"));
  EXPECT_EQ(daemon.stop(), 0);  // its log is whole
  std::ifstream log(log_path);
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  EXPECT_TRUE(contains(lines, " verb=policy action=set_checkpoints domain=" + own +
                                  " tenant=t policy=every:1024 from=branch to=every:1024"))
      << lines;
  EXPECT_FALSE(contains(lines, "policy=none")) << "what was refused changed nothing";
  std::filesystem::remove(log_path);
}

TEST(Quirectl, EvictTellsFirstTakesWithYesAndIsLogged) {
  const std::string log_path = testing::TempDir() + "quired-evict-" + std::to_string(::getpid());
  std::filesystem::remove(log_path);
  DaemonProcess daemon({.flags = {"--log_level=warning"}, .log_path = log_path});
  const auto client = daemon.connect();
  committed_session(*client, 1);
  const std::string own = "uid:" + std::to_string(::geteuid());
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket=" + daemon.socket_path(), "evict"});
    return run_program("quirectl", arguments);
  };
  const Output told = run({"--domain", own, "-o", "json"});
  EXPECT_EQ(told.exit_code, kRefused) << "nothing was done: " << told.text;
  EXPECT_TRUE(contains(told.text, "\"running\":false,\"dry_run\":true")) << told.text;
  EXPECT_FALSE(contains(told.text, "\"objects\":0,")) << told.text;
  EXPECT_TRUE(contains(run({"--older-than", "2h", "-o", "json"}).text, "\"objects\":0,"));
  const Output gone = run({"--domain", own, "--yes", "-o", "json"});
  EXPECT_TRUE(contains(gone.text, "\"running\":false,\"dry_run\":false")) << gone.text;
  EXPECT_TRUE(contains(run({"-o", "json"}).text, "\"matching_objects\":0,"));
  EXPECT_EQ(run({"--older-than", "2"}).exit_code, kUsage) << "of what?";
  EXPECT_EQ(run({"--older-than", "99999999999999999999d"}).exit_code, kUsage);
  EXPECT_EQ(run({"--tenant", "t"}).exit_code, kUsage) << "whose?";
  EXPECT_EQ(run({"tape"}).exit_code, kUsage);
  EXPECT_EQ(run({"--domain", "uid:4242"}).exit_code, 5) << "not found";
  EXPECT_EQ(daemon.stop(), 0);  // its log is whole
  std::ifstream log(log_path);
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  const std::string audit = " verb=evict action=go tier=ram domain=" + own;
  EXPECT_TRUE(contains(lines, audit)) << lines;
  EXPECT_EQ(lines.find(audit), lines.rfind(audit)) << "no dry run is logged";
  std::filesystem::remove(log_path);
}

TEST(Quirectl, FlushWaitsUntilADeathLosesNothing) {
  const std::string ssd = testing::TempDir() + "quire-flush-" + std::to_string(::getpid());
  std::filesystem::create_directories(ssd);
  {
    DaemonProcess daemon({.flags = {"--ssd_path=" + ssd, "--ssd_bytes=16MiB",
                                    "--ssd_region_bytes=1MiB", "--ssd_write=back"}});
    const auto run = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), "--socket=" + daemon.socket_path());
      return run_program("quirectl", arguments);
    };
    {
      const auto client = daemon.connect();
      committed_session(*client, 1);
      const Output flushed = run({"flush", "-o", "json"});
      EXPECT_EQ(flushed.exit_code, 0) << flushed.text;
      EXPECT_TRUE(contains(flushed.text, "\"running\":false,\"complete\":true")) << flushed.text;
      EXPECT_FALSE(contains(flushed.text, "\"written_objects\":0,")) << flushed.text;
      EXPECT_TRUE(contains(run({"evict", "-o", "json"}).text, "\"lost_objects\":0,"))
          << "all of it has a copy";
    }
    daemon.crash();
    daemon.start();
    const auto client = daemon.connect();
    EXPECT_TRUE(contains(run({"evict", "ssd", "-o", "json"}).text, "\"objects\":"))
        << "it is there";
    EXPECT_FALSE(contains(run({"evict", "ssd", "-o", "json"}).text, "\"objects\":0,"));
  }
  std::filesystem::remove_all(ssd);
  DaemonProcess without;
  EXPECT_EQ(run_program("quirectl", {"--socket=" + without.socket_path(), "flush"}).exit_code, 5);
}

// Set by command, by file, read again at a signal; and a restart knows all of it.
TEST(Quirectl, PoliciesAndQuotasSurviveARestart) {
  const std::string stem = testing::TempDir() + "quired-rules-" + std::to_string(::getpid());
  const std::string state = stem + ".state";
  const std::string quotas = stem + ".quotas";
  const std::string log = stem + ".log";
  const std::string own = "uid:" + std::to_string(::geteuid());
  std::filesystem::remove(state);
  std::ofstream(quotas) << "[[quota]]\ntier = \"ram\"\ndomain = \"" << own
                        << "\"\ntenant = \"filed\"\nguaranteed = \"1MiB\"\n";
  DaemonProcess daemon(
      {.flags = {"--state_file=" + state, "--quota_file=" + quotas}, .log_path = log});
  const std::string socket = "--socket=" + daemon.socket_path();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), socket);
    return run_program("quirectl", arguments);
  };
  {
    const auto client = daemon.connect();
    const auto session = committed_session(*client, 1);
    EXPECT_EQ(run({"policy", "set", "ram", "arc", "--domain", own, "--tenant", "t"}).exit_code, 0);
    const Output set = run({"quota", "set", "ram", "--domain", own, "--tenant", "t", "--guaranteed",
                            "2MiB", "--burst", "32MiB"});
    EXPECT_EQ(set.exit_code, 0) << set.text;
    EXPECT_TRUE(hits_bit_exactly(*session));
  }
  const auto expect_all = [&] {
    const auto client = daemon.connect();  // so that the domain is there
    const std::string policies = run({"policy", "show", "-o", "json"}).text;
    EXPECT_TRUE(contains(policies, "\"tenant\":\"t\",\"policy\":\"arc\"")) << policies;
    const std::string rows = run({"quota", "show", "-o", "json"}).text;
    EXPECT_TRUE(contains(rows, "\"guaranteed_bytes\":2097152")) << rows;
    EXPECT_TRUE(contains(rows, "\"set_by\":\"quota_file\"")) << rows;
  };
  expect_all();
  daemon.crash();  // a change that was answered is on disk
  daemon.start();
  expect_all();
  // A slip in the file changes nothing, and is named.
  std::ofstream(quotas) << "[[quota]]\ntier = \"ram\"\nguarantee = \"1MiB\"\n";
  ::kill(daemon.pid(), SIGHUP);
  EXPECT_TRUE(eventually([&] {
    std::ifstream file(log);
    const std::string lines{std::istreambuf_iterator<char>(file), {}};
    return contains(lines, "quotas stay as they are: " + quotas + ": quota 0: unknown key");
  }));
  expect_all();
  EXPECT_EQ(run({"quota", "clear", "ram", "--domain", own, "--tenant", "t"}).exit_code, 0);
  std::ofstream(quotas) << "";
  ::kill(daemon.pid(), SIGHUP);
  EXPECT_TRUE(eventually([&] {
    return !contains(run({"quota", "show", "-o", "json"}).text, "guaranteed_bytes");
  }));
  EXPECT_EQ(run({"quota", "set", "ram", "--guaranteed", "1MiB"}).exit_code, kUsage) << "whose?";
  EXPECT_EQ(run({"quota", "set", "ram", "--domain", own, "--guaranteed", "1TiB"}).exit_code,
            kUsage);
  EXPECT_EQ(run({"policy", "set", "ram", "auto"}).exit_code, 0);
  daemon.crash();
  daemon.start();
  const auto client = daemon.connect();
  EXPECT_TRUE(contains(run({"policy", "show", "-o", "json"}).text, "\"policy\":\"auto ("));
  for (const std::string& path : {state, quotas, log}) std::filesystem::remove(path);
}

TEST(Quired, StateFileThatCannotBeReadKeepsItFromStartingAndStaysAsItIs) {
  const std::string path = testing::TempDir() + "quired-state-" + std::to_string(::getpid());
  std::ofstream(path) << "[[policy]]\ntier = \"ram\"\n";
  const Output refused =
      run_program("quired", {"--socket=" + testing::TempDir() + "never.sock", "--ram_bytes=64MiB",
                             "--huge_pages=off", "--state_file=" + path});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_TRUE(contains(refused.text, path + ": policy 0: missing key 'name'")) << refused.text;
  std::ifstream file(path);
  const std::string kept{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(kept, "[[policy]]\ntier = \"ram\"\n");
  std::filesystem::remove(path);
}

// Ghosts say something once a second, and when something is asked for.
TEST(Quirectl, AdviceNamesEveryPolicyBesideTheCeiling) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1);
  const std::string socket = "--socket=" + daemon.socket_path();
  std::string table;
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(hits_bit_exactly(*session));
    table = run_program("quirectl", {socket, "policy", "advise", "--window", "15m"}).text;
    return contains(table, "gittins");
  })) << table;
  for (const std::string_view part : {"ceiling", "lru *", "wtinylfu", "+400%"}) {
    EXPECT_TRUE(contains(table, std::string(part))) << table;
  }
  EXPECT_EQ(run_program("quirectl", {socket, "policy", "advise", "ssd"}).exit_code, kUsage);
  EXPECT_EQ(run_program("quirectl", {socket, "policy", "advise", "--window", "9m"}).exit_code,
            kUsage);
}

TEST(Quirectl, NothingListensIsExitCodeThree) {
  const std::string socket = "--socket=" + testing::TempDir() + "no-daemon-here.sock";
  for (const std::string command : {"ping", "status"}) {
    const Output output = run_program("quirectl", {socket, "--timeout_ms=200", command});
    EXPECT_EQ(output.exit_code, kCannotConnect) << output.text;
    EXPECT_TRUE(contains(output.text, "unavailable")) << output.text;
  }
}

TEST(Quirectl, LayoutShowNeedsNoDaemon) {
  const std::string path = write_file(testing::TempDir() + "quirectl-test.toml",
                                      model::layout_to_toml(small_hybrid_layout()));
  const Output shown = run_program("quirectl", {"layout", "show", path});
  EXPECT_EQ(shown.exit_code, 0);
  EXPECT_TRUE(contains(shown.text, "small-hybrid")) << shown.text;
  std::filesystem::remove(path);
  EXPECT_EQ(run_program("quirectl", {"layout", "show", path}).exit_code, kNotFound);
}

// The C library's whole life, in a program of its own.
TEST(CClient, LivesItsWholeLife) {
  DaemonProcess daemon;
  const std::string path =
      write_file(daemon.directory() + "/layout.toml", model::layout_to_toml(small_hybrid_layout()));
  const Output first = run_program("quire_c_client", {daemon.socket_path(), path});
  EXPECT_EQ(first.exit_code, 0) << first.text;
  EXPECT_TRUE(first.text.ends_with("done\n")) << first.text;
  EXPECT_TRUE(daemon.eventually([](const DaemonStatus& s) {
    return s.connected == 1 && s.sessions == 0 && s.leases == 0 && s.fills == 0;
  }));
}

TEST(CClient, LivesWithALayoutWithoutCheckpoints) {
  DaemonProcess daemon;
  const std::string path =
      write_file(daemon.directory() + "/layout.toml", model::layout_to_toml(small_append_layout()));
  const Output output = run_program("quire_c_client", {daemon.socket_path(), path});
  EXPECT_EQ(output.exit_code, 0) << output.text;
}

}  // namespace quire::tests::command_line_test
