// Memfds that a client and the daemon share: of lanes, of sessions' progress, of staging areas.
//
// Sealed against shrinking and growing before anyone else sees them, so that the daemon can never
// be killed by a client's truncate. Those that clients only read are also sealed against every
// later writable mapping, and allocated in full before a client hears of them: where they may be
// large (32 MiB), elsewhere, for it takes as long as thousands of requests. What clients write
// (control, staging) is theirs to allocate: it is large (up to 2 GiB), they may punch holes anyway,
// and they wait for it.
#pragma once

#include <cstdint>

#include "model/fd_guard.h"
#include "model/result.h"

namespace quire::server {

enum class ClientAccess : uint8_t { kReadOnly, kReadWrite };
// kElsewhere: by whoever takes take_unallocated(), before a client hears of it.
enum class Allocation : uint8_t { kNow, kByClient, kElsewhere };

class SharedRegion {
 public:
  SharedRegion() = default;
  // `bytes` is rounded up to whole pages. kResourceExhausted, kIoError.
  static model::Result<SharedRegion> create(uint64_t bytes, ClientAccess access,
                                            Allocation allocation = Allocation::kNow);

  // The daemon's own mapping, writable, for the region's life.
  std::byte* data() const { return mapping_.data(); }
  uint64_t bytes() const { return mapping_.bytes(); }
  bool valid() const { return mapping_.valid(); }
  int client_fd() const { return fd_.get(); }  // what is passed to the client
  // Once every client has its descriptor.
  void close_fd() { fd_.reset(); }
  // kElsewhere: the file, to be allocated through it (fallocate) and closed.
  model::FdGuard take_unallocated() { return std::move(unallocated_); }
  // For whoever closes and unmaps it elsewhere: freeing the memory of a large region takes long.
  model::FdGuard take_fd() { return std::move(fd_); }
  model::Mapping take_mapping() { return std::move(mapping_); }

 private:
  model::FdGuard fd_;
  model::FdGuard unallocated_;  // may write, unlike fd_
  model::Mapping mapping_;
};

}  // namespace quire::server
