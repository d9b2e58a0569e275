// Memory of a client that the daemon copies what is committed from, shared by the client's sessions
// (model/session_shm.h). Which part is whose is decided here: a fill holds its run until no commit
// can read it.
//
// Threads: any. Lifetime: its attachment's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "client/guarded.h"
#include "client/interval_allocator.h"
#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::client {

class StagingArea {
 public:
  static constexpr size_t kMaxRuns = 8192;  // of all sessions; each is one fill

  // Maps and allocates all of it, so that shortage is an error here and no SIGBUS later. kCorrupt:
  // the memfd is smaller than `bytes`. kResourceExhausted.
  static model::Result<std::unique_ptr<StagingArea>> adopt(uint64_t id, uint64_t bytes,
                                                           const model::FdGuard& fd);
  StagingArea(uint64_t id, model::Mapping memory);

  uint64_t id() const { return id_; }  // in the connection
  std::byte* data() const { return memory_.data(); }
  uint64_t bytes() const { return memory_.bytes(); }

  // Offset of a run of so many bytes. Nothing: it is full of uncommitted fills.
  std::optional<uint64_t> allocate(uint64_t bytes) { return runs_.lock()->allocate(bytes); }
  void free(uint64_t offset, uint64_t bytes) { runs_.lock()->free(offset, bytes); }

 private:
  uint64_t id_;
  model::Mapping memory_;
  Guarded<IntervalAllocator> runs_;
};

}  // namespace quire::client
