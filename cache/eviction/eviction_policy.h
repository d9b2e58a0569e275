// Policies choose, mechanisms act. A policy sees the nodes that may be evicted now (leaves without
// pins: spans without children, checkpoints) and names the next victim. Order within a path is
// deepest first by construction: a span becomes a candidate only when nothing depends on it.
//
// Calls come from the core thread. Implementations allocate nothing per call.
#pragma once

#include <cstdint>
#include <optional>

#include "model/ids.h"

namespace quire::cache {

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  // A node was created or used: matched, loaded, advised.
  virtual void on_use(model::NodeId node) = 0;
  // Its last child went away; the child's use was also a use of this node.
  virtual void on_child_removed(model::NodeId node, model::NodeId child) = 0;
  // Became evictable. May be called again after the policy gave it up as a victim.
  virtual void on_evictable(model::NodeId node) = 0;
  // Not needed again: first to go.
  virtual void on_done_with(model::NodeId node) = 0;
  // The id is free: forget everything about it.
  virtual void on_removed(model::NodeId node) = 0;
  // Next victim, removed from the candidates; nullopt when there is none. The caller checks whether
  // it is still evictable (pins come and go without a call) and skips it if not; it is offered
  // again through on_evictable.
  virtual std::optional<model::NodeId> take_victim() = 0;
  virtual uint64_t resident_bytes() const = 0;
};

}  // namespace quire::cache
