// The SSD tier as an operator and an engine meet it: the real quired, killed and started again, and
// the real quirectl, on a directory of a file system.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/ssd/file_damage.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tests/support/oracle.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::ssd_process_test {

namespace json = boost::json;
using client::Client;
using client::Session;
using model::Errc;
using model::FillKind;

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kNotFound = 5;
constexpr int kDegraded = 6;
constexpr uint64_t kSpansPerContext = 5;
constexpr uint64_t kObjectsPerContext = kSpansPerContext + 1;
constexpr uint64_t kBlockTokens = 8;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

uint64_t number(const json::value& value, const char* pointer) {
  return value.at_pointer(pointer).to_number<uint64_t>();
}

std::string text(const json::value& value, const char* pointer) {
  return std::string(value.at_pointer(pointer).as_string());
}

std::unique_ptr<Session> session_of(Client& client, uint64_t context) {
  auto session = open_session(client, session_options(small_hybrid_layout()));
  QUIRE_CHECK(session->append_tokens(context_tokens(kPromptTokens, context)).ok());
  return session;
}

bool head_is_right(const Session& session, const client::LoadedPages& loaded) {
  for (uint32_t block = 0; block < loaded.block_count; ++block) {  // one page each
    const client::PageView& page = loaded.pages[block];
    const auto end = static_cast<uint32_t>((block + 1) * kBlockTokens);
    const uint64_t key = object_key(session, end, FillKind::kSpan);
    if (!check_page(std::span(page.data, page.bytes), key, page.group)) return false;
  }
  return true;
}

// Tokens a client gets of a context with every byte right; -1: a wrong byte. What a load finds to
// be damaged is a miss when it is matched again.
int served_tokens(Client& client, uint64_t context) {
  const auto session = session_of(client, context);
  for (uint64_t attempt = 0; attempt <= kObjectsPerContext; ++attempt) {
    const auto match = session->match(kPromptTokens);
    QUIRE_CHECK(match.ok());
    if (match->exact_tokens == 0) return 0;
    const auto loaded = session->load(match->lease);
    if (loaded.ok() && loaded->limited_by == Errc::kOk) {
      const bool right = check_hit(*session, *match) == kPagesPerHit;
      return right ? static_cast<int>(match->exact_tokens) : -1;
    }
    if (loaded.ok() && !head_is_right(*session, *loaded)) return -1;
    QUIRE_CHECK(session->release(match->lease).ok());
  }
  return -1;
}

// Where the page of a span begins in a data file.
uint64_t find_page(const std::string& path, const Session& session, uint32_t end_tokens) {
  std::string page(session.layout().groups[0].page_bytes, '\0');
  fill_page(std::as_writable_bytes(std::span(page)),
            object_key(session, end_tokens, FillKind::kSpan), 0);
  const std::string data = read_bytes(path);
  for (uint64_t offset = 0; offset < data.size(); offset += kBlockBytes) {
    if (data.compare(offset, page.size(), page) == 0) return offset;
  }
  QUIRE_CHECK(false);
  return 0;
}

class SsdProcess : public testing::Test {
 protected:
  const std::string& path() const { return path_; }
  std::string manifest() const { return path_ + "/manifest"; }
  std::string log() const { return read_bytes(scratch_ / "log"); }
  DaemonProcess& daemon() { return *daemon_; }

  std::vector<std::string> tier_flags(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> flags = {"--ssd_path=" + path_, "--ssd_bytes=16MiB",
                                      "--ssd_region_bytes=1MiB", "--ssd_write_delay_ms=1"};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }
  void start(const std::vector<std::string>& more = {}, std::function<void()> before_exec = {}) {
    DaemonProcess::Options options{.flags = tier_flags(more)};
    options.flags.emplace_back("--log_level=info");
    options.log_path = scratch_ / "log";
    options.before_exec = std::move(before_exec);
    daemon_.emplace(options);
  }
  void stop() { daemon_.reset(); }  // which checks that it ends well
  // A daemon that is expected to end by itself, with what it says.
  Output start_in_vain(const std::vector<std::string>& flags,
                       std::function<void()> before_exec = {}) {
    const std::string log_path = scratch_ / "log-of-one-in-vain";
    const model::FdGuard log(
        ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    std::vector<std::string> line = {program_path("quired"), "--socket=" + vain_socket(),
                                     "--ram_bytes=64MiB", "--huge_pages=off"};
    line.insert(line.end(), flags.begin(), flags.end());
    TestProcess process =
        TestProcess::exec(line, {.output_fd = log.get(), .before_exec = std::move(before_exec)});
    const int exit_code = process.wait();
    return {.exit_code = exit_code, .text = read_bytes(log_path)};
  }
  std::string vain_socket() const { return scratch_ / "vain.sock"; }

  Output quirectl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--socket=" + daemon().socket_path());
    return run_program("quirectl", arguments);
  }
  json::value status() { return json::parse(daemon().status_json()); }
  json::value tier() { return status().at_pointer("/tiers/1"); }

