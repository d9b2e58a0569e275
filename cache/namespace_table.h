// Domains, namespaces with their epochs, and roots.
//
// A root is one (domain, tenant, namespace, epoch, layout, salt): the start of one prefix tree.
// What differs in any of them can never meet (laws 1 and 13). Raising a namespace's epoch makes
// every older root dead at once: it misses from then on, and its nodes are reclaimed in the
// background.
//
// Threads: core only. Rare calls (hello, open_session); allocates. Bounds: kMaxDomains, kMaxRoots,
// kMaxNamespaces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "allocator/pool.h"
#include "cache/layout_table.h"
#include "model/chain_hash.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

inline constexpr size_t kMaxDomains = 256;
inline constexpr size_t kMaxRoots = 65536;
inline constexpr size_t kMaxNamespaces = 65536;

struct RootKey {
  model::DomainId domain;
  std::string tenant;  // empty in a shared namespace
  std::string namespace_name;
  uint64_t weights_epoch = 0;
  model::LayoutId layout;
  std::string salt;
};

struct Root {
  RootKey key;
  model::Hash256 hash;
  const KnownLayout* layout = nullptr;
  model::NodeId node;                       // kRoot in the prefix tree
  std::vector<allocator::ClassId> classes;  // by group
  uint32_t session_count = 0;
  bool dead = false;    // an older epoch of its namespace
  bool in_use = false;  // false: the place may be taken by another root
};

class NamespaceTable {
 public:
  model::Result<model::DomainId> intern_domain(std::string_view name);
  const std::string& domain_name(model::DomainId domain) const;
  uint32_t domain_count() const { return static_cast<uint32_t>(domains_.size()); }

  // Finds the root, or makes one with `node` unset (the caller completes it). kStaleHandle: the
  // namespace has moved to a later epoch. A later epoch than the present one takes its place.
  model::Result<model::RootId> open_root(const RootKey& key, const KnownLayout& layout);
  // At start: a root of an earlier life, whose salt is not known (its hash binds it). kBusy as
  // above.
  model::Result<model::RootId> restore_root(const RootKey& key, const KnownLayout& layout,
                                            const model::Hash256& hash);
  // At start: the namespace of this domain has been at this epoch.
  void restore_epoch(model::DomainId domain, const std::string& namespace_name, uint64_t epoch);
  Root& root(model::RootId id) { return roots_[id.value]; }
  const Root& root(model::RootId id) const { return roots_[id.value]; }
  uint32_t root_count() const { return static_cast<uint32_t>(roots_.size() - free_roots_.size()); }
  // Precondition: no session and no node belongs to it any more.
  void forget(model::RootId id);

  // Dead roots that may still hold nodes; the reclaimer pops what it has emptied.
  std::vector<model::RootId>& dead_roots() { return dead_roots_; }

 private:
  struct HashOfHash {
    size_t operator()(const model::Hash256& hash) const { return hash.word(0); }
  };
  model::Result<void> enter_epoch(const RootKey& key);
  model::Result<model::RootId> add_root(const RootKey& key, const KnownLayout& layout,
                                        const model::Hash256& hash);
  model::RootId take_place();

  std::vector<std::string> domains_;
  std::vector<Root> roots_;
  std::vector<model::RootId> free_roots_;
  std::unordered_map<model::Hash256, model::RootId, HashOfHash> by_hash_;
  std::unordered_map<std::string, uint64_t> epochs_;  // "domain id/namespace" -> present epoch
  std::vector<model::RootId> dead_roots_;
};

}  // namespace quire::cache
