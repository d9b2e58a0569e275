// Shares of RAM between domains: who may take a segment from whom, and how it is emptied.
//
//   ask --below its share--> weighing --> emptying --> retired --memory gone, made anew--> grown
//        \--else: no
//
// 1. A domain's share is what its owners are guaranteed (QuotaTable), and an equal part of the
// other
//    segments that are held, in whole segments; domains that hold or ask have one. What was taken
//    from a domain counts as held by it until its memory is really gone: a client that does not
//    unmap costs its own domain.
// 2. A domain below its share is given one segment at a time, of a domain that can use more than
//    its share; nobody is brought below it. Where there are more domains than segments, who has
//    none may have that of a domain without sessions.
// 3. Of a donor's emptiest segments the one goes that costs the fewest objects, and only what lies
//    in it, and depends on that, is evicted; nothing is when something in it is pinned.
// 4. A segment that was taken for a domain goes to that domain (a claim), whoever asks in between;
//    only the domain that asked waits for it.
// Work goes in bounded steps. Threads: core only.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_set>
#include <vector>

#include "allocator/pool.h"
#include "cache/accounts/quota_table.h"
#include "model/ids.h"

namespace quire::cache {

class ObjectStore;

// The server tells the donor's clients to unmap it, then gives it back to the pool.
struct RetiredFrom {
  model::DomainId donor;
  model::DomainId asker;
  allocator::Pool::Retired retired;
};

class SegmentTaker {
 public:
  SegmentTaker(ObjectStore* store, const QuotaTable* quotas) : store_(store), quotas_(quotas) {}

  // For a domain that has nothing of its own left to evict. True: a segment is on its way to it.
  bool ask(model::DomainId asker);
  // It asked, and nobody's client has to be waited for beyond a bounded time.
  bool is_coming(model::DomainId asker) const;
  // Clients have not unmapped what was taken for this domain for so long that it may have another
  // one, of somebody else.
  void note_late(model::DomainId asker);
  // Segments that came go to those they were taken for.
  void settle();
  // A segment came to this domain past settle(): what was taken for it is served.
  void note_grown(model::DomainId domain);
  // Whether what comes next is spoken for by others.
  bool is_spoken_for(model::DomainId domain) const;
  // A session of the domain was opened, or closed.
  void note_session(model::DomainId domain, bool opened);
  // What the domain can come to hold by evicting its own and by its share.
  uint64_t reach_bytes(model::DomainId domain) const;
  // Of that, what nobody takes from it while no other domain comes.
  uint64_t share_bytes(model::DomainId domain) const;

  // A segment is being weighed or emptied. step() is called once a turn then.
  bool is_busy() const { return job_.phase != Phase::kNone; }
  void step();
  bool has_retired() const { return !retired_.empty(); }
  // Segments taken away since the last call.
  std::vector<RetiredFrom> take_retired();

 private:
  enum class Phase : uint8_t { kNone, kWeighing, kEmptying };
  struct Claim {
    model::DomainId asker;
    bool late = false;
  };
  struct Shares {
    uint64_t equal = 0;    // segments of each, beside what it is guaranteed
    uint64_t unheld = 0;   // segments of the budget that no domain holds
    uint32_t domains = 1;  // that hold or ask
  };
  struct Job {
    Phase phase = Phase::kNone;
    model::DomainId asker;
    uint64_t begun_at = 0;  // situation(): what changes while it looks may change its end
    model::DomainId donor;
    std::vector<model::DomainId> tried;        // donors that could give nothing
    std::vector<model::SegmentId> candidates;  // emptiest last
    model::SegmentId segment;                  // weighed or emptied now
    std::vector<model::NodeId> nodes;          // with pages in it
    size_t next_node = 0;
    std::vector<model::NodeId> open;    // weighing: to be looked at; emptying: a path
    std::unordered_set<uint32_t> seen;  // weighing: would go
    model::SegmentId best;
    size_t best_cost = 0;
  };

  struct Refusal {
    uint64_t at = 0;  // situation() when no donor could give
    uint32_t vain_jobs = 0;
  };

  Shares shares_with(model::DomainId asker) const;
  uint64_t fair_share(model::DomainId domain, const Shares& shares) const;
  uint64_t guaranteed(model::DomainId domain) const;
  // Segments that nobody takes from the domain.
  uint64_t share_of(model::DomainId domain, const Shares& shares) const;
  // Segments that count as the domain's, those taken away and not gone included.
  uint64_t held(model::DomainId domain) const;
  // Segments that it can put pages into.
  uint64_t usable(model::DomainId domain) const;
  bool can_spare(model::DomainId domain, const Shares& shares) const;
  uint64_t claims_of(model::DomainId asker, bool with_late) const;
  bool is_entitled(model::DomainId asker) const;
  bool start(model::DomainId asker);
  bool next_donor();
  bool next_candidate();
  bool gather();
  void weigh();
  bool weigh_node(model::NodeId node);
  void finish_weighing();
  void empty();
  bool empty_node(model::NodeId node, uint32_t& budget);
  bool stays_below(model::NodeId node) const;
  bool may_go(model::NodeId node) const;
  bool lies_here(model::NodeId node) const;
  void finish_emptying();
  void give_up_donor();
  uint64_t situation() const;
  Refusal& refusal_of(model::DomainId asker);

  ObjectStore* store_;
  const QuotaTable* quotas_;
  Job job_;
  std::deque<Claim> claims_;  // in the order in which they are served; late ones last
  std::vector<RetiredFrom> retired_;
  std::vector<uint32_t> sessions_;  // by domain: how many are open
  uint64_t changes_ = 0;            // of who holds how many segments, and of who is in use
  std::vector<Refusal> refusals_;   // by asker
};

}  // namespace quire::cache
