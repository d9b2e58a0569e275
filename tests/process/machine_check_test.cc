// Each finding with a real limit, in a child, or in a tree of files that looks like a machine's.
#include "server/start/machine_check.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "tests/process/test_process.h"
#include "tests/support/io_rig.h"

namespace quire::tests::machine_check_test {

namespace {

using server::check_machine;
using server::Options;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = 1 << 30;
constexpr size_t kTextBytes = 64 << 10;  // more than all findings have

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool limit_to(__rlimit_resource resource, rlim_t soft) {
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return false;
  limit.rlim_cur = soft;
  return ::setrlimit(resource, &limit) == 0;
}

// A machine where nothing hurts.
class MachineCheck : public testing::Test {
 protected:
  MachineCheck() {
    std::string pattern = testing::TempDir() + "quire-machine-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    options_.ram_bytes = kGiB;
    options_.max_connections = 8;
    options_.session_memory_bytes = kGiB;
    write("/proc/meminfo", "MemAvailable: 67108864 kB\n");
    write("/proc/self/statm", "1000 1000 100 1 0 1 0\n");
    write("/proc/self/status", "Name: quired\nCapEff:\t0000000000000000\n");
    write("/proc/self/cgroup", "0::/a\n");
    write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    write("/proc/sys/kernel/io_uring_disabled", "0\n");
    write(kHuge + "shmem_enabled", "always within_size [advise] never deny force\n");
    write(kHuge + "enabled", "always [madvise] never\n");
  }
  ~MachineCheck() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void reserve_huge_pages(uint64_t pages) const {
    write("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", std::to_string(pages));
  }
  // One line a finding, as it is after `change` in a process of its own.
  std::string found(const std::function<bool()>& change) const {
    TestProcess child = TestProcess::call([&](Channel& channel) {
      if (!change()) return 1;
      std::string text;
      for (const auto& finding : check_machine(options_, root_)) text += describe(finding) + '\n';
      channel.send(text);
      return 0;
    });
    const std::string text = child.channel().receive(kTextBytes);
    EXPECT_EQ(child.wait(), 0);
    return text;
  }
  // The limits of files and locks are those of whoever runs the test.
  std::string found() const {
    return found([] {
      return limit_to(RLIMIT_NOFILE, 1000) && limit_to(RLIMIT_FSIZE, RLIM_INFINITY) &&
             limit_to(RLIMIT_AS, RLIM_INFINITY);
    });
  }
  void use_ssd(const std::string& engine) {
    options_.ssd_path = root_ + "/ssd";
    options_.ssd_engine = engine;
    std::filesystem::create_directory(options_.ssd_path);
  }