  void commit(uint64_t context) {
    const auto client = daemon().connect();
    committed_session(*client, context);
  }
  // As an operator sees it: so many objects have become durable since the daemon's start.
  bool becomes_durable(uint64_t contexts) {
    return eventually([&] {
      return number(tier(), "/written/durable_objects") == contexts * kObjectsPerContext;
    });
  }
  void fill(uint64_t contexts) {
    for (uint64_t context = 1; context <= contexts; ++context) commit(context);
    ASSERT_TRUE(becomes_durable(contexts)) << daemon().status_json();
  }
  // The tier has so many contexts, and RAM none.
  void expect_restored(uint64_t contexts) {
    const json::value now = status();
    EXPECT_EQ(text(now, "/tiers/1/state"), "ok");
    EXPECT_EQ(number(now, "/tiers/1/restored/spans"), contexts * kSpansPerContext);
    EXPECT_EQ(number(now, "/tiers/1/restored/checkpoints"), contexts);
    EXPECT_EQ(number(now, "/tiers/1/spans"), contexts * kSpansPerContext);
    EXPECT_EQ(number(now, "/tiers/1/only_here"), contexts * kObjectsPerContext);
    EXPECT_EQ(number(now, "/tiers/0/spans"), 0u);
    EXPECT_EQ(number(now, "/tiers/0/checkpoints"), 0u);
  }
  void expect_from_ssd(uint64_t contexts) {
    const auto client = daemon().connect();
    for (uint64_t context = 1; context <= contexts; ++context) {
      const auto session = session_of(*client, context);
      const auto match = session->match(kPromptTokens);
      ASSERT_TRUE(match.ok());
      EXPECT_EQ(match->exact_tokens, kExactTokens) << context;
      EXPECT_EQ(match->tokens[model::TierId::kSsd], kExactTokens) << context;
      EXPECT_EQ(match->tokens[model::TierId::kRam], 0u) << context;
      EXPECT_EQ(check_hit(*session, *match), kPagesPerHit) << context;
    }
    EXPECT_EQ(number(status(), "/cache/ssd_hit_tokens"), contexts * kExactTokens);
  }
  // One whole pass, begun by `command`; what `quirectl scrub status` says of it.
  json::value scrub_pass(const std::vector<std::string>& command, int exit_code = 0) {
    const auto state = [this] {
      return json::parse(quirectl({"scrub", "status", "-o", "json"}).text);
    };
    const uint64_t passes = number(state(), "/passes");
    const Output begun = quirectl(command);
    EXPECT_EQ(begun.exit_code, exit_code) << begun.text;
    json::value now;
    EXPECT_TRUE(eventually([&] {
      now = state();
      return number(now, "/passes") == passes + 1;
    }));
    EXPECT_FALSE(now.at("running").as_bool());
    return now;
  }
  void flip_in_span(uint64_t context, uint32_t end_tokens) {
    const auto client = daemon().connect();
    const auto session = session_of(*client, context);
    const std::string data = path() + "/data.000000";
    flip_at(data, find_page(data, *session, end_tokens) + 4711);
  }

 private:
  ScratchDirectory scratch_;
  std::string path_ = scratch_ / "tier";
  std::optional<DaemonProcess> daemon_;
};

// For a child: as in a container that does not allow io_uring.
void refuse_io_uring() { QUIRE_CHECK(refuse_syscall(SYS_io_uring_setup, EPERM)); }

}  // namespace

