#include "allocator/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string>
#include <utility>

#include "allocator/available_memory.h"
#include "allocator/flat_array.h"

// Newer than the C library's headers.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020  // Linux 6.3
#endif

namespace quire::allocator {
namespace {

using model::Errc;
using model::FdGuard;
using model::make_error;
using model::Mapping;
using model::Result;

constexpr uint64_t kSmallPageBytes = 4096;
constexpr uint64_t kPopulateStepBytes = 64ull << 20;  // a stop is seen after at most 0.3 s
constexpr std::array<std::string_view, 4> kModeNames = {"auto", "hugetlb", "thp", "off"};

// Shortage of any kind is kResourceExhausted; EFAULT is how MADV_POPULATE_WRITE reports a SIGBUS.
model::Error memory_error(std::string_view what) {
  const int code = errno;
  model::Error error = model::errno_error(what);
  if (code == ENOSPC || code == EFAULT) error.code = Errc::kResourceExhausted;
  return error;
}

Result<FdGuard> create_memfd(bool hugetlb) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (hugetlb) flags |= MFD_HUGETLB | MFD_HUGE_2MB;
  FdGuard fd(::memfd_create("quire-segment", flags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd = FdGuard(::memfd_create("quire-segment", flags));
  if (fd.valid()) return fd;
  model::Error error = memory_error("memfd_create");
  if (hugetlb) error.code = Errc::kResourceExhausted;  // a kernel without this page size
  return error;
}

Result<void> allocate_range(int fd, uint64_t offset, uint64_t length) {
  int failed;
  do {
    failed = ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(length));
  } while (failed != 0 && errno == EINTR);
  if (failed != 0) return memory_error("fallocate of a segment");
  return {};
}

// Maps the pages of a range, allocating those that are not there yet.
Result<void> map_range_in(int fd, const Mapping& mapping, uint64_t offset, uint64_t length) {
  int failed;
  do {
    failed = ::madvise(mapping.data() + offset, length, MADV_POPULATE_WRITE);
  } while (failed != 0 && (errno == EINTR || errno == EAGAIN));
  if (failed == 0) return {};
  if (errno != EINVAL) return memory_error("populating a segment");
  // Before Linux 5.14: allocate first, so that the touches below cannot raise SIGBUS.
  QUIRE_TRY(allocate_range(fd, offset, length));
  for (uint64_t touched = offset; touched < offset + length; touched += kSmallPageBytes) {
    *reinterpret_cast<volatile std::byte*>(mapping.data() + touched) = std::byte{0};
  }
  return {};
}

Result<void> populate(int fd, const Mapping& mapping, HugePages mode, const std::stop_token& stop) {
  for (uint64_t offset = 0; offset < mapping.bytes(); offset += kPopulateStepBytes) {
    if (stop.stop_requested()) return make_error(Errc::kClosed, "segment creation was stopped");
    const uint64_t length = std::min<uint64_t>(kPopulateStepBytes, mapping.bytes() - offset);
    // hugetlb: fallocate first, since a fault that finds no page left would be a SIGBUS.
    // Others: fault first, since only faults see MADV_HUGEPAGE; fallocate then fills any hole.
    if (mode == HugePages::kHugetlb) QUIRE_TRY(allocate_range(fd, offset, length));
    QUIRE_TRY(map_range_in(fd, mapping, offset, length));
    if (mode != HugePages::kHugetlb) QUIRE_TRY(allocate_range(fd, offset, length));
  }
  return {};
}

Result<void> seal(int fd) {
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
  // In a call of its own: a kernel that does not know the seal refuses all that are named with it.
  const bool exec_sealed = ::fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC) == 0;
  if (!exec_sealed && errno != EINVAL) return model::errno_error("sealing a segment (exec)");
  if (::fcntl(fd, F_ADD_SEALS, seals | F_SEAL_SEAL) != 0) {
    return model::errno_error("sealing a segment");
  }
  return {};
}

// A descriptor that was opened for writing stays so, whoever receives it.
Result<FdGuard> reopen_read_only(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  FdGuard read_only(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!read_only.valid()) return memory_error("reopening a segment through /proc");
  return read_only;
}

uint64_t parse_number(std::string_view text, int base) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

// Whether every byte of the mapping is really mapped by 2 MiB entries. From /proc/self/smaps, whose
// areas come in ascending order: "7f0000000000-7f0040000000 rw-s ..." then "Name:   number kB".
bool mapped_by_huge_pages(const Mapping& mapping) {
  constexpr std::string_view kField = "ShmemPmdMapped:";
  const uint64_t first = reinterpret_cast<uint64_t>(mapping.data());
  const uint64_t end = first + mapping.bytes();
  std::ifstream smaps("/proc/self/smaps");
  uint64_t huge_bytes = 0;
  bool inside = false;
  for (std::string line; std::getline(smaps, line);) {
    const size_t dash = line.find('-');
    if (dash != std::string::npos && dash < line.find(' ')) {
      const uint64_t area = parse_number(line, 16);
      if (area >= end) break;
      inside = area >= first;
    } else if (inside && line.starts_with(kField)) {
      huge_bytes += parse_number(std::string_view(line).substr(kField.size()), 10) * 1024;
    }
  }
  return huge_bytes == mapping.bytes();
}

// hugetlb pages are a reserve of their own, which no limit of memory counts.
Result<void> check_room(uint64_t bytes, uint64_t memory_limit_bytes) {
  const MemoryRoom room = memory_room(memory_limit_bytes);
  if (room.bytes >= kMemoryReserveBytes && room.bytes - kMemoryReserveBytes >= bytes) return {};
  return make_error(Errc::kResourceExhausted,
                    "a segment needs " + std::to_string(bytes >> 20) + " MiB, but only " +
                        std::to_string(room.bytes >> 20) + " MiB of memory are available (" +
                        room.source + ")");
}

}  // namespace

