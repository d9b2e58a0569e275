// Match, load and release: what an engine does to resume a context.
//
// match pins before it answers (law 3). load pins each span again while it writes its descriptors,
// in one walk from the end of the range towards its start; release takes every pin back. Both may
// be done in pieces, for a path may have millions of spans. A load of pages that are not in RAM has
// two halves: its first one pins the range and names what is missing, a lower tier brings it,
// deliver() writes the descriptors of what came. Threads: core only. No allocation per request.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/eviction/eviction_board.h"
#include "cache/objects/object_store.h"
#include "cache/objects/path.h"
#include "cache/serve/cache_session.h"
#include "cache/serve/lease_table.h"
#include "cache/serve/load.h"
#include "cache/serve/load_cut.h"
#include "cache/serve/load_writer.h"
#include "cache/serve/match.h"
#include "cache/serve/positions.h"
#include "cache/tree/chain_view.h"
#include "model/metrics.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct ReaderCounters {
  model::Counter matches{"matches", "Prompts matched"};
  model::Counter prompt_tokens{"prompt_tokens", "Tokens of the prompts matched"};
  model::Counter hit_tokens{"hit_tokens", "Tokens announced as exact hits"};
  model::Counter below_hit_tokens{"ssd_hit_tokens",
                                  "Of these, tokens that were on a lower tier only"};
  model::Counter no_checkpoint_matches{
      "no_checkpoint_matches", "Hits shorter than their spans allowed, for want of a checkpoint"};
  model::Counter no_checkpoint_tokens{"no_checkpoint_tokens", "Tokens by which these were shorter"};
  model::Counter loads{"loads", "Loads taken"};
  model::Counter delivered_pages{"delivered_pages",
                                 "Pages whose descriptors were written to clients"};
};

class PrefixReader {
 public:
  PrefixReader(ObjectStore* store, EvictionBoard* board, NamespaceTable* names, LeaseTable* leases)
      : store_(store), board_(board), names_(names), leases_(leases), writer_(store, names) {}

  // A lease even when only spans (no resume point) were found; none when nothing was.
  // kStaleHandle: the namespace moved to a later epoch. kInvalidArgument: prompt_tokens is 0.
  // kBusy: too many leases.
  model::Result<model::MatchResult> match(CacheSession& session, LeaseHolder& holder,
                                          const ChainView& chain, uint32_t prompt_tokens,
                                          uint32_t have_tokens = 0, const PrefillCost& cost = {});

  // The lease's loads will say so (Load::turn). Precondition: the holder's own.
  void set_turn(LeaseHolder& holder, model::LeaseId lease, uint32_t turn);

  // All positions at which a prompt could be resumed, the deepest first, and how much of a chain is
  // here (cache/serve/positions.h). Nothing is pinned, counts as used or is announced.
  // kStaleHandle; kInvalidArgument: prompt_tokens is 0.
  model::Result<model::PositionsResult> positions(const CacheSession& session,
                                                  const ChainView& chain,
                                                  const PositionsQuery& query,
                                                  std::span<model::ResumePosition> out);
  model::Result<model::LocateResult> locate(const CacheSession& session, const ChainView& chain);

  // Descriptors into `out`, in block-major order, or runs (LoadArgs::form). kNotFound: no such
  // lease. kInvalidArgument: range outside the hit, or `out` too small (the text says how many are
  // needed). kBusy: more than kMaxLoadsPerLease pieces. With missing_count > 0 nothing is delivered
  // yet.
  model::Result<Load> load(LeaseHolder& holder, const model::LoadArgs& args,
                           std::span<model::PageDescriptor> out);
  // The same in pieces: begin_load() with load()'s errors, then step_load() until it is true, which
  // does about `budget` steps and needs at least one. `out` is the same each time. `want_slots`:
  // pending.slots receives the slot of each descriptor, for a check before delivery.
  model::Result<void> begin_load(LeaseHolder& holder, const model::LoadArgs& args, size_t out_count,
                                 bool want_slots, PendingLoad& pending);
  bool step_load(LeaseHolder& holder, PendingLoad& pending, std::span<model::PageDescriptor> out,
                 uint32_t budget);
  // Ends a load that had something missing: descriptors of the usable head, and of the checkpoint
  // when all blocks are there; what did not come is unpinned. `out` as given to load().
  DeliveredLoad deliver(LeaseHolder& holder, const Load& load, std::span<model::PageDescriptor> out,
                        std::vector<model::SlotId>* slots = nullptr);
  // Writes the descriptors of blocks [first, first + count) of the range, which must be in RAM;
  // `last` is the span of the last of them. Precondition: LoadForm::kPages.
  void describe_blocks(const Load& load, model::NodeId last, uint32_t first, uint32_t count,
                       std::span<model::PageDescriptor> out) const;
  // How long loads from lower tiers take; set by them.
  void set_load_time(LoadTime load_time) { load_time_ = std::move(load_time); }

  // kNotFound when it is not held (any more).
  model::Result<void> release(LeaseHolder& holder, model::LeaseId lease);
  // The same in pieces of about `budget` nodes: true when the lease is gone.
  model::Result<bool> release_part(LeaseHolder& holder, model::LeaseId lease, uint32_t budget);
  // Law 5: gives back what the holder has, about `budget` nodes of it, and lowers `budget` by what
  // it did. True when nothing is left.
  bool release_some(LeaseHolder& holder, uint32_t& budget);

  const ReaderCounters& counters() const { return counters_; }

 private:
  struct Range {
    uint32_t first_block = 0;
    uint32_t block_count = 0;
  };
  uint32_t release_last_range(Lease& lease, uint32_t budget);
  model::MatchResult announce(CacheSession& session, const PrefixMatch& match, const Root& root,
                              Lease& lease);
  void note_checkpoint_hit(CacheSession& session, model::NodeId checkpoint);
  model::Result<Range> check_range(const Lease& lease, const model::LoadArgs& args) const;
  bool pin_spans(PendingLoad& pending, PathPins& pins, std::span<model::PageDescriptor> out,
                 uint32_t budget);
  uint32_t ready_blocks(const Load& load) const;
  const Root& root_of(model::NodeId node) const;
  model::Result<PrefixMatch> find(const CacheSession& session, const ChainView& chain,
                                  uint32_t prompt_tokens) const;

  ObjectStore* store_;
  EvictionBoard* board_;
  NamespaceTable* names_;
  LeaseTable* leases_;
  LoadWriter writer_;
  LoadTime load_time_ = [](uint64_t) { return uint64_t{0}; };
  ReaderCounters counters_;
};

}  // namespace quire::cache
