// Who wants to hear which objects are on which tier, as it changes (server/events). At most one;
// null: nobody, which costs a branch.
//
// What is told adds up: of an object that can be found, `stored` and `removed` of a tier alternate,
// and after the last of them it is there or it is not. An object that is quarantined is removed
// from where it is at once, and nothing more is told of it. Objects of a root that ended cannot be
// found, though copies of theirs come and go.
//
// Threads: core only. It only looks: whoever tells is in the middle of a change.
#pragma once

#include "model/ids.h"

namespace quire::cache {

class PresenceListener {
 public:
  virtual ~PresenceListener() = default;
  // A copy is on this tier now. The node's place, key and root can be read.
  virtual void stored(model::NodeId node, model::TierId tier) = 0;
  // It is not there any more, or can never be found there again. The node can still be read.
  virtual void removed(model::NodeId node, model::TierId tier) = 0;
  // No object of the root can be found again. Told once more when nothing of it is left, and its
  // number may be another root's from then on.
  virtual void ended(model::RootId root) = 0;
};

}  // namespace quire::cache
