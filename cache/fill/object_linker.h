// Where an object that is complete becomes visible: the node in the tree, with the fill's slots as
// its pages; or why not. Also what the tree knows of an object before it is written.
// Threads: core only. No allocation per request.
#pragma once

#include <cstdint>

#include "cache/eviction/eviction_board.h"
#include "cache/fill/cache_session.h"
#include "cache/fill/fill_table.h"
#include "cache/fill/turn_ends.h"
#include "cache/objects/object_store.h"
#include "cache/tree/namespace_table.h"
#include "model/metrics.h"

namespace quire::cache {

// What became of an object after a part of it was copied.
enum class FillOutcome : uint8_t {
  kPartial,  // other holders' groups are missing
  kWaiting,  // complete, but its parent span is still being written: settle_waiting() ends it
  kVisible,
  kDuplicate,  // another session's came first
  kNoParent,   // the parent span is not there any more
  kAborted,
  kNoNode,  // the node table is full
};

struct LinkerCounters {
  model::Counter committed_spans{"committed_spans", "Spans that became visible"};
  model::Counter committed_checkpoints{"committed_checkpoints", "Checkpoints that became visible"};
  model::Counter committed_bytes{"committed_bytes",
                                 "Page bytes of what became visible, true size",
                                 {model::MetricFamily::kStoredBytes, R"(tier="ram")"}};
  model::Counter duplicates{"duplicates", "Fills refused because the object was there already"};
};

class ObjectLinker {
 public:
  struct Parts {
    ObjectStore* store = nullptr;
    EvictionBoard* board = nullptr;
    NamespaceTable* names = nullptr;
    FillTable* fills = nullptr;
  };
  explicit ObjectLinker(const Parts& parts)
      : store_(parts.store),
        board_(parts.board),
        names_(parts.names),
        fills_(parts.fills),
        turn_ends_(parts.store, parts.names) {}

  // The object is there and can be delivered: nobody need write it. It counts as used, and a span
  // is the session's tip if it is deeper.
  bool note_duplicate(CacheSession& session, const model::Hash256& key, NodeKind kind);
  // Of groups that another process of the session has written.
  void count_duplicate() { ++counters_.duplicates; }
  // The span before an object is present, or is being filled at that position.
  bool parent_known(const CacheSession& session, const ParentSpan& parent) const;
  // Of a fill whose pages are all copied. kVisible: its slots are the node's. kWaiting: it was put
  // behind the fill of its parent. `superseded`: an earlier checkpoint of the conversation went.
  FillOutcome link(Fill& fill, bool& superseded);

  TurnEnds& turn_ends() { return turn_ends_; }
  const LinkerCounters& counters() const { return counters_; }

 private:
  Fill* fill_of_parent(const CacheSession& session, const ParentSpan& parent) const;
  FillOutcome serve_from_ram(Fill& fill, model::NodeId present);
  void count_committed(const Fill& fill);
  void advance_tip(CacheSession& session, model::NodeId node);

  ObjectStore* store_;
  EvictionBoard* board_;
  NamespaceTable* names_;
  FillTable* fills_;
  TurnEnds turn_ends_;
  LinkerCounters counters_;
};

}  // namespace quire::cache
