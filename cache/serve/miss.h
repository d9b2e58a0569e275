// Why a match went no further: what became of the first object behind the hit, as far as the tree,
// the fills and the log of departures know it at this moment.
//
// Asked right after the match, when what it missed is still missing: an engine computes and commits
// it next. A constant number of probes; where a checkpoint is missing, kLookedForCheckpoints more.
// Pure: reads, pins nothing, counts nothing. What only other roots know (another tenant's, another
// epoch's) is not said here: a chain hash means something in its own root alone.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache/fill/cache_session.h"
#include "cache/fill/fill_table.h"
#include "cache/objects/departure_log.h"
#include "cache/objects/object_store.h"
#include "cache/tree/chain_view.h"
#include "cache/tree/namespace_table.h"
#include "model/layout.h"
#include "model/ring_frames.h"

namespace quire::cache {

enum class MissReason : uint8_t {
  kNothing = 0,  // all of the prompt that can be resumed was found
  kTooShort,  // it has no position that can be resumed: no block, or no unit where checkpoints are
  kNeverStored,   // nothing is known of it
  kLeft,          // it was there: `left` says why it went
  kDiverged,      // others went on otherwise behind the hit
  kIncomplete,    // it is being written: some groups are, others are not
  kBeingWritten,  // likewise, none is
  kNoCheckpoint,  // spans reach further than any checkpoint; `left`: one was there
  kUnreachable,   // it is there, on a tier that cannot be read now
  kNoHashes,      // the engine gave no hashes of it
  kStaleEpoch,    // the session's namespace moved to a later epoch
};

struct Miss {
  MissReason reason = MissReason::kNothing;
  // The object that was not there: a block, or of kNoCheckpoint the positions behind the hit.
  uint32_t from_units = 0;
  uint32_t to_units = 0;
  uint32_t agreed_units = 0;    // kDiverged: so far at least others agree, within that block
  model::GroupMask groups = 0;  // kIncomplete: not written
  LastDeparture left;           // at_s 0: none is known
  uint32_t left_units = 0;      // where what left had its end
  // Departures up to this second may be forgotten: what is not known may have been there before. 0:
  // none is forgotten.
  uint32_t forgotten_s = 0;
};

struct MissParts {
  const ObjectStore* store = nullptr;
  const NamespaceTable* names = nullptr;
  FillTable* fills = nullptr;
};

// Positions behind a hit at which a departed checkpoint is looked for, from the deepest one on.
inline constexpr uint32_t kLookedForCheckpoints = 16;

// Precondition: `result` is what a match of this chain said just now.
Miss find_miss(const MissParts& parts, const CacheSession& session, const ChainView& chain,
               uint32_t prompt_tokens, const model::MatchResult& result);

}  // namespace quire::cache
