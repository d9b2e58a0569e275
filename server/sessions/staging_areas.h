// The staging areas of all client processes (server/rings/staging_area.h): made when a client asks,
// closed when it is gone and the last attachment that copied from it.
//
// Bounds: kMaxAreasOfAClient, and the uid's share of session memory, to which an area is charged
// until it is really gone. Threads: core only.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/rings/client_process.h"
#include "server/rings/staging_area.h"
#include "server/runtime/off_core_closer.h"
#include "server/sessions/uid_shares.h"

namespace quire::server {

class StagingAreas {
 public:
  // A client that needs a larger one asks for another.
  static constexpr size_t kMaxAreasOfAClient = 16;

  StagingAreas(UidShares* shares, OffCoreCloser* closer) : shares_(shares), closer_(closer) {}

  // kInvalidArgument: the size. kBusy: the client has as many as it may, or its uid's share.
  // kResourceExhausted, kIoError. The client allocates it: it pays for its own, in its own time.
  model::Result<StagingArea*> make(ClientProcess& client, uint64_t bytes);
  // Null for 0. kNotFound: the client has no such area.
  model::Result<StagingArea*> find(const ClientProcess& client, uint64_t id) const;

  // An attachment copies from it from now on; null: from none.
  void join(StagingArea* area);
  void leave(StagingArea* area);
  uint64_t bytes() const { return bytes_; }
  // The client is gone; what its attachments still copy from stays until they leave it.
  void forget(ClientProcess& client);

 private:
  void close(StagingArea& area);

  UidShares* shares_;
  OffCoreCloser* closer_;
  uint64_t bytes_ = 0;                              // of all areas
  std::vector<std::unique_ptr<StagingArea>> left_;  // whose client is gone
};

}  // namespace quire::server
