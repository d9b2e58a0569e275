#include "allocator/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "allocator/available_memory.h"
#include "tests/allocator/machine_limits.h"

namespace quire::allocator::segment_test {
namespace {

using model::Errc;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kBytes = 4 * kMiB;

std::unique_ptr<Segment> make_segment() {
  auto segment = Segment::create(kBytes, HugePages::kAuto, Population::kEager);
  QUIRE_CHECK(segment.ok());
  return std::move(segment).value();
}

struct stat stat_of(const Segment& segment) {
  struct stat result {};
  QUIRE_CHECK(::fstat(segment.read_only_fd(), &result) == 0);
  return result;
}

// "" when the file is not there.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

TEST(Segment, EagerOneIsZeroAndWhollyAllocated) {
  const auto segment = make_segment();
  ASSERT_EQ(segment->bytes(), kBytes);
  EXPECT_TRUE(std::all_of(segment->data(), segment->data() + kBytes,
                          [](std::byte byte) { return byte == std::byte{0}; }));
  if (!segment->is_hugetlb()) {  // hugetlbfs counts no blocks
    EXPECT_EQ(static_cast<uint64_t>(stat_of(*segment).st_blocks) * 512, kBytes);
  }
}

TEST(Segment, LazyOneTakesNoMemoryUntilTouched) {
  const auto segment = Segment::create(kBytes, HugePages::kOff, Population::kLazy);
  ASSERT_TRUE(segment.ok()) << segment.error().text;
  EXPECT_EQ(stat_of(*segment.value()).st_blocks, 0);
  segment.value()->data()[kMiB] = std::byte{1};
  EXPECT_GT(stat_of(*segment.value()).st_blocks, 0);
}

TEST(Segment, DescriptorIsReadOnlyOwnerOnlyAndNotInherited) {
  const auto segment = make_segment();
  EXPECT_EQ(::fcntl(segment->read_only_fd(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(::fcntl(segment->read_only_fd(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(stat_of(*segment).st_mode & 07777, 0400u);
}

TEST(Segment, KeepsOneDescriptorAndGivesItBack) {
  const size_t before = open_descriptors();
  auto segment = make_segment();
  EXPECT_EQ(open_descriptors(), before + 1);
  segment.reset();
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Segment, DaemonWritesAndReaderSeesIt) {
  const auto segment = make_segment();
  const auto reader = model::Mapping::map_shared(segment->read_only_fd(), kBytes, false);
  ASSERT_TRUE(reader.ok());
  std::memcpy(segment->data() + 3 * kMiB, "page bytes", 10);
  EXPECT_EQ(std::memcmp(reader.value().data() + 3 * kMiB, "page bytes", 10), 0);
}

TEST(Segment, StaysOutOfCoreFiles) {
  const auto segment = make_segment();
  std::ostringstream first;
  first << std::hex << reinterpret_cast<uint64_t>(segment->data()) << '-';
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  while (std::getline(smaps, line) && !line.starts_with(first.str())) continue;
  while (std::getline(smaps, line) && !line.starts_with("VmFlags:")) continue;
  EXPECT_NE(line.find(" dd"), std::string::npos) << line;
}

TEST(Segment, RefusesBytesThatAreNoWholeHugePages) {
  for (const uint64_t bytes : {uint64_t{0}, kMiB, 2 * kMiB + 4096}) {
    EXPECT_EQ(Segment::create(bytes, HugePages::kOff, Population::kLazy).code(),
              Errc::kInvalidArgument);
  }
}

TEST(Segment, TooFewHugePagesAreAnError) {
  const size_t descriptors = open_descriptors();
  const uint64_t bytes = (obtainable_huge_pages() + 1) * 2 * kMiB;
  EXPECT_EQ(Segment::create(bytes, HugePages::kHugetlb, Population::kEager).code(),
            Errc::kResourceExhausted);
  EXPECT_EQ(open_descriptors(), descriptors);
}

TEST(Segment, AutoFallsBackWhereHugePagesAreTooFew) {
  const uint64_t bytes = (obtainable_huge_pages() + 1) * 2 * kMiB;
  const auto segment = Segment::create(bytes, HugePages::kAuto, Population::kEager);
  ASSERT_TRUE(segment.ok()) << segment.error().text;
  EXPECT_FALSE(segment.value()->is_hugetlb());
}

TEST(Segment, ReservedHugePagesAreUsedSealedAndReadable) {
  if (obtainable_huge_pages() < 2) GTEST_SKIP() << "no huge pages reserved (vm.nr_hugepages)";
  const auto segment = Segment::create(kBytes, HugePages::kHugetlb, Population::kEager);
  ASSERT_TRUE(segment.ok()) << segment.error().text;
  EXPECT_TRUE(segment.value()->is_hugetlb());
  EXPECT_EQ(segment.value()->page_size_log2(), 21u);
  const auto reader = model::Mapping::map_shared(segment.value()->read_only_fd(), kBytes, false);
  ASSERT_TRUE(reader.ok());
  segment.value()->data()[kBytes - 1] = std::byte{5};
  EXPECT_EQ(reader.value().data()[kBytes - 1], std::byte{5});
}

TEST(Segment, ReportsTheHugePagesItReallyGot) {
  const std::string setting = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  const std::string own =
      first_line("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/shmem_enabled");
  const auto segment = Segment::create(kBytes, HugePages::kThp, Population::kEager);
  ASSERT_TRUE(segment.ok()) << segment.error().text;
  EXPECT_FALSE(segment.value()->is_hugetlb());
  const bool never = setting.find("[never]") != std::string::npos &&
                     (own.empty() || own.find("[never]") != std::string::npos ||
                      own.find("[inherit]") != std::string::npos);
  if (never || setting.find("[deny]") != std::string::npos) {
    EXPECT_EQ(segment.value()->page_size_log2(), 12u);
  } else {
    EXPECT_EQ(segment.value()->page_size_log2(), 21u) << "shmem_enabled: " << setting;
  }
}

TEST(Segment, MemoryShortageIsAnErrorBeforeAnythingIsTouched) {
  const uint64_t bytes = memory_room().bytes / (2 * kMiB) * (2 * kMiB) + 2 * kMiB;
  EXPECT_EQ(Segment::create(bytes, HugePages::kOff, Population::kEager).code(),
            Errc::kResourceExhausted);
}

TEST(Segment, DescriptorShortageIsAnError) {
  model::Result<std::unique_ptr<Segment>> segment = [] {
    const NoDescriptors none;
    return Segment::create(kBytes, HugePages::kOff, Population::kEager);
  }();
  EXPECT_EQ(segment.code(), Errc::kResourceExhausted);
}

TEST(Segment, StopsWhenAsked) {
  std::stop_source source;
  source.request_stop();
  EXPECT_EQ(
      Segment::create(kBytes, HugePages::kOff, Population::kEager, {.stop = source.get_token()})
          .code(),
      Errc::kClosed);
}

TEST(HugePages, NamesRoundTrip) {
  for (const HugePages mode :
       {HugePages::kAuto, HugePages::kHugetlb, HugePages::kThp, HugePages::kOff}) {
    EXPECT_EQ(parse_huge_pages(huge_pages_name(mode)).value(), mode);
  }
  EXPECT_EQ(parse_huge_pages("on").code(), Errc::kInvalidArgument);
}

}  // namespace
}  // namespace quire::allocator::segment_test
