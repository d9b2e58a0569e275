// `quirectl doctor` and `quirectl bundle` beside a real daemon, and beside none.
#include "client/quirectl/doctor/doctor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/quirectl/doctor/disk_probe.h"
#include "client/quirectl/doctor/redaction.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::doctor_test {

namespace {

constexpr int kDegraded = 6;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Doctor : public testing::Test {
 protected:
  Doctor() { std::filesystem::create_directories(folder_); }
  ~Doctor() override { std::filesystem::remove_all(folder_); }
  static Output doctor(const std::string& socket, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--socket=" + socket, "doctor"});
    return run_program("quirectl", arguments);
  }
  const std::string folder_ = testing::TempDir() + "quire-doctor-" + std::to_string(::getpid());
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_F(Doctor, LooksThroughTheFlagsAndLimitsOfTheDaemonThatRuns) {
  DaemonProcess daemon({.flags = {"--max_connections=200"}, .open_file_limit = 300});
  const Output told = doctor(daemon.socket_path(), {"-o", "json"});
  EXPECT_EQ(told.exit_code, kDegraded) << told.text;
  EXPECT_TRUE(told.text.starts_with(R"({"schema":"quire.doctor.v1","checks":[)")) << told.text;
  EXPECT_TRUE(contains(told.text, R"({"check":"daemon","ok":true)")) << told.text;
  EXPECT_TRUE(contains(told.text, "pid " + std::to_string(daemon.pid()))) << told.text;
  EXPECT_TRUE(contains(told.text, R"({"check":"open_files","ok":false,"what":"open files are )"
                                  "limited to 300"))
      << told.text;
  EXPECT_TRUE(contains(told.text, "--max_connections=200")) << told.text;
  EXPECT_TRUE(contains(told.text, R"({"check":"huge_pages",)")) << told.text;
  const std::string table = doctor(daemon.socket_path(), {}).text;
  EXPECT_TRUE(contains(table, "hurts  open_files: open files are limited to 300")) << table;
  EXPECT_TRUE(contains(table, "       costs: they are enough for about ")) << table;
  EXPECT_TRUE(contains(table, "       mend:  LimitNOFILE=")) << table;
  EXPECT_LT(table.rfind("hurts"), table.find("ok     ")) << "what hurts comes first: " << table;
}

TEST_F(Doctor, NoDaemonIsAFindingAndTheFilesFlagsAreLookedAt) {
  std::ofstream(folder_ + "/quired.flags")
      << "--ssd_path=" << folder_ << "\n--ssd_bytes=64MiB\n--ram_bytes=64MiB\n";
  const Output told =
      doctor("/nowhere.sock", {"--flagfile", folder_ + "/quired.flags", "-o", "csv"});
  EXPECT_EQ(told.exit_code, kDegraded) << told.text;
  EXPECT_TRUE(contains(told.text, "\ndaemon,false,")) << told.text;
  EXPECT_TRUE(contains(told.text, "\ndisk_speed,")) << told.text;
  EXPECT_TRUE(contains(told.text, folder_ + " writes ")) << told.text;
  EXPECT_TRUE(std::filesystem::directory_iterator(folder_) != std::filesystem::directory_iterator())
      << "the flag file";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1)
      << "nothing is left";
  EXPECT_FALSE(contains(
      doctor("/nowhere.sock", {"--no-disk", "-o", "csv", "--flagfile", folder_ + "/quired.flags"})
          .text,
      "disk_speed"));
}

TEST_F(Doctor, AProgramThatIsNotThereIsAFinding) {
  const Output told = doctor("/nowhere.sock", {"--quired", "/nowhere/quired"});
  EXPECT_EQ(told.exit_code, kDegraded);
  EXPECT_TRUE(contains(told.text, "hurts  quired: cannot run /nowhere/quired")) << told.text;
}

