// Small memfds of a session: control, staging, reply, progress.
//
// Sealed against shrinking and growing before anyone else sees them, so that the daemon can never
// be killed by a client's truncate. Those that clients only read are also sealed against every
// later writable mapping. Allocated in full, but for staging: that is large (16 MiB take 9 ms), its
// client may punch holes anyway, and it is the client who waits for it.
#pragma once

#include <cstdint>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

enum class ClientAccess : uint8_t { kReadOnly, kReadWrite };
enum class Allocation : uint8_t { kNow, kByClient };

class SharedRegion {
 public:
  SharedRegion() = default;
  // `bytes` is rounded up to whole pages. kResourceExhausted, kIoError.
  static model::Result<SharedRegion> create(uint64_t bytes, ClientAccess access,
                                            Allocation allocation = Allocation::kNow);

  std::byte* data() const { return mapping_.data(); }
  uint64_t bytes() const { return mapping_.bytes(); }
  int client_fd() const { return fd_.get(); }  // what is passed to the client
  // Once every client has its descriptor.
  void close_fd() { fd_.reset(); }

 private:
  model::FdGuard fd_;
  model::Mapping mapping_;
};

}  // namespace quire::server
