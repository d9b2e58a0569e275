// Memory for runs on their way to and from the cluster: they go in one piece, pages do not lie so.
//
// Buffers of the usual size are kept and used again; a larger one, of a large object, is made when
// it is needed. Bound: max_bytes given out at a time. Threads: core only; whoever has one may lend
// it to others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace quire::tiering {

struct RunBuffer {
  std::unique_ptr<std::byte[]> bytes;
  uint64_t size = 0;
  bool valid() const { return bytes != nullptr; }
};

class RunBuffers {
 public:
  RunBuffers(uint64_t usual_bytes, uint64_t max_bytes)
      : usual_bytes_(usual_bytes), max_bytes_(max_bytes) {}

  // Not valid: too much is given out.
  RunBuffer take(uint64_t bytes) {
    const uint64_t size = bytes <= usual_bytes_ ? usual_bytes_ : bytes;
    if (given_bytes_ + size > max_bytes_) return {};
    given_bytes_ += size;
    if (size == usual_bytes_ && !kept_.empty()) {
      RunBuffer kept = std::move(kept_.back());
      kept_.pop_back();
      return kept;
    }
    return {std::make_unique_for_overwrite<std::byte[]>(size), size};
  }
  void give_back(RunBuffer&& buffer) {
    if (!buffer.valid()) return;
    given_bytes_ -= buffer.size;
    if (buffer.size == usual_bytes_) kept_.push_back(std::move(buffer));
    buffer = {};
  }
  uint64_t given_bytes() const { return given_bytes_; }
  uint64_t max_bytes() const { return max_bytes_; }

 private:
  uint64_t usual_bytes_;
  uint64_t max_bytes_;
  uint64_t given_bytes_ = 0;
  std::vector<RunBuffer> kept_;
};

}  // namespace quire::tiering
