// A whole core with its clients, its disk and its crashes, driven by one seed and judged by a plain
// map (sim_judge.h).
//
//   seed --> SimRandom --> what each client asks, stalls or dies; how long copies and the disk
//                          take; when the daemon crashes --> SimCore::turn() --> SimJudge
//
// Two runs of one seed do the same. Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/sim_core.h"
#include "tests/sim/sim_judge.h"
#include "tests/sim/sim_pressure.h"
#include "tests/sim/sim_session.h"
#include "tests/sim/sim_sums.h"
#include "tests/sim/sim_turns.h"
#include "tests/ssd/scratch_directory.h"

namespace quire::tests {

class Simulation {
 public:
  explicit Simulation(uint64_t seed);
  ~Simulation();

  // One random event: a turn of the core, something that a client does, a death, a crash. False
  // when a check failed; failure() says which.
  bool step();
  const std::string& failure() const { return judge_.failure(); }
  // Every client dies; then all that they held must be accounted for. False likewise.
  bool finish();
  SimCoverage coverage();
  // For a test that harms the core, to see the judge notice.
  SimCore& core() { return *core_; }
  bool is_strict() const { return judge_.is_strict(); }
  // Differs for runs that differ anywhere: of all that was delivered and how long it took.
  uint64_t fingerprint() const { return fingerprint_; }

 private:
  // A process of an engine.
  struct Client {
    uint32_t domain = 0;
    std::unique_ptr<SimProcess> process;
    std::vector<std::unique_ptr<SimSession>> sessions;
    std::vector<SimCore::Asked> queued;  // sessions that wait for what they reserve
    uint64_t stalled_until = 0;          // turn: it does nothing until then
  };

  void turn();
  void judge_events();
  void look();
  void look_for_starving();
  void judge_nobody_left();
  void clients_act();
  void act(Client& client);
  void take(Client& client);
  void misbehave(Client& client);
  void map_and_unmap(Client& client);
  void connect();
  void open_session(Client& client);
  void ask(Client& client, const SimCore::Asked& asked);
  void ask_again(Client& client);
  void join_session(Client& client);
  void close_session(Client& client);
  void drop_closed(Client& client);
  void kill(size_t index);
  void change_rules();
  void change_pins();
  void meddle_with_memory_tier();
  void meddle_with_cluster();
  void mend_cluster();
  void press();
  void wait_for_rest();
  void begin_life();
  void end_life(bool cleanly);
  bool is_over_promised() const;
  std::string what_is_left();

  SimRandom random_;
  // Of what came to be drawn later: the seeds that failed once are still the runs that they were.
  SimRandom late_;
  SimRandom pins_;
  SimRandom reserves_;  // likewise: what sessions reserve
  SimRandom clusters_;  // likewise: of a cluster
  bool may_reserve_;    // in half of the runs, and in none that failed before
  SimWorld world_;
  SimConfig config_;
  ManualClock clock_;
  SimDisk disk_;
  std::unique_ptr<rocksdb::Env> manifest_env_;
  ScratchDirectory directory_;
  SimJudge judge_;
  SimStage stage_;
  SimSums sums_{&stage_};
  SimTurns turns_{&stage_};
  std::unique_ptr<SimCore> core_;
  std::unique_ptr<MemoryTier::Contents> cluster_contents_;  // between two lives
  std::vector<Client> clients_;                             // after core_: they go first
  uint64_t fingerprint_ = 0;
};

}  // namespace quire::tests
