// Starts that meet something in their way: another daemon, a file of a user's.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/process/daemon_process.h"
#include "tests/support/patient_client.h"

namespace quire::tests::daemon_start_test {

namespace {

std::vector<std::string> small_daemon(const std::string& socket_path) {
  return {program_path("quired"), "--socket=" + socket_path, "--ram_bytes=64MiB",
          "--huge_pages=off", "--log_level=error"};
}

}  // namespace

TEST(DaemonStart, FileInTheSocketsPlaceIsKeptAndNamed) {
  const std::string path = testing::TempDir() + "quire-notes.txt";
  std::ofstream(path) << "a user's own";
  const Output output =
      run_program("quired", {"--socket=" + path, "--ram_bytes=64MiB", "--huge_pages=off"});
  EXPECT_EQ(output.exit_code, 2) << output.text;
  EXPECT_NE(output.text.find(path + " is not a socket"), std::string::npos) << output.text;
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "a user's own");
  std::filesystem::remove(path);
}

// Over a stale socket, since that is what starts at once race to replace.
TEST(DaemonStart, OfManyStartsAtOnceOnOnePathExactlyOneStays) {
  DaemonProcess path_owner;
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    path_owner.crash();
    std::vector<TestProcess> starts;
    for (int i = 0; i < 4; ++i) {
      starts.push_back(TestProcess::exec(small_daemon(path_owner.socket_path()), {}));
    }
    const auto running = [&] {
      return std::count_if(starts.begin(), starts.end(),
                           [](TestProcess& p) { return p.running(); });
    };
    ASSERT_TRUE(eventually([&] { return running() <= 1; }));
    ASSERT_EQ(running(), 1);
    ASSERT_TRUE(eventually(
        [&] { return client::Client::connect(patient_client(path_owner.socket_path())).ok(); }));
    for (TestProcess& start : starts) {
      const bool stays = start.running();
      if (stays) start.signal(SIGTERM);
      EXPECT_EQ(start.wait(), stays ? 0 : 1);
    }
    EXPECT_FALSE(std::filesystem::exists(path_owner.socket_path()));
    path_owner.start();
  }
}

}  // namespace quire::tests::daemon_start_test
