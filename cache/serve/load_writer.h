// Writes a load down for its client: the pages of its spans, then those of its checkpoint, in the
// form that was asked for. The walk over a path, which is what a load costs, is here alone.
// Threads: core only.
#pragma once

#include <cstdint>

#include "cache/objects/object_store.h"
#include "cache/objects/pin.h"
#include "cache/serve/load.h"
#include "cache/serve/page_writer.h"
#include "cache/tree/namespace_table.h"

namespace quire::cache {

// Blocks [first, first + count) of a range.
struct BlockSpan {
  uint32_t first = 0;
  uint32_t count = 0;
};

class LoadWriter {
 public:
  LoadWriter(const ObjectStore* store, const NamespaceTable* names)
      : store_(store), names_(names) {}

  // Pages of the load's checkpoint that were asked for; 0 without one.
  uint32_t count_checkpoint_pages(const Load& load) const;
  // Pins the next `count` spans towards the root and writes those in RAM; the others are missing.
  // One that is quarantined is neither: the load is damaged.
  void pin_path(PendingLoad& pending, PathPins& pins, uint32_t count,
                const LoadTarget& target) const;
  // Blocks [first, first + count) of the range, which are in RAM; `last` is the span of the last.
  // Returns the span above them.
  model::NodeId write_path(const Load& load, model::NodeId last, const BlockSpan& blocks,
                           const LoadTarget& target) const;
  // Behind the spans of blocks [0, blocks), all in RAM: writes the checkpoint, if told so, and what
  // was delivered. kResourceExhausted: more runs than room, nothing is.
  model::Errc finish(const Load& load, uint32_t blocks, bool with_checkpoint,
                     const LoadTarget& target, model::LoadResult& result) const;

 private:
  ObjectPages span_pages(const Load& load) const;
  ObjectPages checkpoint_pages(const Load& load) const;
  template <typename Walk>
  void write(const Load& load, const LoadTarget& target, Walk&& walk) const;
  // Spans above `span`, at most so many, that only go on with the open runs: pinned, and told at
  // once. Returns how many there were.
  uint32_t pin_adjacent(RunWriter& runs, model::NodeId span, uint32_t most, PathPins& pins) const;
  void write_checkpoint(const Load& load, size_t index, const LoadTarget& target) const;

  const ObjectStore* store_;
  const NamespaceTable* names_;
};

}  // namespace quire::cache
