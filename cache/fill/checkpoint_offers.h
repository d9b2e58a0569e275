// Checkpoints that an engine offers where its states happen to stand, at the ends of its chunks:
// whether one is near enough before it to do without.
//
//   .... checkpoint ...... offer ..........     apart: the offer is kept from `apart` units on
//             |<-- units -->|
//
// Asked before anything is written, so an offer that is not wanted costs a round trip and no bytes.
// Pure: reads the tree, pins nothing. Bound: kSpansLookedAt spans and CheckpointSearch::kMaxSteps.
#pragma once

#include <cstdint>

#include "cache/fill/cache_session.h"
#include "cache/objects/object_store.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"

namespace quire::cache {

class CheckpointOffers {
 public:
  CheckpointOffers(ObjectStore* store, NamespaceTable* names) : store_(store), names_(names) {}

  // By session.offer_units. Precondition: the chain reaches to end_units, which is a legal place
  // for a checkpoint of the session's layout.
  bool is_wanted(const CacheSession& session, const ChainView& chain, uint32_t end_units) const;

 private:
  bool has_one_behind(const CacheSession& session, const ChainView& chain, uint32_t above_units,
                      uint32_t end_units) const;

  ObjectStore* store_;
  NamespaceTable* names_;
};

}  // namespace quire::cache
