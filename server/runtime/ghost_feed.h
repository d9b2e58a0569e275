// Tells ghosts (cache/ghosts) what the daemon's clients ask for and write, and what they say.
//
//   core: matched, wrote --step(): keys--> queue of words --helper thread--> Ghosts of each tier
//   core: report() <---------------------- Guarded by a lock: made anew once a second
//
// The core only copies keys, after the requests of a turn were answered; what ghosts cost is the
// helper's, and it sleeps between looks, so that nobody has to wake it. What finds no room in the
// queue is not told (dropped()): ghosts see fewer prompts then, and no request waits.
//
// The SSD's ghosts are of RAM and SSD as one place, for what is on the SSD may be in RAM as well;
// RAM's are of RAM alone. A hit is what spans reach: checkpoints and pins are not known to them.
// What checkpoints bring is CheckpointGhosts' to say, of all tiers together.
// Threads: core, but for run_once(), which is the helper's. Bounds: kQueueWords, kMaxWaiting.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "cache/eviction/scope_rules.h"
#include "cache/ghosts/auto_policy.h"
#include "cache/ghosts/checkpoint_ghosts.h"
#include "cache/ghosts/ghosts.h"
#include "cache/tree/chain_view.h"
#include "model/clock.h"
#include "model/helper_thread.h"
#include "model/result.h"
#include "tiering/io/spsc_queue.h"

namespace quire::server {

inline constexpr std::array<cache::HitWindow, 3> kGhostWindows{
    cache::HitWindow::kQuarter, cache::HitWindow::kHour, cache::HitWindow::kDay};
inline constexpr std::array<std::string_view, kGhostWindows.size()> kWindowNames{"15m", "1h",
                                                                                 "24h"};
// What is said where there are none.
inline constexpr std::string_view kNoGhosts =
    "there are no ghosts to ask; start with --ghost_memory";

struct GhostFeedOptions {
  uint64_t memory_bytes = 64ull << 20;
  uint64_t ram_bytes = 0;
  uint64_t ssd_bytes = 0;               // 0: none
  const model::Clock* clock = nullptr;  // outlives the feed
};

// What the ghosts of one tier said last.
struct GhostReport {
  struct Window {
    cache::WindowTotals totals;
    std::vector<cache::GhostRow> rows;
  };
  std::array<Window, kGhostWindows.size()> windows;
  double near_rate = 1;
  double far_rate = 1;
  uint64_t held_bytes = 0;
  std::string_view best = cache::AutoPolicy::kFirst;  // AutoPolicy's choice
};

// What checkpoint policies would have cost and brought, by window.
struct CheckpointReport {
  struct Window {
    cache::CheckpointTotals totals;
    int64_t covered_us = 0;  // of the window; what is over since the start, at most
  };
  std::array<Window, kGhostWindows.size()> windows;
};

// A prompt, and what of it was found.
struct GhostMatch {
  const void* owner = nullptr;  // of the hashes: none is read after forget() of it
  cache::ChainView chain{nullptr, 0};
  uint32_t units_per_block = 1;
  cache::BlockShape shape;
  uint32_t prompt_tokens = 0;
  uint32_t ram_blocks = 0;
  uint32_t all_blocks = 0;  // in RAM or on the SSD
  cache::CheckpointFacts checkpoints;
};

class GhostFeed {
 public:
  static constexpr uint32_t kQueueWords = 1 << 17;
  static constexpr uint32_t kMaxWaiting = 256;
  // Of one prompt; what is behind them is not told.
  static constexpr uint32_t kMostKeys = 8192;
  static constexpr uint32_t kMostUnits =
      2 * kMostKeys;  // likewise, of what checkpoints are told by

  // Errors of Ghosts::create, HelperThread::start. Without a thread, whoever made it calls
  // run_once().
  static model::Result<std::unique_ptr<GhostFeed>> create(const GhostFeedOptions& options,
                                                          bool with_thread);

  void matched(const GhostMatch& match, int64_t now_ns);
  void wrote(const cache::GhostCommit& commit);
  void wrote_checkpoint(uint64_t bytes, int64_t now_ns);
  void forget(const void* owner);
  // Copies the keys of one prompt. True when there was one.
  bool step();
  bool has_work() const { return !waiting_.empty(); }

  // nullptr-like (no rows): no such tier, or nothing was told yet.
  GhostReport report(model::TierId tier) const;
  CheckpointReport checkpoint_report() const;
  // Lets the best one take over where a tier is to follow its ghosts.
  void apply(cache::ScopeRules& rules, int64_t now_ns);
  uint64_t dropped() const { return dropped_; }

  // Serves one record of the queue, and says what is known when that is due. True: there was one.
  bool run_once();

 private:
  struct Waiting {
    GhostMatch match;
    int64_t time_us = 0;
  };
  // Of one tier; the helper's, but for what the lock guards.
  struct Place {
    std::unique_ptr<cache::Ghosts> ghosts;
    cache::AutoPolicy choice;
  };

  explicit GhostFeed(const model::Clock* clock) : clock_(clock), queue_(kQueueWords) {}
  bool push(std::initializer_list<uint64_t> head, uint32_t keys);
  void tell_checkpoints(const Waiting& one);
  bool take_record();
  void serve_record();
  void serve_prompt();
  void serve_commit();
  void serve_checkpoints();
  void advance_time();
  // As of `now_us`: windows end there, also where nobody asked for anything since.
  void publish(int64_t now_us);

  const model::Clock* clock_;
  // Core.
  std::vector<Waiting> waiting_;
  int64_t applied_ns_ = 0;
  uint64_t dropped_ = 0;
  tiering::SpscQueue<uint64_t> queue_;
  // Helper.
  std::vector<uint64_t> record_;
  std::vector<Place> places_;  // RAM, then the SSD
  cache::CheckpointGhosts checkpoints_;
  int64_t time_us_ = 0;  // of the last record; 0: there was none
  int64_t published_us_ = 0;
  // Both: short, for a copy or a swap.
  mutable std::mutex reports_mutex_;
  std::vector<GhostReport> reports_;
  CheckpointReport checkpoint_report_;
  model::HelperThread helper_;  // last: ends before what it uses goes
};

}  // namespace quire::server
