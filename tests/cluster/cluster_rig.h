// A daemon's cache with the cluster tier below it, on one thread by steps, and no daemon. Two of
// them with one name of a namespace are two hosts that share a pool.
//
// The clock moves a millisecond a step, in which the tier's descriptor is waited for: the cluster
// is real, so is its time. What never comes ends a test after kPatience.
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/scratch_ceph.h"
#include "tests/tiering/tier_rig.h"
#include "tiering/cluster/cluster_tier.h"
#include "tiering/io/copy_engine.h"

namespace quire::tests {

struct HostChoice {
  std::string namespace_name;
  uint64_t weights_epoch = 0;
  tiering::ClusterTierOptions tier;
  uint64_t page_bytes = 256 << 10;
  uint64_t segment_bytes = 4 << 20;
};

// What outlives the tier.
struct HostSurroundings {
  tiering::InlineCopyEngine checks{tiering::kClusterChecks};
};

class ClusterHost : private HostSurroundings, public RigOverTier {
 public:
  static constexpr std::chrono::seconds kPatience{60};

  explicit ClusterHost(HostChoice choice)
      : RigOverTier({.page_bytes = choice.page_bytes,
                     .segment_bytes = choice.segment_bytes,
                     .namespace_name = choice.namespace_name,
                     .weights_epoch = choice.weights_epoch},
                    [&, this](cache::Cache* cache, const model::Clock* time) {
                      QUIRE_CHECK(cache->attach_tier(model::TierId::kCluster, "lru").ok());
                      if (choice.tier.rados.pool.empty()) choice.tier.rados = scratch_options();
                      return tiering::ClusterTier::open(
                                 {.cache = cache, .checks = &checks, .clock = time}, choice.tier)
                          .value();
                    }) {}

  tiering::ClusterTier& tier() {
    return static_cast<tiering::ClusterTier&>(*set().members().front().tier);
  }
  bool until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd ready{.fd = tier().wake_fd(), .events = POLLIN};
      ::poll(&ready, 1, 1);
      clock.advance(std::chrono::milliseconds(1));
      step();
    }
    return true;
  }
  bool connect() {
    return until([&] { return tier().mode() == tiering::TierMode::kOk; });
  }
  uint64_t on_cluster() { return cache().store().presence().counts(model::TierId::kCluster).spans; }
  // All spans that are in RAM have their copy on the cluster.
  bool settle() {
    return until([&] { return on_cluster() == inspect().counters().spans && set().idle(); });
  }
  static model::Hash256 hash_of(uint64_t number) {
    model::Hash256 hash;
    hash.bytes[0] = static_cast<uint8_t>(number);
    hash.bytes[1] = static_cast<uint8_t>(number >> 8);
    hash.bytes[2] = 1;
    return hash;
  }
  static std::vector<model::Hash256> chain_of(uint32_t count, uint64_t first_number) {
    std::vector<model::Hash256> chain;
    for (uint32_t i = 0; i < count; ++i) chain.push_back(hash_of(first_number + i));
    return chain;
  }
  // What the cluster holds of the chain, as a match asks.
  tiering::FoundChain search(const std::vector<model::Hash256>& chain, uint32_t known_units = 0) {
    const uint32_t job = ++last_job_;
    const auto asked =
        tier().search()->ask({.job = job,
                              .root = cache().store().tree().node(root()).root(),
                              .known_units = known_units,
                              .chain = {chain.data(), static_cast<uint32_t>(chain.size())}});
    if (!asked.ok()) return {};
    // Past the set: its event is nobody's who stands above a tier.
    const auto answered = [&] {
      tier().step({});
      return std::erase_if(tier().events(), [&](const tiering::TierEvent& event) {
               return event.kind == tiering::TierEvent::Kind::kFound && event.job == job;
             }) > 0;
    };
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!answered()) {
      QUIRE_CHECK(std::chrono::steady_clock::now() < end);
      pollfd ready{.fd = tier().wake_fd(), .events = POLLIN};
      ::poll(&ready, 1, 10);
    }
    return tier().search()->take_found(job);
  }
  // Nodes of what was found, below the root, as a match would make them.
  std::vector<model::NodeId> join(const tiering::FoundChain& found, uint64_t first_number) {
    std::vector<model::NodeId> nodes;
    model::NodeId parent = root();
    for (const tiering::FoundObject& object : found.objects) {
      parent = *cache().store().restore(
          {.parent = parent, .kind = object.kind, .key = object.key, .units = object.units},
          model::TierId::kCluster, {});
      number(parent, first_number + nodes.size());
      nodes.push_back(parent);
    }
    return nodes;
  }
  model::Errc load(const std::vector<model::NodeId>& nodes) {
    const uint64_t tag = ++last_tag_;
    QUIRE_CHECK(loads().start({.tag = tag, .deadline_ns = INT64_MAX, .nodes = nodes}).ok());
    model::Errc code = model::Errc::kInternal;
    QUIRE_CHECK(until([&] {
      auto& finished = loads().finished();
      const auto mine = std::find_if(finished.begin(), finished.end(),
                                     [&](const auto& one) { return one.tag == tag; });
      if (mine == finished.end()) return false;
      code = mine->code;
      finished.erase(mine);
      return true;
    }));
    return code;
  }

 private:
  uint32_t last_job_ = 0;
  uint64_t last_tag_ = 0;
};

}  // namespace quire::tests
