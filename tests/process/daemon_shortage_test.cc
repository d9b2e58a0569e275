// Starts and storms on a machine that is short of something: of address space.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "server/daemon.h"
#include "tests/process/test_process.h"

namespace quire::tests {

namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;

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

}  // namespace

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

}  // namespace quire::tests
