// Small memfds of a session: control, staging, reply, progress.
//
// Sealed against shrinking and growing before anyone else sees them, so that the daemon can never
// be killed by a client's truncate. Those that clients only read are also sealed against every
// later writable mapping, and allocated in full before a client hears of them: in steps, for the
// largest (32 MiB) takes as long as thousands of requests. What clients write (control, staging) is
// theirs to allocate: it is large (up to 2 GiB), they may punch holes anyway, and they wait for it.
#pragma once

#include <cstdint>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

enum class ClientAccess : uint8_t { kReadOnly, kReadWrite };
enum class Allocation : uint8_t { kNow, kByClient, kInSteps };

class SharedRegion {
 public:
  SharedRegion() = default;
  // `bytes` is rounded up to whole pages. kResourceExhausted, kIoError.
  static model::Result<SharedRegion> create(uint64_t bytes, ClientAccess access,
                                            Allocation allocation = Allocation::kNow);

  // kInSteps: so many bytes more. True when all of it is there. kResourceExhausted.
  model::Result<bool> allocate_step(uint64_t bytes);

  std::byte* data() const { return mapping_.data(); }
  uint64_t bytes() const { return mapping_.bytes(); }
  int client_fd() const { return fd_.get(); }  // what is passed to the client
  // Once every client has its descriptor.
  void close_fd() { fd_.reset(); }
  // For whoever unmaps it elsewhere: freeing the memory of a large region takes long.
  model::Mapping take_mapping() { return std::move(mapping_); }

 private:
  model::FdGuard fd_;
  model::Mapping mapping_;
  uint64_t allocated_ = 0;
};

}  // namespace quire::server
