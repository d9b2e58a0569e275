// Starts and storms on a machine that is short of something: of /proc, of address space, of
// descriptors. Refused by name, or served.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "server/daemon.h"
#include "server/start/table_caps.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"

namespace quire::tests::daemon_shortage_test {

namespace {

using model::Errc;
using model::FdGuard;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr size_t kTextBytes = 4096;  // more than an error has

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

void limit_now(__rlimit_resource resource, rlim_t soft, pid_t pid = 0) {
  rlimit limit{};
  QUIRE_CHECK(::prlimit(pid, resource, nullptr, &limit) == 0);
  limit.rlim_cur = soft;
  QUIRE_CHECK(::prlimit(pid, resource, &limit, nullptr) == 0);
}

uint64_t address_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  statm >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

// The flags of a daemon without any, in RAM that the test has.
server::Options plain_options() {
  server::Options options;
  options.ram_bytes = 64 * kMiB;
  options.huge_pages = allocator::HugePages::kOff;
  options.socket_path = testing::TempDir() + "quire-shortage-" + std::to_string(::getpid());
  return options;
}

// What Daemon::create answers in a process of its own, after `change`: "errc text", or "ok".
std::string create_after(const std::function<void()>& change) {
  TestProcess child = TestProcess::call([&](Channel& channel) {
    change();
    const auto daemon = server::Daemon::create(plain_options());
    channel.send(daemon.ok()
                     ? "ok"
                     : std::string(model::errc_name(daemon.code())) + " " + daemon.error().text);
    return 0;
  });
  const std::string text = child.channel().receive(kTextBytes);
  EXPECT_EQ(child.wait(), 0);
  return text;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

FdGuard connect_raw(const std::string& path) {
  FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  // A full backlog refuses it, which is as good here.
  [[maybe_unused]] const int connected =
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  return fd;
}

}  // namespace

TEST(DaemonShortage, WithoutProcItDoesNotStartAndSaysWhatToMount) {
  if (::getuid() != 0) GTEST_SKIP() << "needs root to hide /proc";
  const std::string answer = create_after([] {
    QUIRE_CHECK(::unshare(CLONE_NEWNS) == 0);
    QUIRE_CHECK(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    QUIRE_CHECK(::mount("none", "/proc", "tmpfs", 0, nullptr) == 0);
  });
  EXPECT_TRUE(answer.starts_with("resource_exhausted /proc is not mounted")) << answer;
  EXPECT_TRUE(contains(answer, "mount -t proc proc /proc")) << answer;
}

TEST(DaemonShortage, TablesReserveNoMoreThanTheBudgetsCanUse) {
  TestProcess child = TestProcess::call([](Channel&) {
    const uint64_t before = address_bytes();
    const auto daemon = server::Daemon::create(plain_options());
    if (!daemon.ok()) return 1;
    const auto domain = (*daemon)->cache().add_domain("uid:1");
    if (!domain.ok()) return 2;
    const uint64_t taken = address_bytes() - before;
    std::fprintf(stderr, "a daemon with 64 MiB takes %llu MiB of addresses\n",
                 static_cast<unsigned long long>(taken / kMiB));
    return taken < 2 * kGiB ? 0 : 3;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(DaemonShortage, AddressSpaceThatIsTooSmallIsRefusedWithWhatItTakes) {
  const std::string refused =
      create_after([] { limit_now(RLIMIT_AS, address_bytes() + 16 * kMiB); });
  ASSERT_TRUE(refused.starts_with("resource_exhausted ")) << refused;
  EXPECT_TRUE(contains(refused, "RLIMIT_AS")) << refused;
  const size_t at = refused.find("need ");
  ASSERT_NE(at, std::string::npos) << refused;
  uint64_t needed = 0;
  const char* number = refused.data() + at + 5;
  std::from_chars(number, refused.data() + refused.size(), needed);
  EXPECT_EQ(create_after([needed] { limit_now(RLIMIT_AS, needed); }), "ok");
}

// From no descriptor that it could open to enough of them. In a process that made a daemon before:
// the sanitizer's check of an object's type takes descriptors of its own the first time.
TEST(DaemonShortage, StartWithFewDescriptorsServesOrNamesTheLimit) {
  uint32_t refused = 0;
  uint32_t served = 0;
  for (uint32_t spare = 0; spare <= 32; spare += 2) {
    const std::string answer = create_after([spare] {
      {
        const auto before = server::Daemon::create(plain_options());
        QUIRE_CHECK(before.ok());
        QUIRE_CHECK(eventually([&] { return (*before)->supply().status().spare == 1; }));
      }
      const FdGuard next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      limit_now(RLIMIT_NOFILE, static_cast<rlim_t>(next.get()) + spare);
    });
    if (answer == "ok") {
      ++served;
      continue;
    }
    ++refused;
    EXPECT_TRUE(answer.starts_with("resource_exhausted ")) << spare << ": " << answer;
    EXPECT_TRUE(contains(answer, "RLIMIT_NOFILE")) << spare << ": " << answer;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_GT(served, 0u);
}

TEST(DaemonShortage, FirstLinesOfTheLogSayWhatCheckConfigSays) {
  const std::string checked = testing::TempDir() + "quire-checked";
  const std::string log = testing::TempDir() + "quire-first-lines.log";
  std::filesystem::remove(log);
  {
    const FdGuard output(::open(checked.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    TestProcess check =
        TestProcess::exec({program_path("quired"), "--check_config", "--huge_pages=off"},
                          {.open_file_limit = 500, .output_fd = output.get()});
    EXPECT_EQ(check.wait(), 0);
    DaemonProcess daemon(
        {.flags = {"--log_level=warning"}, .open_file_limit = 500, .log_path = log});
  }
  EXPECT_TRUE(contains(text_of(checked), "configuration ok\nmachine: ")) << text_of(checked);
  EXPECT_TRUE(contains(text_of(checked), "limited to 500 (RLIMIT_NOFILE)")) << text_of(checked);
  const std::string text = text_of(log);
  EXPECT_LT(text.find("warning machine: open files are limited to 500 (RLIMIT_NOFILE)"),
            text.find('\n'))
      << text;
  for (const std::string& path : {checked, log}) std::filesystem::remove(path);
}

TEST(DaemonShortage, StormWithoutDescriptorsIsLoggedAndWhoIsServedNoticesNothing) {
  const std::string log = testing::TempDir() + "quire-storm.log";
  std::filesystem::remove(log);
  {
    DaemonProcess daemon({.flags = {"--log_level=debug", kNoGhosts}, .log_path = log});
    const auto neighbour = daemon.connect("neighbour");
    const auto session = committed_session(*neighbour, 1);
    // Everything once with descriptors: the sanitizer's check of an object's type takes some of its
    // own the first time.
    ASSERT_TRUE(hits_bit_exactly(*session));
    ASSERT_TRUE(daemon.connect("before")->ping().ok());
    ASSERT_TRUE(eventually([&] { return contains(text_of(log), "before"); }));
    limit_now(RLIMIT_NOFILE, daemon.status().open_files + 4, daemon.pid());
    std::vector<FdGuard> storm;
    for (int i = 0; i < 100; ++i) {
      storm.push_back(connect_raw(daemon.socket_path()));
      if (i % 10 == 0) {
        EXPECT_TRUE(hits_bit_exactly(*session));
      }
    }
    EXPECT_TRUE(eventually([&] { return contains(text_of(log), "connections wait: accept"); }));
    EXPECT_TRUE(contains(text_of(log), "RLIMIT_NOFILE")) << text_of(log);
    EXPECT_TRUE(hits_bit_exactly(*session));
    storm.clear();
    EXPECT_TRUE(daemon.connect("later")->ping().ok()) << "the storm's descriptors came free";
    EXPECT_TRUE(hits_bit_exactly(*session));
  }
  std::filesystem::remove(log);
}

}  // namespace quire::tests::daemon_shortage_test
