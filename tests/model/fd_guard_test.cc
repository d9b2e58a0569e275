#include "model/fd_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace quire::model::fd_guard_test {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

FdGuard memory_file(off_t bytes) {
  FdGuard fd(::memfd_create("fd_guard_test", MFD_CLOEXEC));
  EXPECT_TRUE(fd.valid());
  EXPECT_EQ(::ftruncate(fd.get(), bytes), 0);
  return fd;
}

TEST(FdGuard, ClosesAtTheEndOfItsLife) {
  int number = -1;
  {
    const FdGuard fd = memory_file(1);
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(FdGuard, MovingHandsOverTheDescriptor) {
  FdGuard first = memory_file(1);
  const int number = first.get();
  FdGuard second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT: the state after a move is what is tested
  EXPECT_EQ(second.get(), number);
  FdGuard third = memory_file(1);
  const int replaced = third.get();
  third = std::move(second);
  EXPECT_FALSE(is_open(replaced));
  EXPECT_EQ(third.get(), number);
}

TEST(FdGuard, AssigningToItselfKeepsTheDescriptor) {
  FdGuard fd = memory_file(1);
  FdGuard& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(is_open(fd.get()));
}

TEST(FdGuard, ReleaseGivesUpOwnership) {
  FdGuard fd = memory_file(1);
  const int number = fd.release();
  EXPECT_FALSE(fd.valid());
  fd.reset();
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(Mapping, SharesBytesBetweenMappings) {
  const FdGuard fd = memory_file(4096);
  const Result<Mapping> writer = Mapping::map_shared(fd.get(), 4096, true);
  const Result<Mapping> reader = Mapping::map_shared(fd.get(), 4096, false);
  ASSERT_TRUE(writer.ok() && reader.ok());
  writer->data()[17] = std::byte{42};
  EXPECT_EQ(reader->data()[17], std::byte{42});
  EXPECT_EQ(reader->bytes(), 4096u);
}

TEST(Mapping, MovingHandsOverTheMemory) {
  const FdGuard fd = memory_file(4096);
  Result<Mapping> mapped = Mapping::map_shared(fd.get(), 4096, true);
  ASSERT_TRUE(mapped.ok());
  Mapping first = std::move(mapped).value();
  Mapping second = std::move(first);
  EXPECT_FALSE(first.valid());  // NOLINT: the state after a move is what is tested
  second.data()[0] = std::byte{1};
  second.reset();
  EXPECT_FALSE(second.valid());
  EXPECT_EQ(second.bytes(), 0u);
}

TEST(Mapping, FailuresAreIoErrors) {
  EXPECT_EQ(Mapping::map_shared(-1, 4096, false).code(), Errc::kIoError);
}

}  // namespace
}  // namespace quire::model::fd_guard_test
