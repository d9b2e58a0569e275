// Domains, namespaces with their epochs, and roots.
//
// A root is one (domain, tenant, namespace, epoch, layout, salt): the start of one prefix tree.
// What differs in any of them can never meet (laws 1 and 13). Epochs belong to (domain, tenant,
// namespace): raising one makes every older root of it dead at once, and nobody else's.
//
//   open --no session--> idle --given up, or an older epoch--> dead --its nodes are gone-->
//   forgotten
//
// A table that is full, or a domain's share of it, takes no hostages: the oldest idle root goes, of
// the tenant that has most of them. A dead root misses from then on; its nodes are reclaimed in the
// background, in steps.
//
// Threads: core only. Rare calls (hello, open_session); allocates. Bounds: below.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "allocator/pool.h"
#include "cache/accounts/namespace_pins.h"
#include "cache/accounts/retention_table.h"
#include "cache/accounts/tenant_table.h"
#include "cache/tree/layout_table.h"
#include "cache/tree/presence_listener.h"
#include "model/chain_hash.h"
#include "model/ids.h"
#include "model/result.h"

namespace quire::cache {

inline constexpr size_t kMaxDomains = 256;
inline constexpr size_t kMaxRoots = 65536;  // a Node has 16 bits for it
inline constexpr size_t kMaxRootsPerDomain = kMaxRoots / 2;
// Of these, so many are kept for dead ones, so that giving one up makes room at once.
inline constexpr size_t kDeadRootsPerDomain = 1024;
inline constexpr size_t kMaxNamespacesPerDomain = kMaxRootsPerDomain;
inline constexpr size_t kMaxLayoutsPerDomain = kMaxLayouts / 4;

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
  model::TenantId tenant;  // whose hits it serves, and whose bytes its nodes are
  const KnownLayout* layout = nullptr;
  model::NodeId node;                       // kRoot in the prefix tree
  std::vector<allocator::ClassId> classes;  // by group
  uint32_t session_count = 0;
  uint64_t idle_since = 0;  // place in the order of idle ones; 0 = has a session, or is dead
  bool dead = false;        // an older epoch of its namespace, or given up
  bool given_up = false;    // dead, and of no older epoch
  bool in_use = false;      // false: the place may be taken by another root
  // Its part of NamespacePins, as of that version of these; the board keeps both.
  PinIndex pin = kNoPin;
  uint32_t pins_version = 0;
};

class NamespaceTable {
 public:
  explicit NamespaceTable(LayoutTable* layouts) : layouts_(layouts) {}

  // Finds the domain or makes it. kBusy: kMaxDomains are known; see take_over_domain().
  model::Result<model::DomainId> intern_domain(std::string_view name);
  // "uid:N". Precondition: interned.
  const std::string& domain_name(model::DomainId domain) const;
  uint32_t domain_count() const { return static_cast<uint32_t>(domains_.size()); }
  // Clients of the domain: while it has some, it stays.
  void hold_domain(model::DomainId domain) { ++domains_[domain.value].clients; }
  void release_domain(model::DomainId domain) { --domains_[domain.value].clients; }
  // No client and no root: once nothing of it is in memory, its id may be another's.
  bool is_domain_unused(model::DomainId domain) const;
  // Precondition: is_domain_unused(), and it has no segment.
  void take_over_domain(model::DomainId domain, std::string_view name);
  uint32_t root_count(model::DomainId domain) const { return domains_[domain.value].live_roots; }

