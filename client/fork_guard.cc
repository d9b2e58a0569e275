#include "client/fork_guard.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace quire::client {

namespace {
constexpr size_t kGuardBytes = 4096;
}

model::Result<ForkGuard> ForkGuard::create() {
  void* page =
      ::mmap(nullptr, kGuardBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return model::errno_error("mmap of the fork guard");
  // Refused where the kernel is too old: without it a child would write into its parent's rings.
  if (::madvise(page, kGuardBytes, MADV_WIPEONFORK) != 0) {
    model::Error error = model::errno_error("madvise(MADV_WIPEONFORK)");
    ::munmap(page, kGuardBytes);
    return error;
  }
  return ForkGuard(new (page) std::atomic<uint64_t>(kMagic));
}

ForkGuard::ForkGuard(ForkGuard&& other) noexcept : magic_(std::exchange(other.magic_, nullptr)) {}

ForkGuard::~ForkGuard() {
  if (magic_ != nullptr) ::munmap(magic_, kGuardBytes);
}

}  // namespace quire::client
