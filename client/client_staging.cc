#include "client/client_staging.h"

#include <utility>

#include "client/shared_memory.h"
#include "model/ring_frames.h"

namespace quire::client {

using model::FdGuard;
using model::Mapping;
using model::Result;

Result<std::unique_ptr<StagingArea>> StagingArea::adopt(uint64_t id, uint64_t bytes,
                                                        const FdGuard& fd) {
  Mapping memory = QUIRE_TRY(map_checked(fd, bytes, true));
  QUIRE_TRY(allocate_shared(memory));
  return std::make_unique<StagingArea>(id, std::move(memory));
}

StagingArea::StagingArea(uint64_t id, Mapping memory)
    : id_(id),
      memory_(std::move(memory)),
      runs_(memory_.bytes(), model::kStagingAlignment, kMaxRuns) {}

}  // namespace quire::client