std::string_view huge_pages_name(HugePages mode) {
  const size_t index = static_cast<size_t>(mode);
  return index < kModeNames.size() ? kModeNames[index] : "unknown";
}

Result<HugePages> parse_huge_pages(std::string_view word) {
  const auto found = std::find(kModeNames.begin(), kModeNames.end(), word);
  if (found != kModeNames.end()) return static_cast<HugePages>(found - kModeNames.begin());
  return make_error(Errc::kInvalidArgument, "huge_pages must be auto, hugetlb, thp or off");
}

Result<std::unique_ptr<Segment>> Segment::create(uint64_t bytes, HugePages mode,
                                                 Population population,
                                                 const SegmentBounds& bounds) {
  if (bytes == 0 || bytes % kHugePageBytes != 0) {
    return make_error(Errc::kInvalidArgument, "segment bytes must be a multiple of 2 MiB");
  }
  if (mode == HugePages::kAuto) {
    auto hugetlb = create(bytes, HugePages::kHugetlb, population, bounds);
    if (hugetlb.ok()) return hugetlb;
    return create(bytes, HugePages::kThp, population, bounds);
  }
  std::unique_ptr<Segment> segment(new Segment());
  segment->hugetlb_ = mode == HugePages::kHugetlb;
  const FdGuard writable = QUIRE_TRY(create_memfd(segment->hugetlb_));
  if (::ftruncate(writable.get(), static_cast<off_t>(bytes)) != 0) {
    return memory_error("ftruncate of a segment");
  }
  // For whoever opens the file anew through /proc: its owner may read it, and nobody may do more.
  if (::fchmod(writable.get(), 0400) != 0) return model::errno_error("fchmod of a segment");
  QUIRE_TRY(segment->map_and_populate(writable.get(), bytes, mode, population, bounds));
  // After the daemon's own writable mapping, which FUTURE_WRITE leaves as it is.
  QUIRE_TRY(seal(writable.get()));
  segment->read_only_fd_ = QUIRE_TRY(reopen_read_only(writable.get()));
  return segment;
}

Result<void> Segment::map_and_populate(int fd, uint64_t bytes, HugePages mode,
                                       Population population, const SegmentBounds& bounds) {
  const bool eager = population == Population::kEager;
  if (eager && !hugetlb_) QUIRE_TRY(check_room(bytes, bounds.memory_limit_bytes));
  Result<Mapping> mapping = Mapping::map_shared(fd, bytes, true);
  if (!mapping.ok()) {
    // hugetlb reserves its pages here: too few are an error before anything is touched.
    return make_error(Errc::kResourceExhausted,
                      hugetlb_ ? "not enough free 2 MiB huge pages (vm.nr_hugepages)"
                               : "mapping a segment: " + mapping.error().text);
  }
  mapping_ = std::move(mapping).value();
  if (!hugetlb_) {
    ::madvise(data(), bytes, mode == HugePages::kThp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  }
  ::madvise(data(), bytes, MADV_DONTDUMP);  // page bytes stay out of core files
  if (eager) QUIRE_TRY(populate(fd, mapping_, mode, bounds.stop));
  // Asked of the kernel: advice is no promise, and status tells what was granted.
  const bool transparent = eager && mode == HugePages::kThp && mapped_by_huge_pages(mapping_);
  page_size_log2_ = hugetlb_ || transparent ? 21 : 12;
  return {};
}

bool SegmentRemains::is_kept() {
  if (segment_ != nullptr) {
    segment_->mapping_.reset();
    auto own = reopen_read_only(segment_->read_only_fd());
    if (!own.ok()) return true;  // no descriptor now; the next call tries again
    own_ = std::move(own).value();
    segment_.reset();
  }
  // EAGAIN: another open file or mapping keeps it. Any other error: the file system has no leases.
  if (::fcntl(own_.get(), F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN;
  ::fcntl(own_.get(), F_SETLEASE, F_UNLCK);
  return false;
}

}  // namespace quire::allocator
