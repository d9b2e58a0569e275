// One process of a client, as sessions and segments know it: whose it is, what it holds, how it is
// told something. Connection is one at the other end of a socket; the simulator's has none.
//
// Threads: core only. Lifetime: its attachments end before it goes; then SegmentShare and the
// registry forget it.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "model/ids.h"
#include "model/wire.h"
#include "server/rings/lane.h"
#include "server/rings/staging_area.h"

namespace quire::server {

class Attachment;

class ClientProcess {
 public:
  virtual ~ClientProcess() = default;
  virtual uint32_t uid() const = 0;  // from the peer's credentials, never from a request
  virtual bool ended() const = 0;
  // An event. It may have ended, and its attachments, when this returns.
  virtual void tell(model::FrameType type, std::string_view payload) = 0;

  model::DomainId domain;
  std::vector<Attachment*> attachments;
  std::vector<std::unique_ptr<Lane>> spare_lanes;      // of sessions that ended; the registry's
  std::vector<std::weak_ptr<LaneMemory>> lane_memory;  // of its lanes, oldest first
  std::vector<std::unique_ptr<StagingArea>> staging;   // by number; StagingAreas'
  std::unordered_set<uint32_t> known_segments;         // told to it, not yet acknowledged as gone
};

}  // namespace quire::server
