// What of a prompt a tier holds that other daemons write to as well: asked, not known (DESIGN
// section 12.5). The tier answers with what its bytes prove: an object is named here only after its
// identity was read and is that of the chain.
//
// Owed by the tier: a question that was taken ends in one event kFound, however the device fares;
// spans that are found follow each other without a gap from the first one asked for on. What is
// found is a hint and no promise: it may be gone when it is read. Threads: core only.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/tree/chain_view.h"
#include "cache/tree/node.h"
#include "model/hash256.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::tiering {

inline constexpr uint32_t kMaxChainQuestions = 64;  // under way at once, of a tier

struct ChainQuestion {
  uint32_t job = 0;
  model::RootId root;        // whose hash, and whose layout, objects are named by
  uint32_t known_units = 0;  // whole blocks: spans up to here need not be asked for
  cache::ChainView chain;    // of the prompt, lent for the call: what is needed of it is copied
};

struct FoundObject {
  cache::NodeKind kind = cache::NodeKind::kSpan;
  model::Hash256 key;  // of the chain
  uint32_t units = 0;
};

struct FoundChain {
  std::vector<FoundObject> objects;  // spans by depth, then checkpoints by depth
  uint32_t round_trips = 0;          // one after the other, that it took
  bool cut_short = false;            // an operation failed: there may be more
};

class ChainSearch {
 public:
  virtual ~ChainSearch() = default;
  // kResourceExhausted: too many are under way. kIoError: the tier cannot be asked now.
  virtual model::Result<void> ask(const ChainQuestion& question) = 0;
  // Precondition: its event has come; once. Empty where nothing was found, or asking failed.
  virtual FoundChain take_found(uint32_t job) = 0;
};

}  // namespace quire::tiering