TEST_F(Doctor, AClockThatIsADevicesIsNamed) {
  const std::string place = "/sys/devices/system/clocksource/clocksource0/";
  std::filesystem::create_directories(folder_ + place);
  std::ofstream(folder_ + place + "current_clocksource") << "hpet\n";
  const client::HealthCheck slow = client::clock_check(folder_);
  EXPECT_FALSE(slow.well);
  EXPECT_TRUE(contains(slow.mend, "echo tsc"));
  std::ofstream(folder_ + place + "current_clocksource") << "tsc\n";
  EXPECT_TRUE(client::clock_check(folder_).well);
}

TEST_F(Doctor, DiskProbeLeavesNothingAndSaysWhatItCannot) {
  const auto speed = client::probe_disk(folder_, 4 * client::kProbeBlockBytes);
  ASSERT_TRUE(speed.ok()) << speed.error().text;
  EXPECT_GT(speed->read_bytes_per_s, 0u);
  EXPECT_GT(speed->write_bytes_per_s, 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_FALSE(client::probe_disk(folder_ + "/none", client::kProbeBlockBytes).ok());
}

TEST_F(Doctor, BundleHoldsWhatIsAskedForFirstAndNoNames) {
  DaemonProcess daemon({.flags = {"--tenants=4242=secret-tenant"}});
  const auto client = daemon.connect();
  const auto session = committed_session(*client, 1, "acme-tenant");
  const std::string socket = "--socket=" + daemon.socket_path();
  const std::string path = folder_ + "/bundle.tar";
  const Output made = run_program("quirectl", {socket, "bundle", path});
  EXPECT_EQ(made.exit_code, 0) << made.text;
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(std::system(("cd " + folder_ + " && tar -xf bundle.tar").c_str()), 0);
  for (const std::string name :
       {"status.json", "sessions.json", "tenants.json", "policy.json", "quota.json", "pin.json",
        "doctor.json", "config.txt", "limits.txt", "machine.txt", "version.txt"}) {
    EXPECT_GT(contents(folder_ + "/quire-bundle/" + name).size(), 0u) << name;
  }
  const std::string bytes = contents(path);
  EXPECT_FALSE(contains(bytes, "acme-tenant"));
  EXPECT_FALSE(contains(bytes, "secret-tenant"));
  const std::string tenants = contents(folder_ + "/quire-bundle/tenants.json");
  EXPECT_TRUE(contains(tenants, R"("tenant":"tenant-1")")) << tenants;
  EXPECT_TRUE(contains(contents(folder_ + "/quire-bundle/config.txt"), "--tenants=(left out)"));
  EXPECT_EQ(run_program("quirectl", {socket, "bundle", path, "--keep-names"}).exit_code, 0);
  EXPECT_TRUE(contains(contents(path), "acme-tenant"));
}

TEST_F(Doctor, BundleIsMadeWithoutADaemon) {
  const std::string path = folder_ + "/bundle.tar";
  EXPECT_EQ(run_program("quirectl", {"--socket=/nowhere.sock", "bundle", path}).exit_code, 0);
  EXPECT_TRUE(contains(contents(path), "unavailable: connect to /nowhere.sock"));
  EXPECT_EQ(run_program("quirectl", {"bundle", "/nowhere/bundle.tar"}).exit_code, 1);
}

TEST(Redaction, TheSameNameIsTheSameWordInAllDocuments) {
  client::Redaction redaction(false);
  EXPECT_EQ(
      redaction.document(R"({"rows":[{"tenant":"b","n":1},{"tenant":"a"},{"payer":"b"}]})").value(),
      R"({"rows":[{"tenant":"tenant-1","n":1},{"tenant":"tenant-2"},{"payer":"tenant-1"}]})");
  EXPECT_EQ(redaction.document(R"({"uid":7,"domain":"uid:7","tenant":"*","namespace":""})").value(),
            R"({"uid":"user-1","domain":"user-1","tenant":"*","namespace":""})");
  EXPECT_EQ(redaction.document("no json").code(), model::Errc::kMalformedFrame);
  EXPECT_EQ(redaction.config("--http_token=abc  # given\n--tenants=  # default\n--ram_bytes=1GiB  "
                             "# given\n"),
            "--http_token=(left out)  # given\n--tenants=  # default\n--ram_bytes=1GiB  # given\n");
}

}  // namespace quire::tests::doctor_test
