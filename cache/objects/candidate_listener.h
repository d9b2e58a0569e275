// What ObjectStore tells of its objects to whoever orders them for eviction. The store knows no
// policy: it says what came to a tier, what may leave it, and what went.
#pragma once

#include <cstdint>

#include "model/ids.h"

namespace quire::cache {

// Evicted: to make room, so it may come back soon. Dropped: superseded, stale, or not to be
// trusted.
enum class Why : uint8_t { kEvicted, kDropped };

class CandidateListener {
 public:
  virtual ~CandidateListener() = default;
  // A copy is on this tier now, written or brought there.
  virtual void added(model::NodeId node, model::TierId tier) = 0;
  // As added(), but at start: nobody has used it yet.
  virtual void restored(model::NodeId node, model::TierId tier) = 0;
  // May leave this tier. Told again when it may after it could not; it is not told when it may not
  // any more: whoever chooses it asks.
  virtual void offered(model::NodeId node, model::TierId tier) = 0;
  // The copy goes; the node's fields can still be read. A use of it was a use of `heir` too, its
  // parent span; none when that is a root.
  virtual void left(model::NodeId node, model::TierId tier, Why why, model::NodeId heir) = 0;
};

}  // namespace quire::cache
