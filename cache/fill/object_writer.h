// Fills: from reserved slots to a visible object (DESIGN section 3 "Commit").
//
//   begin   reserves slots, or says `duplicate`; without memory the fill waits (kPending)
//   go_on   when it was woken: reserves the slots that are missing, or says what became of it
//   take    names the pages of one holder's part, to be copied off this thread
//   copied  after the copy: records checksums; the last part makes the object visible
//   abort   gives the slots back, after copies in flight have ended
//
// An object whose parent span is itself still being written waits for it (FillOutcome::kWaiting).
// When that fill ends, settle_waiting() links or drops what waited, a bounded number a call and one
// of each session in turn: a chain of thousands that was committed in the worst order delays
// nobody. Threads: core only. No allocation per request.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "cache/eviction/eviction_board.h"
#include "cache/fill/cache_session.h"
#include "cache/fill/checkpoint_offers.h"
#include "cache/fill/fill_memory.h"
#include "cache/fill/fill_table.h"
#include "cache/fill/object_linker.h"
#include "cache/objects/object_store.h"
#include "cache/tree/chain_view.h"
#include "model/metrics.h"
#include "model/ring_frames.h"

namespace quire::cache {

struct WriterCounters {
  model::Counter aborted{"aborted_fills", "Fills that ended without a commit"};
  model::Counter unwanted{"unwanted_offers",
                          "Checkpoints that engines offered near behind another one"};
};

struct BeginOutcome {
  // kWritten: the groups asked for are, by another process of the session; others are missing yet.
  // kPending: it waits for memory, in state kReserving, until go_on() or leave() ends that.
  // kUnwanted: a checkpoint that was offered, and is not needed.
  enum class Kind : uint8_t { kGranted, kDuplicate, kWritten, kPending, kUnwanted } kind;
  model::FillId fill;  // kGranted, kPending
};

// One page to be copied: from the holder's staging offset to a slot.
struct PageCopy {
  uint8_t page_index = 0;  // in the fill
  uint64_t staging_offset = 0;
  uint64_t bytes = 0;
  std::byte* target = nullptr;
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
  struct Parts {
    ObjectStore* store = nullptr;
    EvictionBoard* board = nullptr;
    RamRoom* room = nullptr;
    NamespaceTable* names = nullptr;
    FillTable* fills = nullptr;
    MemoryWaiters* waiters = nullptr;
  };
  explicit ObjectWriter(const Parts& parts)
      : store_(parts.store),
        names_(parts.names),
        fills_(parts.fills),
        offers_(parts.store, parts.names),
        linker_({parts.store, parts.board, parts.names, parts.fills}),
        memory_({parts.store, parts.room, parts.names, parts.fills, parts.waiters}) {}

  // An object that another process of the session began is shared: each claims groups of its own.
  // Ranks that hold equal bytes all ask for the same groups: one is granted them, the others are
  // told kBusy while it writes and kWritten or kDuplicate afterwards; when it ends without having
  // written them, the next one that asks is granted them. args.unless_begun asks the same of the
  // root's other sessions.
  // kInvalidArgument: position not legal for the kind, hashes missing, unknown groups. kNoParent:
  // the span before it is neither present nor being filled at the position before it.
  // kResourceExhausted: no memory even by evicting; nothing is evicted for what is larger than the
  // domain can ever have. kBusy: too many fills, or another process or fill writes a group of it.
  // kStaleHandle. Who finds that others of its domain wait for memory waits behind them.
  model::Result<BeginOutcome> begin(CacheSession& session, HolderTag holder, const ChainView& chain,
                                    const model::BeginFillArgs& args);

  // A fill that may go on now; none: nothing happened for those that wait.
  std::optional<model::FillId> next_woken() { return memory_.next_woken(); }
  // Of a woken fill. As begin(); kNoParent also when the parent went meanwhile. But for kPending
  // the fill waits no more, and but for kGranted it ended.
  model::Result<BeginOutcome> go_on(model::FillId fill);
  // The holder does not wait for it any more. True: nobody does, and it ended.
  bool leave(model::FillId fill, HolderTag holder);

  // Pages of `groups` (0 = all that the holder claimed) into `copies`, which has room for
  // kMaxPagesPerObject; they count as in flight until copied(). `staging_bytes` bounds the offsets.
  // kNotFound, kInvalidArgument (offset, or pages not claimed by this holder or committed before).
  model::Result<size_t> take(CacheSession& session, HolderTag holder, const model::CommitArgs& args,
                             uint64_t staging_bytes, std::span<PageCopy> copies);

  // One call for each successful take(), with the same pages. What became of the object.
  Linked copied(model::FillId fill, std::span<const uint8_t> page_indexes,
                std::span<const uint32_t> checksums);
  // The same when the holder ended while the bytes were read: it may have written others over them,
  // and the fill vanishes as end_holder() would have it.
  Linked copied_in_vain(model::FillId fill);
  // Ends up to `budget` of those whose wait is over: appends one entry to `linked` for each.
  // Returns how many it looked at; has_settling() while some are left.
  uint32_t settle_waiting(uint32_t budget, std::vector<Linked>& linked);
  bool has_settling() const { return first_settling_ != nullptr; }

  // kNotFound. What waits for it is dropped with kNoParent by settle_waiting().
  model::Result<void> abort(CacheSession& session, model::FillId fill);
  // The wait of a fill that copied() left waiting is over. Another session may have brought the
  // parent while this session's own fill of it is open: then the object is linked, else dropped as
  // abort does (kWaiting, kNoParent).
  Linked end_waiting(model::FillId fill);
  // Law 5: a holder ended. Every fill in which it claimed a page that is not copied vanishes; what
  // it copied of others may be written again by who claims it. `last_one`: the session's last
  // holder ended, and every fill vanishes; those that waited are appended to `linked`. In steps:
  // looks at records from `cursor` (at first 0) on, one for each unit of `budget` that it takes.
  // True when it has looked at all of them.
  bool end_holder(CacheSession& session, HolderTag holder, bool last_one, uint32_t& cursor,
                  uint32_t& budget, std::vector<Linked>& linked);

  TurnEnds& turn_ends() { return linker_.turn_ends(); }
  const LinkerCounters& link_counters() const { return linker_.counters(); }
  const WriterCounters& counters() const { return counters_; }

 private:
  struct Position {
    FillPlace place;
    ParentSpan parent;
  };
  model::Result<Position> locate(const Root& root, const ChainView& chain,
                                 const model::BeginFillArgs& args) const;
  model::Result<BeginOutcome> share(Fill& fill, HolderTag holder, model::GroupMask groups);
  model::Result<BeginOutcome> reserve(Fill& fill);
  void give_back(Fill& fill);
  Linked settle(Fill& fill);
  void end(Fill& fill);
  void note_incomplete(const Fill& fill);
  void free_if_done(Fill& fill);
  void add_settling(CacheSession& session);
  const model::PagePlan& plan_of(const Fill& fill) const;

  ObjectStore* store_;
  NamespaceTable* names_;
  FillTable* fills_;
  CheckpointOffers offers_;
  ObjectLinker linker_;
  FillMemory memory_;
  CacheSession* first_settling_ = nullptr;  // queue of sessions, through next_settling
  CacheSession* last_settling_ = nullptr;
  WriterCounters counters_;
};

}  // namespace quire::cache
