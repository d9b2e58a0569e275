// What the machine under test lends: huge pages, shared memory, descriptors.
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace quire::allocator {

// Free 2 MiB pages plus those the kernel may add; 0 without hugetlb.
inline uint64_t obtainable_huge_pages() {
  uint64_t total = 0;
  for (const char* name : {"free_hugepages", "nr_overcommit_hugepages"}) {
    std::ifstream file(std::string("/sys/kernel/mm/hugepages/hugepages-2048kB/") + name);
    uint64_t pages = 0;
    if (file >> pages) total += pages;
  }
  return total;
}

// Shared memory that this process has mapped in.
inline uint64_t shared_resident_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    uint64_t kib = 0;
    if (word == "RssShmem:" && file >> kib) return kib * 1024;
  }
  return 0;
}

inline size_t open_descriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

// No descriptor can be opened while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// No file can grow while this lives, so no segment can be made.
class NoFileSizes {
 public:
  NoFileSizes() : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  NoFileSizes(const NoFileSizes&) = delete;
  NoFileSizes& operator=(const NoFileSizes&) = delete;
  ~NoFileSizes() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

}  // namespace quire::allocator
