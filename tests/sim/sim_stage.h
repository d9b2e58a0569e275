// What everybody in a simulated run shares. The core is that of the present life; the rest lives as
// long as the run.
#pragma once

#include <cstdint>

namespace quire::tests {

class ManualClock;
class SimCore;
class SimJudge;
class SimRandom;
class SimSums;
class SimTurns;
struct SimWorld;

struct SimStage {
  SimRandom* random = nullptr;
  ManualClock* clock = nullptr;
  SimJudge* judge = nullptr;
  SimSums* sums = nullptr;
  SimTurns* turns = nullptr;
  const SimWorld* world = nullptr;
  SimCore* core = nullptr;
  uint32_t next_version = 1;  // of fills
};

}  // namespace quire::tests
