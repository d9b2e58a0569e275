#include "client/client_memory.h"

#include <algorithm>
#include <utility>

namespace quire::client {

StagingArea* ClientMemory::find_staging(uint64_t bytes) const {
  StagingArea* found = nullptr;
  for (const std::unique_ptr<StagingArea>& area : areas_) {
    if (area->bytes() < bytes) continue;
    if (found == nullptr || area->bytes() < found->bytes()) found = area.get();
  }
  return found;
}

StagingArea* ClientMemory::add_staging(std::unique_ptr<StagingArea> area) {
  areas_.push_back(std::move(area));
  return areas_.back().get();
}

void ClientMemory::keep_lane(SessionChannel lane) { lanes_.push_back(std::move(lane)); }

// The one that was used last: its memory is warm.
std::optional<SessionChannel> ClientMemory::take_lane(const SessionChannel::Shape& shape) {
  const auto found = std::find_if(lanes_.rbegin(), lanes_.rend(), [&](const SessionChannel& lane) {
    return lane.shape() == shape;
  });
  if (found == lanes_.rend()) return std::nullopt;
  std::optional<SessionChannel> lane(std::move(*found));
  lanes_.erase(std::next(found).base());
  return lane;
}

}  // namespace quire::client
