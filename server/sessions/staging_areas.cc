#include "server/sessions/staging_areas.h"

#include <algorithm>
#include <string>
#include <utility>

#include "model/session_shm.h"

namespace quire::server {

using model::Errc;
using model::make_error;

namespace {

constexpr uint64_t kDescriptorsWhileMaking = 1;  // sent to the client, and closed

}  // namespace

model::Result<StagingArea*> StagingAreas::make(ClientProcess& client, uint64_t bytes) {
  if (bytes == 0 || bytes > model::kMaxStagingBytes) {
    return make_error(Errc::kInvalidArgument, "a staging area has 1 byte to 2 GiB");
  }
  if (client.staging.size() >= kMaxAreasOfAClient) {
    return make_error(Errc::kBusy, "too many staging areas of one connection: at most " +
                                       std::to_string(kMaxAreasOfAClient));
  }
  QUIRE_TRY(shares_->check(client.uid(), Shared::kSessionBytes, bytes));
  QUIRE_TRY(shares_->check(client.uid(), Shared::kDescriptors, kDescriptorsWhileMaking));
  auto area = std::make_unique<StagingArea>();
  area->region =
      QUIRE_TRY(SharedRegion::create(bytes, ClientAccess::kReadWrite, Allocation::kByClient));
  area->id = client.staging.size() + 1;
  area->uid = client.uid();
  area->bytes = bytes;
  shares_->take(area->uid, Shared::kSessionBytes, bytes);
  bytes_ += bytes;
  client.staging.push_back(std::move(area));
  return client.staging.back().get();
}

model::Result<StagingArea*> StagingAreas::find(const ClientProcess& client, uint64_t id) const {
  if (id == 0) return static_cast<StagingArea*>(nullptr);
  // Numbered from 1 on, and none goes before its client does.
  if (id > client.staging.size()) {
    return make_error(Errc::kNotFound, "this connection has no staging area of that number");
  }
  return client.staging[id - 1].get();
}

void StagingAreas::join(StagingArea* area) {
  if (area != nullptr) ++area->users;
}

void StagingAreas::leave(StagingArea* area) {
  if (area == nullptr || --area->users > 0 || !area->client_left) return;
  const auto found = std::find_if(left_.begin(), left_.end(),
                                  [area](const auto& left) { return left.get() == area; });
  close(*area);
  left_.erase(found);
}

void StagingAreas::forget(ClientProcess& client) {
  for (std::unique_ptr<StagingArea>& area : client.staging) {
    area->client_left = true;
    if (area->users > 0) {
      left_.push_back(std::move(area));
    } else {
      close(*area);
    }
  }
  client.staging.clear();
}

void StagingAreas::close(StagingArea& area) {
  bytes_ -= area.bytes;
  Remains remains;
  remains.descriptors[0] = area.region.take_fd();
  remains.mappings[0] = area.region.take_mapping();
  closer_->close(std::move(remains), {.uid = area.uid, .session_bytes = area.bytes});
}

}  // namespace quire::server
