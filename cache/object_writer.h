// Fills: from reserved slots to a visible object (DESIGN section 3 "Commit").
//
//   begin   reserves slots, or says `duplicate`
//   take    names the pages of one holder's part, to be copied off this thread
//   copied  after the copy: records checksums; the last part makes the object visible
//   abort   gives the slots back, after copies in flight have ended
//
// An object whose parent span is itself still being written waits for it (Outcome::kWaiting) and is
// linked when the parent is.
// Threads: core only. No allocation per request.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cache/cache_session.h"
#include "cache/chain_view.h"
#include "cache/fill_table.h"
#include "cache/node_store.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct WriterCounters {
  uint64_t committed_spans = 0;
  uint64_t committed_checkpoints = 0;
  uint64_t committed_bytes = 0;  // page bytes, true size
  uint64_t duplicates = 0;
  uint64_t aborted = 0;
};

struct BeginOutcome {
  enum class Kind : uint8_t { kGranted, kDuplicate, kPending } kind;
  model::FillId fill;  // kGranted
};

// One page to be copied: from the holder's staging offset to a slot.
struct PageCopy {
  uint8_t page_index = 0;  // in the fill
  uint64_t staging_offset = 0;
  uint64_t bytes = 0;
  std::byte* target = nullptr;
};

// What became of an object after a part of it was copied.
enum class FillOutcome : uint8_t {
  kPartial,  // other holders' groups are missing
  kWaiting,  // complete, but its parent span is still being written
  kVisible,
  kDuplicate,  // another session's came first
  kNoParent,   // the parent span is not there any more
  kAborted,
  kNoNode,  // the node table is full
};

struct Linked {
  model::FillId fill;
  FillOutcome outcome = FillOutcome::kVisible;
  bool superseded = false;
  model::FillKind kind = model::FillKind::kSpan;
  uint32_t end_units = 0;
};

class ObjectWriter {
 public:
  ObjectWriter(NodeStore* store, NamespaceTable* names, FillTable* fills)
      : store_(store), names_(names), fills_(fills) {}

  // `members_so_far`: processes that ever attached to the session; with more than one an object
  // that another of them began is shared. kInvalidArgument: position not legal for the kind, hashes
  // missing, unknown groups, groups claimed by another holder. kNoParent: the span before it is
  // neither present nor being filled. kResourceExhausted: no memory even by evicting. kBusy: too
  // many fills. kStaleHandle.
  model::Result<BeginOutcome> begin(CacheSession& session, HolderTag holder,
                                    uint32_t members_so_far, const ChainView& chain,
                                    const model::BeginFillArgs& args);

  // Pages of `groups` (0 = all that the holder claimed) into `copies`, which has room for
  // kMaxPagesPerObject; they count as in flight until copied(). `staging_bytes` bounds the offsets.
  // kNotFound, kInvalidArgument (offset, or pages not claimed by this holder or committed before).
  model::Result<size_t> take(CacheSession& session, HolderTag holder, const model::CommitArgs& args,
                             uint64_t staging_bytes, std::span<PageCopy> copies);

  // One call for each successful take(), with the same pages. Objects that could be linked because
  // of it (this one and those that waited for it) are appended to `linked`. kWaiting, kPartial:
  // nothing is appended for this fill now.
  FillOutcome copied(model::FillId fill, std::span<const uint8_t> page_indexes,
                     std::span<const uint32_t> checksums, std::vector<Linked>& linked);

  // kNotFound. Waiting objects behind it are appended to `linked` with kNoParent.
  model::Result<void> abort(CacheSession& session, model::FillId fill, std::vector<Linked>& linked);
  // Law 5: a holder ended; every fill in which it claimed a page that is not copied vanishes.
  void abort_holder(CacheSession& session, HolderTag holder, std::vector<Linked>& linked);

  // The session's last holder ended: every fill vanishes, also those that no holder claims.
  void abort_all(CacheSession& session, std::vector<Linked>& linked);

  // Drops the session's checkpoint there; false when it is pinned, a branch point or absent.
  bool supersede(CacheSession& session, const ChainView& chain, uint32_t end_units);

  const WriterCounters& counters() const { return counters_; }

 private:
  struct Position {
    model::Hash256 key;
    model::Hash256 parent_key;
    uint32_t parent_units = 0;
  };
  model::Result<Position> locate(const Root& root, const ChainView& chain,
                                 const model::BeginFillArgs& args) const;
  bool note_duplicate(CacheSession& session, const Position& position, NodeKind kind);
  Fill* find_shared(CacheSession& session, const Position& position,
                    const model::BeginFillArgs& args);
  bool parent_known(CacheSession& session, const Position& position);
  model::Result<void> claim(Fill& fill, HolderTag holder, model::GroupMask groups);
  NodeStore::Room reserve(Fill& fill, CacheSession& session, const Root& root);
  void give_back(Fill& fill);
  void abort_fill(Fill& fill, std::vector<Linked>& linked);
  FillOutcome try_link(Fill& fill, bool& superseded);
  FillOutcome finish_if_linkable(Fill& fill, std::vector<Linked>& linked);
  void link_waiting(CacheSession& session, std::vector<Linked>& linked);
  void advance_tip(CacheSession& session, model::NodeId node);
  bool supersede_previous(CacheSession& session, const Fill& fill, model::NodeId node);
  bool replaceable(const CacheSession& session, model::NodeId checkpoint) const;
  const model::PagePlan& plan_of(const Fill& fill) const;

  NodeStore* store_;
  NamespaceTable* names_;
  FillTable* fills_;
  WriterCounters counters_;
};

}  // namespace quire::cache
