// A daemon whose process is limited: it refuses by name what the limit refuses, serves the rest,
// and takes what the limit gives later.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/json.hpp>
#include <filesystem>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::daemon_limits_test {

namespace {

using model::Errc;

constexpr uint64_t kMiB = 1 << 20;

void limit_now(__rlimit_resource resource, rlim_t soft, pid_t pid = 0) {
  rlimit limit{};
  QUIRE_CHECK(::prlimit(pid, resource, nullptr, &limit) == 0);
  limit.rlim_cur = soft;
  QUIRE_CHECK(::prlimit(pid, resource, &limit, nullptr) == 0);
}

std::function<void()> with_file_limit(rlim_t bytes) {
  return [bytes] { limit_now(RLIMIT_FSIZE, bytes); };
}

std::string text_at(DaemonProcess& daemon, std::string_view pointer) {
  const boost::json::value status = boost::json::parse(daemon.status_json());
  return std::string(status.at_pointer({pointer.data(), pointer.size()}).as_string());
}

bool comes_to_say(DaemonProcess& daemon, std::string_view pointer, std::string_view word) {
  return eventually([&] { return text_at(daemon, pointer) == word; });
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST(DaemonLimits, StagingAboveTheFileSizeLimitIsRefusedAndNobodyElseNotices) {
  DaemonProcess daemon({.before_exec = with_file_limit(65 * kMiB)});
  const auto neighbour = daemon.connect("neighbour");
  const auto session = committed_session(*neighbour, 1);
  const auto client = daemon.connect();
  client::SessionOptions large = session_options(small_hybrid_layout());
  large.staging_bytes = 128 * kMiB;
  const auto refused = client->open_session(large);
  ASSERT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_TRUE(contains(refused.error().text, "RLIMIT_FSIZE")) << refused.error().text;
  EXPECT_TRUE(hits_bit_exactly(*session));
  EXPECT_TRUE(client->open_session(session_options(small_hybrid_layout())).ok());
}

TEST(DaemonLimits, MemoryThatWasRefusedAtTheStartIsTakenWhenItComes) {
  DaemonProcess daemon({.before_exec = with_file_limit(32 * kMiB)});
  ASSERT_TRUE(comes_to_say(daemon, "/tiers/0/state", "degraded"));
  EXPECT_EQ(text_at(daemon, "/state"), "degraded");
  EXPECT_TRUE(contains(text_at(daemon, "/tiers/0/reason"), "RLIMIT_FSIZE"))
      << text_at(daemon, "/tiers/0/reason");
  const auto client = daemon.connect();
  {
    const auto session = client->open_session(session_options(small_hybrid_layout()));
    ASSERT_TRUE(session.ok()) << session.error().text;
    ASSERT_TRUE((*session)->append_tokens(context_tokens(kPromptTokens, 1)).ok());
    EXPECT_EQ((*session)->begin_fill(model::FillKind::kSpan, 8).code(), Errc::kResourceExhausted);
  }
  limit_now(RLIMIT_FSIZE, RLIM_INFINITY, daemon.pid());
  EXPECT_TRUE(comes_to_say(daemon, "/state", "ok"));
  EXPECT_EQ(text_at(daemon, "/tiers/0/reason"), "");
  EXPECT_TRUE(hits_bit_exactly(*committed_session(*client, 1)));
}

TEST(DaemonLimits, MemoryBeyondTheLimitThatIsGivenIsNotTakenAndItIsNamed) {
  // Beside the reserve it holds one segment of a daemon that has no byte of its own.
  DaemonProcess daemon({.flags = {"--memory_limit_bytes=128MiB"}});
  ASSERT_TRUE(comes_to_say(daemon, "/tiers/0/state", "degraded"));
  EXPECT_TRUE(contains(text_at(daemon, "/tiers/0/reason"), "--memory_limit_bytes=134217728"))
      << text_at(daemon, "/tiers/0/reason");
  const auto client = daemon.connect();
  const auto session = client->open_session(session_options(small_hybrid_layout()));
  ASSERT_TRUE(session.ok()) << session.error().text;
  ASSERT_TRUE((*session)->append_tokens(context_tokens(kPromptTokens, 1)).ok());
  EXPECT_EQ((*session)->begin_fill(model::FillKind::kSpan, 8).code(), Errc::kResourceExhausted);
}

TEST(DaemonLimits, MemoryWithinTheLimitThatIsGivenIsServed) {
  DaemonProcess daemon({.flags = {"--memory_limit_bytes=64GiB"}});
  const auto client = daemon.connect();
  EXPECT_TRUE(hits_bit_exactly(*committed_session(*client, 1)));
  EXPECT_EQ(text_at(daemon, "/state"), "ok");
}

TEST(DaemonLimits, ShortageOfDescriptorsIsAResourceAndNamed) {
  DaemonProcess daemon;
  const auto client = daemon.connect();
  const auto options = session_options(small_hybrid_layout());
  // One that ended would serve the next one without a descriptor.
  const auto held = client->open_session(options);
  ASSERT_TRUE(held.ok());
  limit_now(RLIMIT_NOFILE, 4, daemon.pid());
  const auto refused = client->open_session(options);
  ASSERT_EQ(refused.code(), Errc::kResourceExhausted) << refused.error().text;
  EXPECT_TRUE(contains(refused.error().text, "RLIMIT_NOFILE")) << refused.error().text;
  limit_now(RLIMIT_NOFILE, 1000, daemon.pid());
  EXPECT_TRUE(client->open_session(options).ok());
}

TEST(DaemonLimits, SsdBeyondTheFileSizeLimitIsReadOnlyUntilItIsRaised) {
  const std::string path = testing::TempDir() + "quire-limits-ssd";
  std::filesystem::create_directory(path);
  {
    DaemonProcess daemon({.flags = {"--ssd_path=" + path, "--ssd_bytes=16MiB",
                                    "--ssd_region_bytes=1MiB", "--ssd_write_delay_ms=1"}});
    const auto client = daemon.connect();
    const auto first = committed_session(*client, 1);
    ASSERT_TRUE(comes_to_say(daemon, "/tiers/1/state", "ok"));
    const auto second = client->open_session(session_options(small_hybrid_layout()));
    ASSERT_TRUE(second.ok());
    ASSERT_TRUE((*second)->append_tokens(context_tokens(kPromptTokens, 2)).ok());
    limit_now(RLIMIT_FSIZE, 4096, daemon.pid());
    ASSERT_TRUE(commit_context(**second, kPromptTokens).ok());
    ASSERT_TRUE(comes_to_say(daemon, "/tiers/1/state", "read-only"));
    EXPECT_TRUE(contains(text_at(daemon, "/tiers/1/reason"), "File too large"))
        << text_at(daemon, "/tiers/1/reason");
    EXPECT_TRUE(hits_bit_exactly(*first));
    EXPECT_TRUE(hits_bit_exactly(**second));
    limit_now(RLIMIT_FSIZE, RLIM_INFINITY, daemon.pid());
    EXPECT_TRUE(comes_to_say(daemon, "/tiers/1/state", "ok"));
    EXPECT_TRUE(hits_bit_exactly(**second));
  }
  std::filesystem::remove_all(path);
}

}  // namespace quire::tests::daemon_limits_test