TEST_F(SsdProcess, Law08_SuccessorOfAKilledDaemonServesFromSsdBitExactly) {
  start();
  fill(2);
  const uint64_t epoch = number(status(), "/daemon_epoch");
  {
    const auto client = daemon().connect();
    const auto session = session_of(*client, 1);
    ASSERT_TRUE(session->match(kPromptTokens).ok());
    ASSERT_TRUE(session->begin_fill(FillKind::kCheckpoint, 4).ok());
    daemon().crash();
  }
  daemon().start();
  const json::value now = status();
  EXPECT_NE(number(now, "/daemon_epoch"), epoch);
  EXPECT_EQ(number(now, "/clients/sessions"), 0u);
  EXPECT_EQ(number(now, "/cache/leases"), 0u);
  EXPECT_EQ(number(now, "/cache/fills"), 0u);
  EXPECT_EQ(daemon().status().pages, 0u) << "RAM is empty";
  expect_restored(2);
  expect_from_ssd(2);
  const json::value served = tier();
  EXPECT_EQ(number(served, "/read/promoted"), 2 * kObjectsPerContext);
  EXPECT_EQ(number(served, "/read/corrupt"), 0u);
  EXPECT_EQ(number(served, "/used_slots"), 2 * kObjectsPerContext);
}

TEST_F(SsdProcess, Law08_KillsWhileItWritesNeverGiveAWrongByte) {
  start();
  uint64_t contexts = 0;
  uint64_t durable = 0;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 6; ++i) commit(++contexts);
    uint64_t more = 0;
    ASSERT_TRUE(eventually([&] {
      more = number(tier(), "/written/durable_objects");
      return more > 0;
    }));
    durable += more;
    daemon().crash();
    daemon().start();
    const json::value restored = tier();
    EXPECT_EQ(text(restored, "/state"), "ok");
    const uint64_t kept =
        number(restored, "/restored/spans") + number(restored, "/restored/checkpoints");
    EXPECT_GE(kept, durable) << "what it said is durable";
    durable = kept;
    EXPECT_EQ(number(restored, "/restored/orphans"), 0u);
    EXPECT_EQ(number(restored, "/kept/objects"), 0u);
    const auto client = daemon().connect();
    for (uint64_t context = 1; context <= contexts; ++context) {
      EXPECT_GE(served_tokens(*client, context), 0) << context;
    }
    EXPECT_EQ(number(tier(), "/read/corrupt"), 0u);
  }
}

TEST_F(SsdProcess, LostManifestIsRebuiltByQuirectl) {
  start();
  fill(2);
  stop();
  std::filesystem::remove_all(manifest());

  start();
  const json::value now = status();
  EXPECT_EQ(text(now, "/state"), "degraded");
  EXPECT_EQ(text(now, "/tiers/1/state"), "off");
  EXPECT_TRUE(contains(text(now, "/tiers/1/reason"), path())) << json::serialize(now);
  EXPECT_TRUE(contains(text(now, "/tiers/1/reason"), "quirectl rebuild")) << json::serialize(now);
  EXPECT_NE(text(now, "/tiers/1/action"), "");
  EXPECT_TRUE(contains(log(), "the SSD tier is off: ")) << log();
  {
    const auto client = daemon().connect();
    EXPECT_EQ(served_tokens(*client, 1), 0);
    EXPECT_TRUE(hits_bit_exactly(*committed_session(*client, 3))) << "RAM is served";
  }
  stop();

  const auto before = contents_of(path());
  const Output looked = run_program("quirectl", {"rebuild", "--ssd_path=" + path()});
  EXPECT_EQ(looked.exit_code, 0) << looked.text;
  EXPECT_TRUE(contains(looked.text, "--yes")) << looked.text;
  EXPECT_TRUE(contains(looked.text, "spans 10\ncheckpoints 2\n")) << looked.text;
  EXPECT_TRUE(contents_of(path()) == before) << "a dry run changes nothing";
  const Output rebuilt = run_program("quirectl", {"rebuild", "--ssd_path=" + path(), "--yes"});
  EXPECT_EQ(rebuilt.exit_code, 0) << rebuilt.text;
  EXPECT_TRUE(contains(rebuilt.text, "spans 10\ncheckpoints 2\n")) << rebuilt.text;

  start();
  expect_restored(2);
  expect_from_ssd(2);
}

