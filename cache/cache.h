// The cache as the server sees it: owns the tree, roots, leases and fills, and hands out its
// faces: reader(), loader(), writer(), store(), and who makes room.
//
// Threads: core only. Lifetime: the pool outlives it; sessions and holders are the server's and
// must be closed and released before they go.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "allocator/pool.h"
#include "cache/accounts/memory_waiters.h"
#include "cache/accounts/quota_table.h"
#include "cache/accounts/reservations.h"
#include "cache/content/content_sweep.h"
#include "cache/eviction/eviction_board.h"
#include "cache/eviction/evictor.h"
#include "cache/eviction/node_room.h"
#include "cache/eviction/ram_room.h"
#include "cache/eviction/scope_rules.h"
#include "cache/fill/checkpoint_rules.h"
#include "cache/fill/object_writer.h"
#include "cache/fill/tail_distances.h"
#include "cache/objects/departure_log.h"
#include "cache/objects/object_store.h"
#include "cache/serve/lease_table.h"
#include "cache/serve/miss.h"
#include "cache/serve/prefix_loader.h"
#include "cache/serve/prefix_reader.h"
#include "cache/tree/layout_table.h"
#include "cache/tree/namespace_table.h"
#include "cache/tree/presence_listener.h"
#include "model/metrics.h"

namespace quire::cache {

struct CacheOptions {
  uint64_t max_nodes = 1ull << 27;  // address space only: 64 B + index a node
  uint64_t seed = 0;                // secret of this process
  std::string ram_policy = "lru";   // a name of all_policies(); one policy a domain
  uint64_t departure_bytes = 0;     // remembers what left; 0: it does not
};

class Cache {
 public:
  static model::Result<std::unique_ptr<Cache>> create(const CacheOptions& options,
                                                      allocator::Pool* pool);

  LayoutTable& layouts() { return layouts_; }
  NamespaceTable& names() { return names_; }
  ObjectStore& store() { return *store_; }
  const ObjectStore& store() const { return *store_; }
  EvictionBoard& board() { return *board_; }
  const EvictionBoard& board() const { return *board_; }
  ScopeRules& rules() { return *rules_; }
  const ScopeRules& rules() const { return *rules_; }
  CheckpointRules& checkpoint_rules() { return checkpoint_rules_; }
  const CheckpointRules& checkpoint_rules() const { return checkpoint_rules_; }
  TailDistances& tails() { return tails_; }
  const QuotaTable& quotas() const { return *quotas_; }
  Reservations& reservations() { return *reservations_; }
  const Reservations& reservations() const { return *reservations_; }
  NamespacePins& pins() { return board_->pins(); }
  const NamespacePins& pins() const { return std::as_const(*board_).pins(); }
  Evictor& evictor() { return *evictor_; }
  const Evictor& evictor() const { return *evictor_; }
  NodeRoom& node_room() { return *node_room_; }
  RamRoom& room() { return *room_; }
  ContentSweep& sweep() { return *sweep_; }
  DepartureLog* departures() { return departures_.get(); }  // null: nothing is remembered
  PrefixReader& reader() { return *reader_; }
  PrefixLoader& loader() { return *loader_; }
  ObjectWriter& writer() { return *writer_; }
  // For status, as the next two.
  uint32_t lease_count() const { return leases_.count(); }
  uint32_t fill_count() const { return fills_.count(); }
  // Of these, how many wait for memory.
  uint32_t reserving_count() const { return waiters_.count(); }

  // Interns the domain and prepares its policy. When there are too many, one without clients,
  // pages and segments makes way. kBusy: none has.
  model::Result<model::DomainId> add_domain(std::string_view name);
  // Fills in `session`; the root's size classes exist afterwards. Errors of
  // NamespaceTable::open_root, Pool::size_class; kBusy when the node table is full.
  model::Result<void> open_session(const RootKey& key, uint32_t owner_tag, CacheSession& session);
  // Who pays for an open session, where that is not the tenant whose hits its root serves: in a
  // shared namespace. Precondition: it has no fills yet, whose slots are charged to somebody.
  void set_payer(CacheSession& session, std::string_view tenant);
  // By what class its content is kept from now on. kResourceExhausted: the tenant whose hits it
  // serves has content of too many others.
  model::Result<void> set_retention(CacheSession& session, std::string_view name);
  // Why a match of the session went no further, as things are now (find_miss()).
  Miss explain(const CacheSession& session, const ChainView& chain, uint32_t prompt_tokens,
               const model::MatchResult& result) {
    return find_miss({.store = store_.get(), .names = &names_, .fills = &fills_}, session, chain,
                     prompt_tokens, result);
  }
  // What a match of the chain would find in a live root now; nothing is pinned, or counts as used.
  struct Look {
    uint32_t exact_tokens = 0;
    uint32_t span_tokens = 0;
    Miss miss;
  };
  Look look(model::RootId root, const ChainView& chain, uint32_t prompt_tokens);
  // What its fills and loads may count on. Precondition: admitted for its payer; it has no fills.
  void set_reservation(CacheSession& session, Reservation reservation);
  // At start: a root of an earlier life, known by its hash. Errors as open_session.
  model::Result<model::RootId> restore_root(const RootKey& key, const model::Hash256& hash);
  // Precondition: the session's fills have ended.
  void close_session(CacheSession& session);

  // Objects that are written are told to a lower tier from now on, whose copies are ordered by this
  // policy. Errors of EvictionBoard::open_tier.
  model::Result<void> attach_tier(model::TierId tier, std::string_view policy);

  // Tells which objects are on which tier from now on (cache/tree/presence_listener.h); null:
  // nobody.
  void listen(PresenceListener* listener) {
    names_.listen(listener);
    store_->presence().listen(listener);
  }

  // Memory of tree, page table and policies.
  uint64_t table_bytes() const;
  // What it holds and did; not of tiers and domains.
  void describe(model::MetricSink& sink) const;
  void check_invariants() const;

 private:
  Cache(FillTable fills, MemoryWaiters waiters)
      : waiters_(std::move(waiters)), fills_(std::move(fills)) {}
  model::Result<void> complete_root(model::RootId id);
  model::Result<model::DomainId> intern_domain(std::string_view name);

  LayoutTable layouts_;
  NamespaceTable names_{&layouts_};
  MemoryWaiters waiters_;      // fills, by index
  uint32_t last_session_ = 0;  // number of the session that was opened last
  std::unique_ptr<DepartureLog> departures_;
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<EvictionBoard> board_;
  std::unique_ptr<QuotaTable> quotas_;
  std::unique_ptr<Reservations> reservations_;
  std::unique_ptr<ScopeRules> rules_;
  CheckpointRules checkpoint_rules_;
  TailDistances tails_;
  std::unique_ptr<Evictor> evictor_;
  std::unique_ptr<NodeRoom> node_room_;
  std::unique_ptr<RamRoom> room_;
  std::unique_ptr<ContentSweep> sweep_;
  // They hold pins and slots: a daemon that ends under its clients gives these back first.
  LeaseTable leases_;
  FillTable fills_;
  std::unique_ptr<PrefixReader> reader_;
  std::unique_ptr<PrefixLoader> loader_;
  std::unique_ptr<ObjectWriter> writer_;
};

}  // namespace quire::cache
