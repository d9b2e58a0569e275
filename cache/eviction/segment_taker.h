// Who may take a segment of RAM from whom.
//
//   ask --below its share--> emptying (SegmentEmptier) --> retired --memory gone, made anew-->
//   grown
//        \--else: no
//
// 1. A domain below its share (RamShares) is given one segment at a time, of a domain that can use
//    more than its share; nobody is brought below it. Where there are more domains than segments,
//    who has none may have that of a domain without sessions.
// 2. Where the first donor can give none the next one is looked at, then it is refused until
//    something changes.
// 3. A segment that was taken for a domain goes to that domain (a claim), whoever asks in between;
//    only the domain that asked waits for it.
// Work goes in bounded steps. Threads: core only.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "allocator/pool.h"
#include "cache/accounts/quota_table.h"
#include "cache/eviction/ram_shares.h"
#include "cache/eviction/segment_emptier.h"
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
  SegmentTaker(ObjectStore* store, const QuotaTable* quotas);

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
  bool is_busy() const { return emptier_.is_busy(); }
  void step();
  bool has_retired() const { return !retired_.empty(); }
  // Segments taken away since the last call.
  std::vector<RetiredFrom> take_retired();

 private:
  struct Claim {
    model::DomainId asker;
    bool late = false;
  };
  struct Job {
    model::DomainId asker;
    uint64_t begun_at = 0;  // situation(): what changes while it looks may change its end
    model::DomainId donor;
    std::vector<model::DomainId> tried;  // donors that could give nothing, and the present one
  };
  struct Refusal {
    uint64_t at = 0;  // situation() when no donor could give
    uint32_t vain_jobs = 0;
  };

  uint64_t own_share(model::DomainId domain) const;
  uint64_t claims_of(model::DomainId asker, bool with_late) const;
  bool is_entitled(model::DomainId asker) const;
  bool start(model::DomainId asker);
  bool next_donor();
  void give_up_donor();
  uint64_t situation() const;
  Refusal& refusal_of(model::DomainId asker);

  ObjectStore* store_;
  const QuotaTable* quotas_;
  RamShares shares_;
  SegmentEmptier emptier_;
  Job job_;                   // valid while busy
  std::deque<Claim> claims_;  // in the order in which they are served; late ones last
  std::vector<RetiredFrom> retired_;
  uint64_t changes_ = 0;           // of who holds how many segments, and of who is in use
  std::vector<Refusal> refusals_;  // by asker
};

}  // namespace quire::cache
