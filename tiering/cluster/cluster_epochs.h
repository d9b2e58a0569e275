// Epochs of weights, which all hosts share: an object in the pool a domain, tenant and namespace
// names the latest. One that this daemon has is told to the cluster, one that the cluster has is
// entered here: older roots are dead at once, what they hold is swept.
//
//   raise: create --there is one--> read --lower--> change what was read --changed meanwhile-->
//   read
//
// An epoch only grows, as every change names what it replaces. Threads: core only. Bounds: what is
// known is forgotten beyond kMaxKnown namespaces, and read again; one change a namespace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "cache/cache.h"
#include "tiering/cluster/cluster_format.h"
#include "tiering/cluster/cluster_ops.h"

namespace quire::tiering {

class ClusterEpochs {
 public:
  ClusterEpochs(cache::Cache* cache, ClusterOps* ops) : cache_(cache), ops_(ops) {}

  // The object of the root's namespace.
  std::string object_of(const cache::RootKey& key) const;
  // What a read of that object's entries brought. 0: there is none.
  static uint64_t epoch_in(const RadosOp& read);
  // The cluster is at this epoch. False: the root's is older, and can be hit no more.
  bool learn(const cache::RootKey& key, uint64_t epoch);
  // Something of a root of this epoch is written, or asked for.
  void raise(const cache::RootKey& key);
  void step();
  bool idle() const { return changes_.empty(); }

 private:
  static constexpr size_t kMaxKnown = 1 << 14;
  struct Change : RadosOp {
    uint64_t epoch = 0;
  };
  uint64_t& known(const std::string& object);
  void change(Change& change);
  bool next(Change& change);  // false: it ended

  cache::Cache* cache_;
  ClusterOps* ops_;
  ClusterClient client_;
  std::unordered_map<std::string, uint64_t> known_;  // by object: that the cluster is at, or later
  std::unordered_map<std::string, std::unique_ptr<Change>> changes_;
};

}  // namespace quire::tiering
