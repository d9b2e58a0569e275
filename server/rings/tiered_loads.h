// Loads that wait for a lower tier: from the submission that found pages missing to the completion
// that delivers them, or the usable head (law 15). While a load runs its client may read how many
// descriptors are ready (ReplyHeader::load_ready) and start on them.
//
// Threads: core only. Bound: tiering::kMaxLoads. An attachment that ends cancels its loads; what
// the device still transfers for them is the tier's.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cache/cache.h"
#include "server/rings/session.h"
#include "tiering/tier_set.h"

namespace quire::server {

struct WaitingLoad {
  Attachment* attachment = nullptr;
  uint64_t user_data = 0;
  cache::Load load;
  std::span<model::PageDescriptor> out;
  model::LoadOrder order = model::LoadOrder::kBlockMajor;
  uint8_t progress_slot = 0;  // 0 = none
  uint32_t blocks_ready = 0;  // described already
  LoadFacts facts;
};

class TieredLoads {
 public:
  // `tiers` may be null: then nothing is ever missing.
  TieredLoads(cache::Cache* cache, tiering::TierSet* tiers) : cache_(cache), tiers_(tiers) {}

  // `missing`: nodes, head first. kBusy, kUnavailable: the tiers do not take it; the caller
  // delivers what is in RAM.
  model::Result<void> start(const WaitingLoad& waiting, std::span<const model::NodeId> missing,
                            int64_t deadline_ns);
  // Publishes progress; calls done(WaitingLoad&, Errc) for each load that ended.
  template <typename Done>
  size_t step(Done&& done);
  void end(Attachment& attachment);
  bool holds(const Attachment& attachment, model::LeaseId lease) const;
  // Brings nodes to RAM for nobody yet.
  void prefetch(std::span<const model::NodeId> missing, int64_t deadline_ns);
  size_t count() const { return waiting_.size(); }

 private:
  static constexpr uint64_t kPrefetchTag = 1ull << 63;
  void publish_progress(uint64_t tag, WaitingLoad& waiting);

  cache::Cache* cache_;
  tiering::TierSet* tiers_;
  void forget(const WaitingLoad& waiting);

  std::unordered_map<uint64_t, WaitingLoad> waiting_;  // by the tag of the load
  struct OfLease {
    const Attachment* attachment = nullptr;
    uint32_t count = 0;
  };
  std::unordered_map<uint64_t, OfLease> of_lease_;  // how many of these wait for each lease
  uint64_t next_tag_ = 1;
};

template <typename Done>
size_t TieredLoads::step(Done&& done) {
  if (tiers_ == nullptr) return 0;
  std::vector<tiering::FinishedLoad>& finished = tiers_->loads().finished();
  const size_t count = finished.size();
  for (const tiering::FinishedLoad& one : finished) {
    const auto found = waiting_.find(one.tag);
    if (found == waiting_.end()) continue;
    forget(found->second);
    done(found->second, one.code);
    waiting_.erase(found);
  }
  finished.clear();
  for (auto& [tag, waiting] : waiting_) {
    if (waiting.progress_slot != 0) publish_progress(tag, waiting);
  }
  return count;
}

}  // namespace quire::server