TEST_F(SsdProcess, RebuildWhileADaemonRunsIsRefused) {
  start();
  fill(1);
  const auto before = read_bytes(path() + "/superblock");
  for (const bool yes : {false, true}) {
    std::vector<std::string> arguments = {"rebuild", "--ssd_path=" + path()};
    if (yes) arguments.emplace_back("--yes");
    const Output output = run_program("quirectl", arguments);
    EXPECT_EQ(output.exit_code, kFailed) << output.text;
    EXPECT_TRUE(contains(output.text, "in use by pid " + std::to_string(daemon().pid()) + ";"))
        << output.text;
    EXPECT_TRUE(contains(output.text, "stop it")) << output.text;
  }
  EXPECT_EQ(read_bytes(path() + "/superblock"), before);
  commit(2);
  EXPECT_TRUE(becomes_durable(2)) << "it goes on";
  daemon().crash();
  daemon().start();
  expect_from_ssd(2);
}

TEST_F(SsdProcess, RebuildOfWhatIsNoTierIsRefusedAndMakesNothing) {
  for (const std::string yes : {"--yes", ""}) {
    std::vector<std::string> arguments = {"rebuild", "--ssd_path=" + path()};
    if (!yes.empty()) arguments.push_back(yes);
    const Output output = run_program("quirectl", arguments);
    EXPECT_EQ(output.exit_code, kFailed) << output.text;
    EXPECT_TRUE(contains(output.text, "no superblock")) << output.text;
    EXPECT_TRUE(contains(output.text, path())) << output.text;
    EXPECT_FALSE(std::filesystem::exists(path()));
  }
  EXPECT_EQ(run_program("quirectl", {"rebuild", "--yes"}).exit_code, kUsage);
  EXPECT_EQ(run_program("quired", {"--rebuild"}).exit_code, kUsage);
}

TEST_F(SsdProcess, Law04_ScrubFindsAFlippedByteAndWritesItAgainFromRam) {
  start();
  fill(2);
  const json::value clean = scrub_pass({"scrub", "start"});
  EXPECT_EQ(number(clean, "/objects"), 2 * kObjectsPerContext);
  EXPECT_EQ(number(clean, "/bad"), 0u);
  EXPECT_EQ(number(clean, "/unreadable"), 0u);

  flip_in_span(1, 3 * kBlockTokens);
  const json::value damaged = scrub_pass({"scrub", "start"});
  EXPECT_GT(number(damaged, "/objects"), number(clean, "/objects"));
  EXPECT_EQ(number(damaged, "/bad"), 1u);
  {
    const auto client = daemon().connect();
    EXPECT_EQ(served_tokens(*client, 1), static_cast<int>(kExactTokens));
    EXPECT_EQ(served_tokens(*client, 2), static_cast<int>(kExactTokens));
  }
  ASSERT_TRUE(eventually([this] {
    const json::value now = tier();
    return number(now, "/spans") == 2 * kSpansPerContext && number(now, "/checkpoints") == 2 &&
           number(now, "/queued") == 0 && number(now, "/freeing_slots") == 0;
  })) << daemon().status_json();
  const json::value mended = scrub_pass({"scrub", "start"});
  EXPECT_EQ(number(mended, "/objects"), number(damaged, "/objects") + 2 * kObjectsPerContext);
  EXPECT_EQ(number(mended, "/bad"), 1u);
  daemon().crash();
  daemon().start();
  expect_from_ssd(2);
}

TEST_F(SsdProcess, Law04_DamageOfWhatIsOnSsdOnlyIsAMissAndVerifyTells) {
  start();
  fill(2);
  daemon().crash();
  daemon().start();
  const json::value memory = json::parse(quirectl({"verify", "-o", "json"}).text);
  EXPECT_EQ(number(memory, "/objects"), 0u) << "all of it is on SSD";

  flip_in_span(1, 3 * kBlockTokens);
  const json::value found = scrub_pass({"verify", "--headers"}, kDegraded);
  EXPECT_EQ(number(found, "/bad"), 1u);
  const Output again = quirectl({"verify", "--headers"});
  EXPECT_EQ(again.exit_code, 0) << "what was damaged is gone by now: " << again.text;
  const json::value status = json::parse(quirectl({"status", "-o", "json"}).text);
  EXPECT_EQ(number(status, "/cache/quarantined"), 4u) << "spans 3 to 5 and the checkpoint";
  EXPECT_EQ(number(status, "/cache/spans"), 2 * kSpansPerContext - 3);
  const auto client = daemon().connect();
  EXPECT_EQ(served_tokens(*client, 1), 0) << "no checkpoint to resume from";
  EXPECT_EQ(served_tokens(*client, 2), static_cast<int>(kExactTokens));
}

