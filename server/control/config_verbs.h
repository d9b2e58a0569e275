// The verb by which operators see the daemon's flags, and change those that need no restart.
//
//   core: config --queue--> helper: value is tried, files that it names are read
//   core: <--call, between two turns-- finish: taken over, kept in the flags, logged, answered
//
// A change holds until the daemon ends or reads its flag files again. Who asked waits suspended;
// what he asked for is done even if he left. A disk that hangs does not hold up the daemon's end:
// the helper is then left behind, and calls nobody any more. Threads: core, but for step(), which
// is the helper's. Bound: kMaxWaiting changes.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/eviction/scope_rules.h"
#include "model/helper_thread.h"
#include "model/metrics.h"
#include "model/result.h"
#include "model/wire.h"
#include "server/control/verb_call.h"
#include "server/start/live_config.h"
#include "server/status/status_desk.h"

namespace quire::server {

// New values of live keys, for the core to take over.
struct FreshOptions {
  std::vector<std::string> keys;
  Options options;
  // What --quota_file says now, where it was read again.
  std::optional<std::vector<cache::NamedQuota>> quotas;
};

// Reads what `options` name in files; may wait for a disk.
model::Result<std::vector<cache::NamedQuota>> quotas_of(const Options& options);

class ConfigVerbs {
 public:
  static constexpr size_t kMaxWaiting = 16;
  static constexpr std::chrono::seconds kEndWithin{2};

  struct Parts {
    const LiveConfig* config = nullptr;
    StatusDesk* desk = nullptr;
    // Runs a function on the core between two turns; any thread.
    std::function<void(std::function<void()>)> call_core;
    // On the core. Nothing is taken over when it fails.
    std::function<model::Result<void>(const FreshOptions&)> take_over;
  };
  // Waits for what is under way, kEndWithin at most.
  struct Ender {
    void operator()(ConfigVerbs* verbs) const;
  };
  using Owner = std::unique_ptr<ConfigVerbs, Ender>;
  // kResourceExhausted: no thread.
  static model::Result<Owner> create(Parts parts);

  // kInvalidArgument: no such action or key, a value that it cannot take. kBusy: too many wait.
  model::Result<void> config(const VerbCall& call);
  // The connection ended.
  void forget(const Connection& connection);

 private:
  struct Asker {
    Connection* connection = nullptr;  // null: it left
    model::FrameType type{};
    uint32_t sequence = 0;
    PeerIdentity peer;
    std::string request;  // for the audit log
  };
  struct Task {
    std::shared_ptr<Asker> asker;  // the core's; the helper only carries it
    std::string key;
    std::string value;
  };

  explicit ConfigVerbs(Parts parts) : parts_(std::move(parts)), config_(*parts_.config) {}
  model::Result<void> set(const VerbCall& call, const model::ConfigRequest& request);
  void describe(model::MetricSink& sink) const;
  // On the core: the outcome of a change that was tried.
  void finish(const Asker& asker, const model::Result<ConfigChange>& planned,
              std::optional<std::vector<cache::NamedQuota>> quotas);
  model::Result<void> put(const Asker& asker, const ConfigChange& change,
                          std::optional<std::vector<cache::NamedQuota>> quotas);
  std::chrono::milliseconds step(const std::stop_token& stop);

  Parts parts_;
  const LiveConfig config_;                     // a copy: the helper may outlive the daemon
  std::vector<std::shared_ptr<Asker>> askers_;  // whose changes are under way
  std::mutex mutex_;
  std::deque<Task> tasks_;  // under mutex_
  model::HelperThread helper_;
};

}  // namespace quire::server
