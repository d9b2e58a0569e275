#include "tiering/ssd/ssd_shrinker.h"

#include <cstring>

namespace quire::tiering {

namespace {

constexpr uint32_t kShrinkEvictionsPerStep = 64;
constexpr uint64_t kShrinkFreeingSlotsEnough = 4096;  // the committer has work for some batches
constexpr int64_t kShrinkRetryNs = 60'000'000'000;

}  // namespace

bool SsdShrinker::step() {
  for (const IoOp* op : client_.take()) finish_hole(op->error);
  if (!parts_.health->may_write()) return false;
  const bool evicted = evict();
  return give_region_back() || evicted;
}

bool SsdShrinker::evict() {
  if (!parts_.space->is_over_capacity()) return false;
  if (parts_.space->usage().freeing_slots >= kShrinkFreeingSlotsEnough) return false;
  uint32_t evicted = 0;
  while (evicted < kShrinkEvictionsPerStep && parts_.space->is_over_capacity() &&
         parts_.committer->evict_one({})) {
    ++evicted;
  }
  blocked_by_ = evicted > 0 ? "" : "what is beyond --ssd_bytes is in use, or kept";
  return evicted > 0;
}

bool SsdShrinker::give_region_back() {
  if (running_ || parts_.clock->now_ns() < retry_at_ns_) return false;
  const auto region = parts_.space->stock().take_surplus();
  if (!region) return false;
  const auto opened = parts_.files->open(*region, false);
  if (!opened.ok()) {
    // A file that is not there has no blocks.
    parts_.space->stock().given_back(opened.code() == model::Errc::kNotFound);
    return true;
  }
  const SsdFiles::Place place = parts_.files->start(*region);
  op_ = IoOp{.kind = IoKind::kDeallocate,
             .file = place.file,
             .offset = place.offset,
             .bytes = parts_.space->region_bytes(),
             .client = &client_};
  running_ = true;
  parts_.io->submit_first(&op_);
  return true;
}

void SsdShrinker::finish_hole(int error) {
  running_ = false;
  parts_.space->stock().given_back(error == 0);
  if (error == 0) {
    ++regions_given_back_;
    blocked_by_.clear();
    return;
  }
  retry_at_ns_ = parts_.clock->now_ns() + kShrinkRetryNs;
  blocked_by_ = "the file system takes no blocks back: " + std::string(std::strerror(error));
}

}  // namespace quire::tiering
