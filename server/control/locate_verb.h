// How much of a chain is here, asked without a session; and, where who asks waits for it, how much
// of it the cluster has.
//
//   locate --at once--> reply
//      \--the cluster is asked--> waiting --answered, or its time is up--> reply, of what is here
//      then
//
// Without a wait it answers from what is known: a router asks every host, and each would search the
// cluster that all share for the same. What the cluster says joins nothing, and is asked for only
// beyond what is known to be there.
// A client asks of its own domain, a reader of every one. Who asks for a root that is another
// domain's, or a tenant's that it may not speak for, is told what it would be told if there were
// none (law 13). Threads: core only. Bound: ChainLooks::kMaxLooks wait, each with its chain.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cache/cache.h"
#include "model/clock.h"
#include "model/result.h"
#include "server/control/verb_call.h"
#include "tiering/tier_set.h"

namespace quire::server {

class LocateVerb {
 public:
  struct Parts {
    cache::Cache* cache = nullptr;
    tiering::TierSet* tiers = nullptr;  // null: none
    const model::Clock* clock = nullptr;
    // Whether this uid may speak for that tenant of its domain.
    std::function<bool(uint32_t uid, const std::string& tenant)> speaks_for;
  };
  explicit LocateVerb(Parts parts) : parts_(std::move(parts)) {}

  // LocateRequest and chain hashes; LocateReply. kInvalidArgument: not as many hashes as it says,
  // or too long a wait. kBusy: as many wait for the cluster as may.
  model::Result<void> locate(const VerbCall& call);
  // Answers those whose time has come.
  void step();
  bool waits() const { return !waiting_.empty(); }
  void forget(const Connection& connection);

 private:
  struct Waiting {
    uint64_t tag = 0;
    Connection* connection = nullptr;
    uint32_t sequence = 0;
    model::Hash256 root;  // found again by it, as roots go
    std::vector<model::Hash256> chain;
    int64_t until_ns = 0;
  };

  bool may_ask(const VerbCall& call, const cache::Root& root) const;
  // Of what is here. kStaleHandle: the namespace moved to a later epoch.
  model::Result<model::LocateReply> here(model::RootId root,
                                         const std::vector<model::Hash256>& chain) const;
  void add(model::LocateReply& reply, const cache::Root& root,
           const tiering::ChainLooks::Answer& found) const;
  void answer(const Waiting& waiting, const tiering::ChainLooks::Answer* found);

  Parts parts_;
  std::vector<Waiting> waiting_;
  uint64_t last_tag_ = 0;
};

}  // namespace quire::server
