// What must add up, whatever was asked (laws 5, 10 and 12): memory by the pool and by who has it,
// slots and pins that are held for nobody, and refusals while something could have been evicted.
//
// After any turn:        nothing is refused for want of memory while room could be made for it
// when nothing moves:    pages in use = pages of objects + what fills reserved, by domain
// no fills:              nothing is reserved;  no leases: nothing is pinned but sessions' tips
// nobody left:           no lease, fill, session or pin;  all evicted: no slot is in use
//
// Looks through the Inspector, changes nothing but at the end. Lifetime: the run.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cache/accounts/owner.h"
#include "model/ids.h"
#include "tests/sim/sim_stage.h"

namespace quire::tests {

class SimSums {
 public:
  explicit SimSums(const SimStage* stage) : stage_(stage) {}

  // Before a turn of the core.
  void begin_turn();
  // A fill or load of this tenant was refused for want of memory in the turn that ended.
  void judge_refusal(model::TenantId tenant) const;
  // Every some turns.
  void judge_memory() const;
  // Law 10.
  void judge_bounds() const;
  // No client is left, and all that they held had the time to go.
  void judge_nobody_left() const;
  // After that: everything may be evicted, and all memory is free then.
  void judge_empty() const;

 private:
  bool is_moving() const;
  void judge_domain(model::DomainId domain) const;
  void judge_reserved() const;
  void judge_pins() const;
  void fail(const std::string& what) const;
  // Something of the domain is reserved, or was lately.
  bool was_promised(model::DomainId domain) const;

  const SimStage* stage_;
  uint64_t offers_ = 0;  // that the cache had counted before the turn
  uint64_t turn_ = 0;
  std::map<uint16_t, uint64_t> reserved_at_;  // by domain: the last turn that began with something
  // Who could not give to others before the turn, since it was within its guarantee.
  std::vector<cache::Owner> within_guarantee_;
};

}  // namespace quire::tests
