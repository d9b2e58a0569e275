// Memory that a client's sessions share, or take over from each other: its staging areas, and the
// lanes of sessions that ended.
//
// Bounds: the daemon's, which refuses further areas, and keeps so many lanes. Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client/client_staging.h"
#include "client/session_channel.h"

namespace quire::client {

class ClientMemory {
 public:
  // The smallest area of at least so many bytes; null: there is none. It stays where it is.
  StagingArea* find_staging(uint64_t bytes) const;
  StagingArea* add_staging(std::unique_ptr<StagingArea> area);

  // Of a session that ended and whose lane the daemon keeps.
  void keep_lane(SessionChannel lane);
  // Of these sizes, in nobody's hands any more.
  std::optional<SessionChannel> take_lane(const SessionChannel::Shape& shape);

 private:
  std::vector<std::unique_ptr<StagingArea>> areas_;
  std::vector<SessionChannel> lanes_;
};

}  // namespace quire::client
