// Damage to the files of a tier, behind the daemon's back.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/check.h"
#include "model/fd_guard.h"

namespace quire::tests {

inline void read_at(const std::string& path, uint64_t offset, std::span<std::byte> bytes) {
  const model::FdGuard fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  QUIRE_CHECK(::pread(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
              static_cast<ssize_t>(bytes.size()));
}

// On the device when it returns: a daemon reads past the page cache.
inline void write_at(const std::string& path, uint64_t offset, std::span<const std::byte> bytes) {
  const model::FdGuard fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  QUIRE_CHECK(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
              static_cast<ssize_t>(bytes.size()));
  QUIRE_CHECK(::fsync(fd.get()) == 0);
}

inline void flip_at(const std::string& path, uint64_t offset) {
  std::array<std::byte, 1> byte{};
  read_at(path, offset, byte);
  byte[0] ^= std::byte{4};
  write_at(path, offset, byte);
}

inline void zero_at(const std::string& path, uint64_t offset, uint64_t bytes = 4096) {
  write_at(path, offset, std::vector<std::byte>(bytes));
}

inline void swap_at(const std::string& path_a, uint64_t offset_a, const std::string& path_b,
                    uint64_t offset_b, uint64_t bytes = 4096) {
  std::vector<std::byte> a(bytes);
  std::vector<std::byte> b(bytes);
  read_at(path_a, offset_a, a);
  read_at(path_b, offset_b, b);
  write_at(path_a, offset_a, b);
  write_at(path_b, offset_b, a);
}

}  // namespace quire::tests
