// Everything a client could try on the read-only descriptor of a segment, in the daemon's own uid
// (the strongest case: only the seals stand) and in another one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "allocator/segment.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

namespace quire::allocator::segment_seals_test {
namespace {

constexpr uint64_t kBytes = 4 << 20;

std::unique_ptr<Segment> make_segment() {
  auto segment = Segment::create(kBytes, HugePages::kAuto, Population::kEager);
  QUIRE_CHECK(segment.ok());
  std::memset(segment.value()->data(), 0x5a, kBytes);
  return std::move(segment).value();
}

model::FdGuard reopen(int fd) {
  return model::FdGuard(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR));
}

bool maps_writable(int fd) { return model::Mapping::map_shared(fd, kBytes, true).ok(); }

bool protects_to_write(int fd) {
  const auto mapping = model::Mapping::map_shared(fd, kBytes, false);
  return mapping.ok() && ::mprotect(mapping.value().data(), kBytes, PROT_READ | PROT_WRITE) == 0;
}

bool removes_pages(int fd) {
  const auto mapping = model::Mapping::map_shared(fd, kBytes, false);
  return mapping.ok() && ::madvise(mapping.value().data(), kBytes, MADV_REMOVE) == 0;
}

bool punches(int fd) {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 << 20) == 0;
}

struct Attack {
  const char* name;
  bool (*works)(int fd);
};

constexpr Attack kAttacks[] = {
    {"map writable", maps_writable},
    {"mprotect to write", protects_to_write},
    {"MADV_REMOVE", removes_pages},
    {"PUNCH_HOLE", punches},
    {"write", [](int fd) { return ::pwrite(fd, "x", 1, 0) == 1; }},
    {"shrink", [](int fd) { return ::ftruncate(fd, kBytes / 2) == 0; }},
    {"grow", [](int fd) { return ::ftruncate(fd, kBytes * 2) == 0; }},
    {"grow by fallocate", [](int fd) { return ::fallocate(fd, 0, kBytes, 2 << 20) == 0; }},
    {"unseal", [](int fd) { return ::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0; }},
};

// Number of attacks that worked, named on stderr.
int attack(int fd, const char* how) {
  int worked = 0;
  for (const Attack& each : kAttacks) {
    if (!each.works(fd)) continue;
    std::fprintf(stderr, "%s on the %s descriptor worked\n", each.name, how);
    ++worked;
  }
  return worked;
}

bool is_intact(const Segment& segment) {
  for (uint64_t offset = 0; offset < segment.bytes(); ++offset) {
    if (segment.data()[offset] != std::byte{0x5a}) return false;
  }
  return true;
}

TEST(SegmentSeals, AreAllSet) {
  const auto segment = make_segment();
  const int seals = ::fcntl(segment->read_only_fd(), F_GET_SEALS);
  const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
  EXPECT_EQ(seals & wanted, wanted);
  const bool kernel_has_exec_seal = [] {
    const model::FdGuard probe(::memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    return ::fcntl(probe.get(), F_ADD_SEALS, F_SEAL_EXEC) == 0;
  }();
  EXPECT_EQ((seals & F_SEAL_EXEC) != 0, kernel_has_exec_seal);
}

TEST(SegmentSeals, RefuseEverythingOnThePassedDescriptor) {
  const auto segment = make_segment();
  EXPECT_EQ(attack(segment->read_only_fd(), "passed"), 0);
  EXPECT_TRUE(is_intact(*segment));
}

TEST(SegmentSeals, RefuseEverythingOnAReopenedWritableDescriptor) {
  const auto segment = make_segment();
  const model::FdGuard writable = reopen(segment->read_only_fd());
  if (!writable.valid()) GTEST_SKIP() << "mode 0400 already refuses the reopening";
  EXPECT_EQ(attack(writable.get(), "reopened"), 0);
  EXPECT_TRUE(is_intact(*segment));
}

TEST(SegmentSeals, RefuseEverythingFromAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const auto segment = make_segment();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(100);
    const bool readable = model::Mapping::map_shared(segment->read_only_fd(), kBytes, false).ok();
    const bool reopens = reopen(segment->read_only_fd()).valid();
    ::_exit(attack(segment->read_only_fd(), "passed") + (reopens ? 50 : 0) + (readable ? 0 : 60));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(is_intact(*segment));
}

}  // namespace
}  // namespace quire::allocator::segment_seals_test