TEST_F(SsdProcess, Law04_LoadThatMeetsAFlippedByteDeliversNoWrongByte) {
  start();
  fill(2);
  daemon().crash();
  daemon().start();
  flip_in_span(1, 3 * kBlockTokens);
  const auto client = daemon().connect();
  EXPECT_EQ(served_tokens(*client, 1), 0);
  EXPECT_EQ(served_tokens(*client, 2), static_cast<int>(kExactTokens));
  EXPECT_GE(number(tier(), "/read/corrupt"), 1u);
  EXPECT_EQ(text(tier(), "/state"), "ok");
}

TEST_F(SsdProcess, ScrubAndVerifyOfHeadersWithoutATierSayHowToHaveOne) {
  DaemonProcess without_tier;
  const std::string socket = "--socket=" + without_tier.socket_path();
  EXPECT_EQ(run_program("quirectl", {socket, "verify"}).exit_code, 0);
  const Output verify = run_program("quirectl", {socket, "verify", "--headers"});
  EXPECT_EQ(verify.exit_code, kNotFound) << verify.text;
  EXPECT_TRUE(contains(verify.text, "no SSD tier")) << verify.text;
  for (const std::string action : {"start", "status", "stop"}) {
    const Output scrub = run_program("quirectl", {socket, "scrub", action});
    EXPECT_EQ(scrub.exit_code, kNotFound) << scrub.text;
    EXPECT_TRUE(contains(scrub.text, "--ssd_path")) << scrub.text;
  }
  EXPECT_EQ(run_program("quirectl", {socket, "scrub", "dance"}).exit_code, kUsage);
  EXPECT_EQ(run_program("quirectl", {socket, "scrub", "stop", "--bytes_per_second=1"}).exit_code,
            kUsage);
}

TEST_F(SsdProcess, Law08_SecondDaemonOnTheDirectoryIsRefusedAndTheFirstGoesOn) {
  start();
  fill(1);
  const auto superblock = read_bytes(path() + "/superblock");
  const Output second = start_in_vain(tier_flags());
  EXPECT_EQ(second.exit_code, kFailed) << second.text;
  EXPECT_TRUE(contains(second.text, "cannot start: " + path() + " is in use by pid " +
                                        std::to_string(daemon().pid()) + ";"))
      << second.text;
  EXPECT_TRUE(contains(second.text, "choose another --ssd_path")) << second.text;
  EXPECT_FALSE(std::filesystem::exists(vain_socket()));
  EXPECT_EQ(read_bytes(path() + "/superblock"), superblock);
  EXPECT_EQ(text(tier(), "/state"), "ok");
  commit(2);
  ASSERT_TRUE(becomes_durable(2));
  daemon().crash();
  daemon().start();
  expect_restored(2);
  expect_from_ssd(2);
}

TEST_F(SsdProcess, EngineIsNamedInTheFirstLineAndInStatus) {
  start({"--ssd_engine=pread"});
  fill(1);
  EXPECT_TRUE(contains(log(), "ssd tier at " + path() + ": engine=pread ")) << log();
  const Output table = quirectl({"status", "--all"});
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_TRUE(contains(table.text, " pread\n")) << table.text;
  stop();
  start({"--ssd_engine=auto"});
  expect_from_ssd(1);
  EXPECT_TRUE(contains(log(), "engine=" + text(tier(), "/engine") + " ")) << log();
}

