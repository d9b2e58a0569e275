// quirectl pin and unpin on the real daemon: what is pinned survives a flood, and a restart.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::pin_process_test {

namespace {

using client::Client;
using model::FillKind;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kNotFound = 5;
constexpr uint64_t kPage = 1 << 20;
constexpr uint32_t kBlock = 4;   // tokens
constexpr uint32_t kBlocks = 8;  // of each context, so that eight contexts fill the RAM

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

model::Layout layout() {
  model::Layout layout = small_append_layout();
  layout.name = "pinned";
  layout.groups[0].page_bytes = kPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPage}};
  return layout;
}

std::unique_ptr<client::Session> open(Client& client, uint64_t context, const std::string& space) {
  auto options = session_options(layout(), space);
  options.staging_bytes = 2 * kPage;
  auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(kBlock * kBlocks + 1, context)).ok());
  return session;
}

void write(Client& client, uint64_t context, const std::string& space) {
  const auto session = open(client, context, space);
  for (uint32_t block = 1; block <= kBlocks; ++block) {
    const auto written = commit_object(*session, FillKind::kSpan, block * kBlock);
    ASSERT_TRUE(written.ok()) << space << ": " << written.error().text;
  }
}

// More than twice what RAM holds.
void flood(Client& client, uint64_t first) {
  for (uint64_t context = first; context < first + 20; ++context) write(client, context, "flood");
}

uint32_t tokens_of(Client& client, uint64_t context, const std::string& space) {
  const auto session = open(client, context, space);
  const auto match = session->match(kBlock * kBlocks + 1);
  EXPECT_TRUE(match.ok()) << match.error().text;
  EXPECT_TRUE(match->exact_tokens == 0 || check_hit(*session, *match) > 0) << "a wrong byte";
  return match->exact_tokens;
}

}  // namespace

TEST(Quirectl, PinnedNamespaceSurvivesAFloodThatEvictsEverythingElse) {
  const std::string stem = testing::TempDir() + "quired-pins-" + std::to_string(::getpid());
  const std::string log_path = stem + ".log";
  DaemonProcess daemon(
      {.flags = {"--log_level=warning", "--state_file=" + stem + ".state"}, .log_path = log_path});
  const std::string own = "uid:" + std::to_string(::geteuid());
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--socket=" + daemon.socket_path());
    return run_program("quirectl", arguments);
  };
  {
    const auto client = daemon.connect();
    write(*client, 1, "kept");
    write(*client, 2, "lost");
    const Output set = run({"pin", "--domain", own, "--namespace", "kept", "--budget", "16MiB",
                            "--for", "2h", "-o", "json"});
    EXPECT_EQ(set.exit_code, 0) << set.text;
    EXPECT_TRUE(contains(set.text, "\"moving\":false")) << "it waits for the end: " << set.text;
    EXPECT_TRUE(contains(set.text, "\"held_bytes\":8388608,\"budget_bytes\":16777216")) << set.text;
    flood(*client, 100);
    EXPECT_EQ(tokens_of(*client, 1, "kept"), kBlocks * kBlock);
    EXPECT_EQ(tokens_of(*client, 2, "lost"), 0u);
  }
  daemon.crash();  // a change that was answered is on disk
  daemon.start();
  EXPECT_TRUE(contains(run({"pin", "show", "-o", "json"}).text, "\"budget_bytes\":16777216"));
  const auto client = daemon.connect();
  write(*client, 1, "kept");
  flood(*client, 200);
  EXPECT_EQ(tokens_of(*client, 1, "kept"), kBlocks * kBlock) << "the name outlives its content";
  EXPECT_EQ(run({"unpin", "--domain", own, "--namespace", "kept"}).exit_code, 0);
  flood(*client, 300);
  EXPECT_EQ(tokens_of(*client, 1, "kept"), 0u);
  std::ifstream log(log_path);
  const std::string lines{std::istreambuf_iterator<char>(log), {}};
  const std::string what = "domain=" + own + " namespace=kept";
  EXPECT_TRUE(contains(lines, "verb=pin action=set " + what +
                                  " budget_bytes=16777216 for_seconds=7200 from=none to=16777216"))
      << lines;
  EXPECT_TRUE(contains(lines, "verb=pin action=clear " + what + " from=16777216 to=none")) << lines;
  for (const char* end : {".log", ".state"}) std::filesystem::remove(stem + end);
}

TEST(Quirectl, PinSaysWhatIsWrong) {
  DaemonProcess daemon;
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "--socket=" + daemon.socket_path());
    return run_program("quirectl", arguments);
  };
  const Output large = run({"pin", "--domain", "uid:7", "--namespace", "m", "--budget", "33MiB"});
  EXPECT_EQ(large.exit_code, kFailed);
  EXPECT_TRUE(contains(large.text, "half of RAM; for this one are left 33554432")) << large.text;
  EXPECT_EQ(run({"pin", "--domain", "uid:7", "--namespace", "m"}).exit_code, kUsage) << "how much?";
  EXPECT_EQ(run({"pin", "--namespace", "m", "--budget", "1MiB"}).exit_code, kUsage) << "whose?";
  EXPECT_EQ(run({"pin", "--for", "2h"}).exit_code, kUsage);
  EXPECT_EQ(run({"pin", "--domain", "uid:7", "--namespace", "m", "--budget", "0"}).exit_code,
            kUsage);
  EXPECT_EQ(run({"unpin"}).exit_code, kUsage) << "which?";
  EXPECT_EQ(run({"unpin", "--all", "--domain", "uid:7", "--namespace", "m"}).exit_code, kUsage);
  EXPECT_EQ(run({"unpin", "--domain", "uid:7", "--namespace", "m"}).exit_code, kNotFound);
  EXPECT_EQ(run({"unpin", "--all"}).exit_code, 0);
  EXPECT_EQ(run({"pin"}).exit_code, 0);
}

}  // namespace quire::tests::pin_process_test
