// Match, load and release: what an engine does to resume a context.
//
// match pins before it answers (law 3). load pins each span again while it writes its descriptors,
// in one walk from the end of the range towards its start; release takes every pin back. Threads:
// core only. No allocation per request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/cache_session.h"
#include "cache/chain_view.h"
#include "cache/lease_table.h"
#include "cache/match.h"
#include "cache/node_store.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct ReaderCounters {
  uint64_t matches = 0;
  uint64_t prompt_tokens = 0;  // asked for
  uint64_t hit_tokens = 0;     // exact, announced
  uint64_t loads = 0;
  uint64_t delivered_pages = 0;
};

class PrefixReader {
 public:
  PrefixReader(NodeStore* store, NamespaceTable* names, LeaseTable* leases)
      : store_(store), names_(names), leases_(leases) {}

  // A lease even when only spans (no resume point) were found; none when nothing was.
  // kStaleHandle: the namespace moved to a later epoch. kInvalidArgument: prompt_tokens is 0.
  // kBusy: too many leases.
  model::Result<model::MatchResult> match(CacheSession& session, LeaseHolder& holder,
                                          const ChainView& chain, uint32_t prompt_tokens);

  // Descriptors into `out`, in block-major order (also for layer-major: a page in RAM is ready
  // whole). kNotFound: no such lease. kInvalidArgument: range outside the hit, or `out` too small
  // (the text says how many are needed). kBusy: more than kMaxLoadsPerLease pieces. `slots`, when
  // given, receives the slot of each descriptor (for a check before delivery).
  model::Result<model::LoadResult> load(LeaseHolder& holder, const model::LoadArgs& args,
                                        std::span<model::PageDescriptor> out,
                                        std::vector<model::SlotId>* slots = nullptr);

  // kNotFound when it is not held (any more).
  model::Result<void> release(LeaseHolder& holder, model::LeaseId lease);
  // Law 5: everything the holder has.
  void release_all(LeaseHolder& holder);

  const ReaderCounters& counters() const { return counters_; }

 private:
  struct Range {
    uint32_t first_block = 0;
    uint32_t block_count = 0;
  };
  model::MatchResult announce(CacheSession& session, const PrefixMatch& match, const Root& root,
                              Lease& lease);
  void note_checkpoint_hit(CacheSession& session, model::NodeId checkpoint);
  model::Result<Range> check_range(const Lease& lease, const model::LoadArgs& args) const;
  model::NodeId node_at(const Lease& lease, uint32_t end_block) const;
  void write_spans(model::NodeId last, const Range& range, model::GroupMask groups,
                   uint32_t pages_per_span, std::span<model::PageDescriptor> out,
                   std::vector<model::SlotId>* slots);
  size_t count_checkpoint_pages(model::NodeId checkpoint, model::GroupMask groups) const;
  uint32_t write_checkpoint(model::NodeId checkpoint, model::GroupMask groups,
                            std::span<model::PageDescriptor> out,
                            std::vector<model::SlotId>* slots) const;
  model::PageDescriptor describe(model::SlotId slot, model::GroupIndex group,
                                 bool checkpoint) const;
  const Root& root_of(model::NodeId node) const;

  NodeStore* store_;
  NamespaceTable* names_;
  LeaseTable* leases_;
  ReaderCounters counters_;
};

}  // namespace quire::cache