  const std::string kHuge = "/sys/kernel/mm/transparent_hugepage/";
  std::string root_;
  Options options_;
};

}  // namespace

TEST_F(MachineCheck, NothingIsSaidWhereNothingHurts) { EXPECT_EQ(found(), ""); }

TEST_F(MachineCheck, DescriptorsAreCountedForTheClientsThatMayCome) {
  options_.max_connections = 256;
  const std::string text = found();
  EXPECT_TRUE(contains(text, "limited to 1000 (RLIMIT_NOFILE)")) << text;
  EXPECT_TRUE(contains(text, "LimitNOFILE=1440")) << text;
}

TEST_F(MachineCheck, FileSizeBelowASegmentMeansNoRam) {
  const std::string text = found([] { return limit_to(RLIMIT_FSIZE, 32 * kMiB); });
  EXPECT_TRUE(contains(text, "33554432 bytes (RLIMIT_FSIZE)")) << text;
  EXPECT_TRUE(contains(text, "no segment of 64 MiB can be made")) << text;
  EXPECT_TRUE(contains(text, "ulimit -f unlimited")) << text;
}

TEST_F(MachineCheck, FileSizeBelowADataFileMatters) {
  const auto limit = [] { return limit_to(RLIMIT_FSIZE, 256 * kMiB); };
  EXPECT_FALSE(contains(found(limit), "RLIMIT_FSIZE")) << "segments fit";
  use_ssd("pread");
  const std::string text = found(limit);
  EXPECT_TRUE(contains(text, "the SSD tier is read-only")) << text;
}

TEST_F(MachineCheck, AddressSpaceIsCountedForAllThatMayBeMapped) {
  // Only so little that check_machine itself runs, beside a sanitizer's shadow.
  const auto limit = [] {
    std::ifstream statm("/proc/self/statm");
    uint64_t pages = 0;
    statm >> pages;
    return limit_to(RLIMIT_AS, pages * 4096 + 128 * kMiB);
  };
  std::ifstream own("/proc/self/statm");
  write("/proc/self/statm", std::string(std::istreambuf_iterator<char>(own), {}));
  const std::string text = found(limit);
  EXPECT_TRUE(contains(text, "(RLIMIT_AS)")) << text;
  EXPECT_TRUE(contains(text, "ulimit -v unlimited")) << text;
}

TEST_F(MachineCheck, LockedMemoryMattersToIoUringAlone) {
  const auto limit = [] { return limit_to(RLIMIT_MEMLOCK, 8 * kMiB); };
  use_ssd("pread");
  EXPECT_FALSE(contains(found(limit), "RLIMIT_MEMLOCK"));
  options_.ssd_engine = "auto";
  const std::string text = found(limit);
  EXPECT_TRUE(contains(text, "8388608 bytes (RLIMIT_MEMLOCK)")) << text;
  EXPECT_TRUE(contains(text, "LimitMEMLOCK=infinity")) << text;
  write("/proc/self/status", "CapEff:\t0000000000004000\n");
  EXPECT_FALSE(contains(found(limit), "RLIMIT_MEMLOCK")) << "CAP_IPC_LOCK is not limited";
}

TEST_F(MachineCheck, SharedMemoryWithoutHugePagesIsNamed) {
  write(kHuge + "shmem_enabled", "always within_size advise [never] deny force\n");
  const std::string text = found();
  EXPECT_TRUE(contains(text, "shmem_enabled is never")) << text;
  EXPECT_TRUE(contains(text, "vm.nr_hugepages=512")) << text;
  options_.huge_pages = allocator::HugePages::kOff;
  EXPECT_EQ(found(), "") << "small pages are what was asked for";
  options_.huge_pages = allocator::HugePages::kAuto;
  reserve_huge_pages(512);
  EXPECT_EQ(found(), "") << "all RAM comes from the reserve";
}

TEST_F(MachineCheck, ReserveOfHugePagesMustHoldAllRamThatIsTakenFromItAlone) {
  options_.huge_pages = allocator::HugePages::kHugetlb;
  reserve_huge_pages(100);
  const std::string text = found();
  EXPECT_TRUE(contains(text, "824 MiB of --ram_bytes cannot be had; sysctl vm.nr_hugepages=512"))
      << text;
  reserve_huge_pages(512);
  EXPECT_EQ(found(), "");
}

TEST_F(MachineCheck, HugePagesOfTheIndexAreNamed) {
  write(kHuge + "enabled", "always madvise [never]\n");
  EXPECT_TRUE(contains(found(), "transparent_hugepage/enabled is never")) << found();
}

TEST_F(MachineCheck, LimitOfTheControlGroupIsNamedWithWhatDoesNotFit) {
  write("/sys/fs/cgroup/a/memory.max", std::to_string(512 * kMiB));
  write("/sys/fs/cgroup/a/memory.current", std::to_string(100 * kMiB));
  const std::string text = found();
  EXPECT_TRUE(contains(text, "412 MiB of memory are available (/sys/fs/cgroup/a/memory.max)"))
      << text;
  EXPECT_TRUE(contains(text, "676 MiB of --ram_bytes=1073741824 do not fit")) << text;
}

TEST_F(MachineCheck, LimitThatIsGivenIsNamedToo) {
  options_.memory_limit_bytes = 500 * kMiB;
  EXPECT_TRUE(contains(found(), "(--memory_limit_bytes=524288000)")) << found();
}

TEST_F(MachineCheck, IoUringThatIsSwitchedOffMattersWhereItIsWanted) {
  write("/proc/sys/kernel/io_uring_disabled", "2\n");
  EXPECT_EQ(found(), "") << "no SSD tier";
  use_ssd("auto");
  EXPECT_TRUE(contains(found(), "goes on with pread")) << found();
  EXPECT_TRUE(contains(found(), "sysctl kernel.io_uring_disabled=0")) << found();
  options_.ssd_engine = "io_uring";
  EXPECT_TRUE(contains(found(), "--ssd_engine=io_uring cannot start")) << found();
  options_.ssd_engine = "pread";
  EXPECT_FALSE(contains(found(), "io_uring")) << found();
}

TEST_F(MachineCheck, IoUringThatAFilterRefusesIsNamed) {
  if (!has_filters()) GTEST_SKIP() << "no seccomp filters here";
  use_ssd("auto");
  const std::string text = found([] { return refuse_syscall(SYS_io_uring_setup, EPERM); });
  EXPECT_TRUE(contains(text, "io_uring is refused (Operation not permitted)")) << text;
  EXPECT_TRUE(contains(text, "seccomp")) << text;
}

// The real daemon: another engine stands in for io_uring, but not where that is asked for by name.
TEST_F(MachineCheck, RefusedIoUringKeepsFromStartingWhereItIsAskedForByName) {
  if (!has_filters()) GTEST_SKIP() << "no seccomp filters here";
  use_ssd("auto");
  const std::string said = root_ + "/said";
  for (const auto& [engine, code, effect] :
       {std::tuple("auto", 0, "goes on with pread"), std::tuple("pread", 0, "configuration ok"),
        std::tuple("io_uring", 1, "cannot start: io_uring is refused")}) {
    const model::FdGuard output(::open(said.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    TestProcess check = TestProcess::exec(
        {program_path("quired"), "--check_config", "--ram_bytes=64MiB",
         "--ssd_path=" + options_.ssd_path, std::string("--ssd_engine=") + engine},
        {.output_fd = output.get(),
         .before_exec = [] { QUIRE_CHECK(refuse_syscall(SYS_io_uring_setup, EPERM)); }});
    EXPECT_EQ(check.wait(), code) << engine;
    std::ifstream file(said);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_TRUE(contains(text, effect)) << text;
  }
}

TEST_F(MachineCheck, FileSystemWithoutDirectIoIsNamed) {
  if (!has_filters()) GTEST_SKIP() << "no seccomp filters here";
  use_ssd("pread");
  const auto without = [] { return refuse_open_with(O_DIRECT, EINVAL); };
  EXPECT_TRUE(contains(found(without), "knows no O_DIRECT")) << found(without);
}

TEST_F(MachineCheck, SwapIsNamedUnlessTheGroupKeepsOut) {
  write("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 9 0 -2\n");
  EXPECT_TRUE(contains(found(), "swap is on (/dev/sda2)")) << found();
  EXPECT_TRUE(contains(found(), "MemorySwapMax=0")) << found();
  write("/sys/fs/cgroup/a/memory.swap.max", "0\n");
  EXPECT_EQ(found(), "");
}

}  // namespace quire::tests::machine_check_test
