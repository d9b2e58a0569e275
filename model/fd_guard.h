// Owners of descriptors and mappings. Move-only through unique semantics; closing never throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "model/result.h"

namespace quire::model {

// Closes on destruction. -1 = none.
class FdGuard {
 public:
  FdGuard() = default;
  explicit FdGuard(int fd) : fd_(fd) {}
  FdGuard(FdGuard&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FdGuard& operator=(FdGuard&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  FdGuard(const FdGuard&) = delete;
  FdGuard& operator=(const FdGuard&) = delete;
  ~FdGuard() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Unmaps on destruction.
class Mapping {
 public:
  Mapping() = default;
  // MAP_SHARED over [offset, offset + bytes) of a descriptor; `offset`: of whole pages.
  static Result<Mapping> map_shared(int fd, size_t bytes, bool writable, uint64_t offset = 0);
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { reset(); }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }
  bool valid() const { return data_ != nullptr; }
  // The caller unmaps it; its size is bytes() before.
  void* release() {
    bytes_ = 0;
    return std::exchange(data_, nullptr);
  }
  void reset();

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace quire::model
