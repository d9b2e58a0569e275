// Load and release: what an engine does with a lease that a match gave it.
//
// load pins each span again while it writes its descriptors, in one walk from the end of the range
// towards its start; release takes every pin back. Both may be done in pieces, for a path may have
// millions of spans. A load of pages that are not in RAM has two halves: the first pins the range
// and names what is missing, a lower tier brings it, and a delivery writes down what came:
//
//   begin_load, step_load ... --all in RAM--> written, at once
//                             --missing-----> [a tier] --> begin_delivery, step_delivery ...
//
// An object that is quarantined meanwhile (law 4) is never written: its load is delivered up to it.
// Threads: core only. No allocation but for what is missing.
#pragma once

#include <cstdint>
#include <span>

#include "cache/objects/object_store.h"
#include "cache/serve/lease_table.h"
#include "cache/serve/load.h"
#include "cache/serve/load_writer.h"
#include "cache/tree/namespace_table.h"
#include "model/metrics.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct LoaderCounters {
  model::Counter loads{"loads", "Loads taken"};
  model::Counter delivered_pages{"delivered_pages",
                                 "Pages whose descriptors were written to clients",
                                 {model::MetricFamily::kLookupPages, R"(result="hit")"}};
  model::Counter expired_leases{"expired_leases",
                                "Leases that ended with their client or session, unreleased",
                                {model::MetricFamily::kLeaseExpired}};
};

class PrefixLoader {
 public:
  PrefixLoader(ObjectStore* store, NamespaceTable* names, LeaseTable* leases)
      : store_(store), names_(names), leases_(leases), writer_(store, names) {}

  // Descriptors into `out`, in block-major order, or runs (LoadArgs::form). kNotFound: no such
  // lease. kInvalidArgument: range outside the hit, or `out` too small (the text says how many are
  // needed). kBusy: more than kMaxLoadsPerLease pieces. Unless the load is_whole() nothing is
  // delivered yet.
  model::Result<Load> load(LeaseHolder& holder, const model::LoadArgs& args,
                           std::span<model::PageDescriptor> out);
  // The same in pieces: begin_load() with load()'s errors, then step_load() until it is true, which
  // does about `budget` steps and needs at least one. `out` is the same each time. `want_slots`:
  // pending.slots receives the slot of each descriptor, for a check before delivery. The lease
  // cannot be released before pending.hold is let go.
  model::Result<void> begin_load(LeaseHolder& holder, const model::LoadArgs& args, size_t out_count,
                                 bool want_slots, PendingLoad& pending);
  bool step_load(LeaseHolder& holder, PendingLoad& pending, std::span<model::PageDescriptor> out,
                 uint32_t budget);
  // Ends a load that was not whole, in pieces of about `budget` steps: descriptors of the usable
  // head, and of the checkpoint when all blocks are there; what did not come is unpinned. True: it
  // is all in delivery.delivered. `out` as given to load(), which is held still.
  void begin_delivery(LeaseHolder& holder, const Load& load, size_t out_count, bool want_slots,
                      Delivery& delivery);
  bool step_delivery(LeaseHolder& holder, Delivery& delivery, std::span<model::PageDescriptor> out,
                     uint32_t budget);
  // Writes the descriptors of blocks [first, first + count) of the range, which must be in RAM;
  // `last` is the span of the last of them. Precondition: LoadForm::kPages.
  void describe_blocks(const Load& load, model::NodeId last, const BlockSpan& blocks,
                       std::span<model::PageDescriptor> out) const;

  // kNotFound when it is not held (any more). kBusy: a load of it is under way.
  model::Result<void> release(LeaseHolder& holder, model::LeaseId lease);
  // The same in pieces of about `budget` nodes: true when the lease is gone.
  model::Result<bool> release_part(LeaseHolder& holder, model::LeaseId lease, uint32_t budget);
  // Law 5: gives back what the holder has, about `budget` nodes of it, and lowers `budget` by what
  // it did. True when nothing is left. A lease whose load is under way stays.
  bool release_some(LeaseHolder& holder, uint32_t& budget);

  const LoaderCounters& counters() const { return counters_; }

 private:
  struct Range {
    uint32_t first_block = 0;
    uint32_t block_count = 0;
  };
  const Root& root_of(model::NodeId node) const;
  model::Result<Range> check_range(const Lease& lease, const model::LoadArgs& args) const;
  model::Result<Load> plan(const Lease& lease, const model::LoadArgs& args, size_t out_count) const;
  bool pin_spans(PendingLoad& pending, PathPins& pins, std::span<model::PageDescriptor> out,
                 uint32_t budget);
  void look_again(Delivery& delivery, const PathPins& pins) const;
  uint32_t look(Delivery& delivery, uint32_t spans) const;
  bool go_on(Delivery& delivery, PathPins& pins, std::span<model::PageDescriptor> out,
             uint32_t& spans);
  void end_delivery(Delivery& delivery, std::span<model::PageDescriptor> out);
  // So many spans of this load are pinned in RAM now: a use of the session's reservation.
  void set_spans_used(Lease& lease, uint32_t range_index, uint32_t spans) const;
  bool is_usable(model::NodeId node) const;
  uint32_t release_last_range(Lease& lease, uint32_t budget);

  ObjectStore* store_;
  NamespaceTable* names_;
  LeaseTable* leases_;
  LoadWriter writer_;
  LoaderCounters counters_;
};

}  // namespace quire::cache
