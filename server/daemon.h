// Wires the whole daemon; the only place that names a concrete policy or engine.
// Threads: create and run on one thread; stop from any, also from a signal handler's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/clock.h"
#include "model/result.h"
#include "server/start/options.h"

namespace rocksdb {
class Env;
}
namespace quire::allocator {
class SegmentSupply;
}
namespace quire::cache {
class Cache;
}
namespace quire::tiering {
class IoEngine;
class SsdTier;
class Tier;
class TierSet;
struct DemotionOptions;
}  // namespace quire::tiering

namespace quire::server {

class Core;
class ServiceNotifier;
class TurnSink;
struct HttpLimits;
struct FreshOptions;
struct LiveConfig;

// What stands between the daemon and the machine: what its program has for it, and what a test puts
// there.
struct DaemonSeams {
  ServiceNotifier* service = nullptr;  // who is told how it goes; null: nobody
  int listen_fd = -1;                  // a listening socket to serve, lent; -1: makes its own
  const LiveConfig* config = nullptr;  // the flags behind the options; null: there are none

  std::function<std::unique_ptr<tiering::IoEngine>(std::unique_ptr<tiering::IoEngine>)> wrap_engine;
  rocksdb::Env* manifest_env = nullptr;
  const model::Clock* clock = nullptr;  // null: the system's. Outlives the daemon
  // Bounds that no flag sets.
  std::function<void(tiering::DemotionOptions&)> adjust_demotion;
  std::function<void(HttpLimits&)> adjust_http;
  TurnSink* turn_sink = nullptr;  // outlives the daemon
};

class Daemon {
 public:
  // Errors of its parts; nothing is left behind then. An SSD tier that cannot be opened does not
  // keep the daemon from serving RAM, unless its directory is another daemon's or a later
  // version's.
  static model::Result<std::unique_ptr<Daemon>> create(const Options& options,
                                                       const DaemonSeams& seams = {});
  ~Daemon();

  void run();  // until stop()
  // Returns at once; what is fresh goes to the tiers below before run() returns.
  void stop();
  // Takes over these keys of what is safe to change while serving (kLiveOptions), and what the
  // quota file says now. Any thread.
  void reload(const Options& fresh, const std::vector<std::string>& keys);
  // Where clients find it; before run().
  const std::string& listening_on() const;

  // Of --http_address, also where any was asked for; 0: there is no HTTP. Any thread.
  uint16_t http_port() const;
  // For tests and the process's own signals; core thread, or before run().
  Core& core();
  // Core thread, or before run(); so the others here.
  cache::Cache& cache();
  const allocator::SegmentSupply& supply() const;
  tiering::TierSet* tiers();     // null: none below RAM
  tiering::SsdTier* ssd_tier();  // null: none

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  static model::Result<void> make_ghosts(Parts& parts);
  static void add_tier(Parts& parts, std::unique_ptr<tiering::Tier> tier,
                       const tiering::DemotionOptions& demotion);
  static model::Result<void> open_ssd(Parts& parts, const DaemonSeams& seams);
  static model::Result<void> open_cluster(Parts& parts);
  static model::Result<void> restore_rules(Parts& parts);
  static model::Result<void> open_ledger(Parts& parts);
  static model::Result<void> open_http(Parts& parts, const DaemonSeams& seams);
  static model::Result<void> take_over(Parts& parts, const FreshOptions& fresh);
  std::unique_ptr<Parts> parts_;
};

}  // namespace quire::server