TEST_F(SsdProcess, WhereIoUringIsRefusedAutoGoesOnWithPread) {
  if (!has_filters()) GTEST_SKIP() << "no seccomp filters here";
  start({"--ssd_engine=auto"}, refuse_io_uring);
  EXPECT_TRUE(contains(log(), "warning the SSD tier goes on with pread: io_uring_setup")) << log();
  EXPECT_TRUE(contains(log(), "ssd tier at " + path() + ": engine=pread ")) << log();
  EXPECT_EQ(text(tier(), "/engine"), "pread");
  EXPECT_EQ(text(status(), "/state"), "ok");
  fill(2);
  daemon().crash();
  daemon().start();
  expect_from_ssd(2);
}

TEST_F(SsdProcess, WhereIoUringIsRefusedItDoesNotStartWithIoUringAlone) {
  if (!has_filters()) GTEST_SKIP() << "no seccomp filters here";
  const Output output = start_in_vain(tier_flags({"--ssd_engine=io_uring"}), refuse_io_uring);
  EXPECT_EQ(output.exit_code, kFailed) << output.text;
  EXPECT_TRUE(contains(output.text, "cannot start: io_uring_setup")) << output.text;
  EXPECT_TRUE(contains(output.text, "kernel.io_uring_disabled")) << output.text;
  EXPECT_FALSE(std::filesystem::exists(vain_socket()));
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(SsdProcess, WrongFlagIsRefusedByNameAndMakesNothing) {
  const std::pair<std::string, std::string> wrong[] = {
      {"ssd_bytes", "1MiB"},
      {"ssd_bytes", "x"},
      {"ssd_bytes", "-1"},
      {"ssd_region_bytes", "1000000"},
      {"ssd_region_bytes", "512KiB"},
      {"ssd_region_bytes", "2GiB"},
      {"ssd_queue_depth", "5"},
      {"ssd_queue_bytes", "1KiB"},
      {"ssd_engine", "libaio"},
      {"ssd_write", "never"},
      {"ssd_admission", "none"},
      {"ssd_policy", "best"},
      {"ram_policy", ""},
      {"ssd_write_bytes_per_day", "much"},
      {"ssd_hang_ms", "1"},
      {"ssd_write_delay_ms", "60001"},
      {"ssd_codec", "zip"},
      {"ssd_shrink", "never"},
      {"ssd_codec_bytes", "100KiB"},
  };
  for (const auto& [flag, value] : wrong) {
    for (const std::string check : {"--check_config", "--log_level=error"}) {
      const Output output =
          start_in_vain({"--ssd_path=" + path(), check, "--" + flag + "=" + value});
      EXPECT_EQ(output.exit_code, kUsage) << flag << "=" << value << ": " << output.text;
      EXPECT_TRUE(contains(output.text, "--" + flag + " ")) << output.text;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
  EXPECT_FALSE(std::filesystem::exists(vain_socket()));
}

// A directory keeps its region size; too few of them is the operator's to know.
TEST_F(SsdProcess, CapacityBelowTwoRegionsOfTheDirectoryDoesNotStart) {
  start({"--ssd_region_bytes=4MiB"});
  stop();
  const Output output = start_in_vain(tier_flags({"--ssd_bytes=6MiB"}));
  EXPECT_EQ(output.exit_code, kUsage) << output.text;
  EXPECT_TRUE(contains(output.text, "--ssd_bytes must hold at least two regions of 4194304"))
      << output.text;
}

// Names of tenants and sums stand there; RocksDB goes by the process' mask.
TEST_F(SsdProcess, InADirectoryThatIsOpenToAllNothingIsForOthersToRead) {
  std::filesystem::create_directory(path());
  std::filesystem::permissions(path(), std::filesystem::perms{0755});
  start({}, [] { ::umask(0022); });
  fill(1);
  stop();
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
    const auto others = entry.status().permissions() & std::filesystem::perms{0077};
    EXPECT_EQ(others, std::filesystem::perms::none) << entry.path();
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_GT(files, 3u);
}

TEST_F(SsdProcess, PathOnAFileDoesNotStartAndTheFileStays) {
  write_bytes(path(), "precious");
  for (const std::string below : {"", "/tier"}) {
    const Output output = start_in_vain({"--ssd_path=" + path() + below});
    EXPECT_EQ(output.exit_code, kUsage) << output.text;
    EXPECT_TRUE(contains(output.text, "--ssd_path=" + path() + below + " is not a directory"))
        << output.text;
  }
  EXPECT_EQ(read_bytes(path()), "precious");
}

}  // namespace quire::tests::ssd_process_test
