// Limits of control groups in a tree of files that looks like a machine's.
#include "allocator/available_memory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "model/check.h"

namespace quire::allocator::available_memory_test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class AvailableMemory : public testing::Test {
 protected:
  AvailableMemory() {
    std::string pattern = testing::TempDir() + "quire-machine-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
    write("/proc/meminfo", "MemTotal: 9999 kB\nMemAvailable: 1048576 kB\n");
  }
  ~AvailableMemory() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void group(const std::string& folder, const std::string& max, uint64_t current) const {
    write(folder + "/memory.max", max + "\n");
    write(folder + "/memory.current", std::to_string(current) + "\n");
  }
  void group_v1(const std::string& folder, uint64_t limit, uint64_t usage) const {
    write(folder + "/memory.limit_in_bytes", std::to_string(limit) + "\n");
    write(folder + "/memory.usage_in_bytes", std::to_string(usage) + "\n");
  }

  std::string root_;
};

TEST_F(AvailableMemory, WithoutControlGroupsItIsTheHosts) {
  EXPECT_EQ(memory_room(0, root_).bytes, 1024 * kMiB);
  EXPECT_EQ(memory_room(0, root_).source, "/proc/meminfo");
}

TEST_F(AvailableMemory, Version2IsTheNarrowestOfAllAncestors) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  group("/sys/fs/cgroup/a/b", "max", 10 * kMiB);
  group("/sys/fs/cgroup/a", std::to_string(512 * kMiB), 112 * kMiB);
  write("/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 1048576\nactive_file 11534336\n");
  const MemoryRoom room = memory_room(0, root_);
  EXPECT_EQ(room.bytes, 412 * kMiB) << "droppable cache is room";
  EXPECT_EQ(room.source, "/sys/fs/cgroup/a/memory.max");
}

TEST_F(AvailableMemory, Version1IsSeenInItsOwnHierarchy) {
  write("/proc/self/cgroup", "9:name=systemd:/\n4:cpu,memory:/docker/x\n0::/\n");
  write("/proc/self/mountinfo",
        "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup rw,cpu,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  group_v1("/sys/fs/cgroup/memory/docker/x", 300 * kMiB, 100 * kMiB);
  group_v1("/sys/fs/cgroup/memory/docker", 9223372036854771712u, 5000 * kMiB);
  const MemoryRoom room = memory_room(0, root_);
  EXPECT_EQ(room.bytes, 200 * kMiB);
  EXPECT_EQ(room.source, "/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes");
}

TEST_F(AvailableMemory, ContainerSeesItsPartOfTheTreeAtTheMount) {
  write("/proc/self/cgroup", "4:memory:/docker/x/y\n");
  write("/proc/self/mountinfo",
        "35 31 0:32 /docker/x /cgroup/memory ro - cgroup cgroup rw,memory\n");
  group_v1("/cgroup/memory", 300 * kMiB, 100 * kMiB);
  EXPECT_EQ(memory_room(0, root_).bytes, 200 * kMiB);
}

TEST_F(AvailableMemory, LimitThatIsNotMountedIsNoLimit) {
  write("/proc/self/cgroup", "4:memory:/docker/x\n");
  write("/proc/self/mountinfo", "23 1 0:5 / /proc rw - proc proc rw\n");
  EXPECT_EQ(memory_room(0, root_).bytes, 1024 * kMiB);
}

TEST_F(AvailableMemory, LimitThatIsGivenCountsWhatTheProcessHolds) {
  write("/proc/self/statm", "90000 25600 100 1 0 1 0\n");  // 100 MiB are resident
  const MemoryRoom room = memory_room(300 * kMiB, root_);
  EXPECT_EQ(room.bytes, 200 * kMiB);
  EXPECT_EQ(room.source, "--memory_limit_bytes=314572800");
  EXPECT_EQ(memory_room(50 * kMiB, root_).bytes, 0u);
}

TEST_F(AvailableMemory, LimitThatIsGivenWidensNone) {
  write("/proc/self/statm", "90000 25600 100 1 0 1 0\n");
  const MemoryRoom room = memory_room(9000 * kMiB, root_);
  EXPECT_EQ(room.bytes, 1024 * kMiB);
  EXPECT_EQ(room.source, "/proc/meminfo");
}

TEST_F(AvailableMemory, LimitBelowWhatIsHeldIsNoRoom) {
  write("/proc/self/cgroup", "0::/\n");
  write("/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  group("/sys/fs/cgroup", std::to_string(10 * kMiB), 20 * kMiB);
  EXPECT_EQ(memory_room(0, root_).bytes, 0u);
}

}  // namespace
}  // namespace quire::allocator::available_memory_test