  // Finds the root, or makes one with `node` unset (the caller completes it). kStaleHandle: the
  // namespace has moved to a later epoch. A later epoch than the present one takes its place;
  // kInvalidArgument: it leaves too little above it. kBusy: every root of the domain is in use, or
  // those given up are not yet reclaimed.
  model::Result<model::RootId> open_root(const RootKey& key, const KnownLayout& layout);
  // At start: a root of an earlier life, whose salt is not known (its hash binds it). kBusy as
  // above, but none is given up.
  model::Result<model::RootId> restore_root(const RootKey& key, const KnownLayout& layout,
                                            const model::Hash256& hash);
  // At start: the namespace has been at this epoch.
  void restore_epoch(model::DomainId domain, const std::string& tenant,
                     const std::string& namespace_name, uint64_t epoch);
  // Another host has moved the namespace to this epoch: older roots are dead from now on. No effect
  // when it is there already.
  void raise_epoch(const RootKey& key);
  // A session of the root begins; ends.
  void hold(model::RootId id);
  void release(model::RootId id);
  // Live, of this hash. nullopt: there is none.
  std::optional<model::RootId> find_root(const model::Hash256& hash) const;
  // Precondition: not forgotten. The reference stays valid until the next root is made.
  Root& root(model::RootId id) { return roots_[id.value]; }
  const Root& root(model::RootId id) const { return roots_[id.value]; }
  uint32_t root_count() const { return static_cast<uint32_t>(roots_.size() - free_roots_.size()); }
  uint64_t given_up_count() const { return given_up_count_; }
  // Precondition: no session and no node belongs to it any more.
  void forget(model::RootId id);
  // Of its domain, tenant and namespace; 0 for one that is not known.
  uint64_t present_epoch(const RootKey& key) const;
  // Hears of roots that end. Null: nobody.
  void listen(PresenceListener* listener) { listener_ = listener; }

  // Held by roots, and by sessions for who pays.
  TenantTable& tenants() { return tenant_ids_; }
  const TenantTable& tenants() const { return tenant_ids_; }
  // Of content's tenants: by what names they want it kept.
  RetentionTable& retentions() { return retentions_; }
  const RetentionTable& retentions() const { return retentions_; }

  // Dead roots that may still hold nodes; the reclaimer pops what it has emptied.
  std::vector<model::RootId>& dead_roots() { return dead_roots_; }
  const std::vector<model::RootId>& dead_roots() const { return dead_roots_; }

 private:
  struct HashOfHash {
    size_t operator()(const model::Hash256& hash) const { return hash.word(0); }
  };
  struct Tenant {
    std::map<uint64_t, model::RootId> idle;  // oldest first
    uint32_t root_count = 0;                 // idle or not, dead ones too
  };
  struct Namespace {
    uint64_t epoch = 0;
    std::set<uint32_t> live;   // ids of its roots that are not dead
    uint64_t empty_since = 0;  // place among those without a root; 0 = has one
  };
  struct Domain {
    std::string name;
    uint32_t clients = 0;
    uint32_t live_roots = 0;
    uint32_t dead_roots = 0;
    std::unordered_map<uint32_t, uint32_t> layouts;    // id -> live roots
    std::set<std::pair<size_t, Tenant*>> by_idle;      // tenants with idle roots, by how many
    std::map<uint64_t, std::string> empty_namespaces;  // key in namespaces_, oldest first
    uint32_t namespace_count = 0;
  };

  static std::string tenant_key(const RootKey& key);
  static std::string namespace_key(const RootKey& key);
  Namespace& namespace_of(const RootKey& key);
  model::Result<void> check_epoch(const RootKey& key) const;
  void enter_epoch(const RootKey& key);
  model::Result<void> make_room(const RootKey& key);
  bool give_up_idle(model::DomainId domain);
  model::DomainId largest_domain(model::DomainId own) const;
  void bury(model::RootId id);
  void set_idle(Root& root, bool idle);
  void leave_live(Root& root, model::RootId id);
  model::Result<model::RootId> add_root(const RootKey& key, const KnownLayout& layout,
                                        const model::Hash256& hash);
  model::RootId take_place();

  LayoutTable* layouts_;
  PresenceListener* listener_ = nullptr;
  std::vector<Domain> domains_;
  std::vector<Root> roots_;
  TenantTable tenant_ids_;
  RetentionTable retentions_{&tenant_ids_};
  std::vector<model::RootId> free_roots_;
  std::unordered_map<model::Hash256, model::RootId, HashOfHash> by_hash_;
  std::unordered_map<std::string, Tenant> tenants_;        // "domain id 0 tenant"
  std::unordered_map<std::string, Namespace> namespaces_;  // "domain id 0 tenant 0 namespace"
  std::vector<model::RootId> dead_roots_;
  uint64_t clock_ = 0;  // orders what becomes idle or empty
  uint64_t given_up_count_ = 0;
};

}  // namespace quire::cache
