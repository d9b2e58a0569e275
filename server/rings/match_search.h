// A match whose prompt is not wholly known here asks a tier that can be searched, and waits for the
// answer no longer than a budget. What is found joins the tree (tiering/searches.h); the match is
// answered from there, with what is known by then.
//
//   wanted() --record kSearch--> begin() --answered, or the budget is spent--> its attachment's
//   turn
//
// Only where enough tokens are unknown to be worth the wait. Threads: core only. No state: who
// waits stands in PendingTable, what is asked in Searches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "cache/cache.h"
#include "model/clock.h"
#include "server/rings/requests.h"
#include "server/rings/session.h"
#include "tiering/tier_set.h"

namespace quire::server {

struct SearchOptions {
  uint32_t budget_ms = 20;     // that a match waits at most; 0: none ever asks
  uint32_t min_tokens = 1024;  // unknown, in whole blocks; fewer are not asked for
};

class MatchSearch {
 public:
  struct Parts {
    cache::Cache* cache;
    tiering::TierSet* tiers;  // null: nobody can be asked
    Requests* requests;
    const model::Clock* clock;
    SearchOptions options;
  };
  explicit MatchSearch(const Parts& parts) : parts_(parts) {}

  // What this match is to wait for, which has not waited yet; nullopt: it is answered at once.
  // `id`: of one that was behind another.
  std::optional<Wait> wanted(Attachment& attachment, const model::Submission& submission,
                             PendingId id) const;
  // It waits, as this record. Where it cannot be asked it goes on at once.
  void begin(PendingId id);
  // The budget is spent, or the request's deadline came: it goes on with what is known. So do those
  // that it is behind, and none of them asks.
  void expire(PendingId id);
  // Its attachment ended.
  void end(PendingId id);
  // Those whose questions are answered go on. Returns how many.
  size_t step();

 private:
  struct Range {
    uint32_t known_units = 0;  // whole blocks
    uint32_t all_units = 0;    // of the prompt, with a hash
  };
  Range range_of(Attachment& attachment, const model::MatchArgs& args) const;

  Parts parts_;
};

}  // namespace quire::server
