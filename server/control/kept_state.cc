#include "server/control/kept_state.h"

#include <chrono>
#include <utility>
#include <vector>

#include "server/control/quota_verbs.h"
#include "server/control/scope_file.h"
#include "server/runtime/log.h"

namespace quire::server {

using cache::NamespacePin;
using model::Result;

namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;

uint64_t wall_seconds() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                               std::chrono::seconds(1));
}

void restore_pins(cache::Cache& cache, int64_t now_ns, const std::vector<KeptPin>& pins) {
  const uint64_t wall_s = wall_seconds();
  for (const KeptPin& kept : pins) {
    NamespacePin pin{.name = kept.name, .budget_bytes = kept.budget_bytes};
    if (kept.until_unix_s) {
      if (*kept.until_unix_s <= wall_s) continue;
      pin.until_ns = pin_end(*kept.until_unix_s - wall_s, now_ns);
    }
    const auto set = cache.pins().set(pin);
    if (set.ok()) continue;
    log(LogLevel::kWarning,
        "the pin of " + pin_text(kept.name) + " is not in force: " + set.error().text);
  }
}

}  // namespace

int64_t pin_end(uint64_t seconds, int64_t now_ns) {
  const int64_t most = (NamespacePin::kForever - now_ns) / kNsPerSecond;
  if (seconds >= static_cast<uint64_t>(most)) return NamespacePin::kForever;
  return now_ns + static_cast<int64_t>(seconds) * kNsPerSecond;
}

uint64_t seconds_left(int64_t until_ns, int64_t now_ns) {
  if (until_ns <= now_ns) return 0;
  return static_cast<uint64_t>((until_ns - now_ns - 1) / kNsPerSecond + 1);
}

std::string pin_text(const cache::PinName& name) {
  return scope_text({model::TierId::kRam, name.domain, name.tenant}) + " namespace=\"" +
         name.namespace_name + '"';
}

void keep_state(const cache::Cache& cache, const model::Clock& clock, StateKeeper& keeper) {
  KeptRules rules{
      .scopes = cache.rules().all(), .checkpoints = cache.checkpoint_rules().all(), .pins = {}};
  const int64_t now_ns = clock.now_ns();
  cache.pins().for_each([&](const NamespacePin& pin) {
    KeptPin kept{.name = pin.name, .budget_bytes = pin.budget_bytes, .until_unix_s = std::nullopt};
    if (pin.until_ns != NamespacePin::kForever) {
      kept.until_unix_s = wall_seconds() + seconds_left(pin.until_ns, now_ns);
    }
    rules.pins.push_back(std::move(kept));
  });
  keeper.keep(state_text(rules));
}

Result<void> restore_state(cache::Cache& cache, const model::Clock& clock,
                           const std::string& path) {
  const KeptRules kept = QUIRE_TRY(read_state_file(path));
  for (const auto& [name, rule] : kept.scopes) QUIRE_TRY(cache.rules().restore(name, rule));
  // The wider ones first, as they stand: a wider one ends those below it.
  for (const auto& [scope, policy] : kept.checkpoints) {
    QUIRE_TRY(cache.checkpoint_rules().set(scope, policy));
  }
  restore_pins(cache, clock.now_ns(), kept.pins);
  return {};
}

}  // namespace quire::server
