// One client alone, after everybody left: it writes more than RAM holds, one object after the
// other, and nothing is in its way but what others left and nobody needs.
//
// 1. Nothing is refused, nothing is late: what lies there makes room.
// 2. With the policy lru and no tier below, the objects that were used last are all there while
//    they fit in half of the domain's memory, and one that is used again and again is always there.
// The policy is set to lru first: so a switch is under it in most runs. Lifetime: one call.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "model/hash256.h"
#include "model/ring_frames.h"
#include "tests/sim/sim_core.h"
#include "tests/sim/sim_ring.h"
#include "tests/sim/sim_stage.h"

namespace quire::tests {

class SimPressure {
 public:
  // `root`: of the stage's world; its domain is who comes.
  SimPressure(SimStage* stage, uint32_t root);
  ~SimPressure();
  SimPressure(const SimPressure&) = delete;
  SimPressure& operator=(const SimPressure&) = delete;

  void run();

 private:
  const model::Layout& layout() const;
  // Spans of one block, each a context of its own: none is another's parent, so any may go.
  SimChain chain_of(uint64_t object) const;
  void use_lru();
  bool write(uint64_t object);
  void write_staging(uint64_t object);
  bool is_there(uint64_t object);
  uint64_t half_of_memory() const;
  std::optional<model::Completion> ask(model::Verb verb, model::Submission submission);
  void turn();

  SimStage* stage_;
  uint32_t root_;
  model::DomainId domain_;
  std::unique_ptr<SimProcess> process_;
  server::Attachment* attachment_;
  std::optional<SimRing> ring_;
  uint64_t span_bytes_ = 0;  // of one object
};

}  // namespace quire::tests
