// The cache as the server sees it: owns the tree, roots, leases and fills, and hands out the three
// faces reader(), writer() and store().
//
// Threads: core only. Lifetime: the pool outlives it; sessions and holders are the server's and
// must be closed and released before they go.
#pragma once

#include <cstdint>
#include <memory>

#include "allocator/pool.h"
#include "cache/objects/node_store.h"
#include "cache/serve/lease_table.h"
#include "cache/serve/object_writer.h"
#include "cache/serve/prefix_reader.h"
#include "cache/tree/layout_table.h"
#include "cache/tree/namespace_table.h"
#include "model/metrics.h"

namespace quire::cache {

struct CacheOptions {
  uint64_t max_nodes = 1ull << 27;  // address space only: 64 B + index a node
  uint64_t seed = 0;                // secret of this process
  PolicyFactory policy_factory;     // one policy a domain
};

class Cache {
 public:
  static model::Result<std::unique_ptr<Cache>> create(const CacheOptions& options,
                                                      allocator::Pool* pool);

  LayoutTable& layouts() { return layouts_; }
  NamespaceTable& names() { return names_; }
  NodeStore& store() { return *store_; }
  const NodeStore& store() const { return *store_; }
  PrefixReader& reader() { return *reader_; }
  ObjectWriter& writer() { return *writer_; }
  uint32_t lease_count() const { return leases_.count(); }
  uint32_t fill_count() const { return fills_.count(); }

  // Interns the domain and prepares its policy. When there are too many, one without clients,
  // pages and segments makes way. kBusy: none has.
  model::Result<model::DomainId> add_domain(std::string_view name);
  // Fills in `session`; the root's size classes exist afterwards. Errors of
  // NamespaceTable::open_root, Pool::size_class; kBusy when the node table is full.
  model::Result<void> open_session(const RootKey& key, uint32_t owner_tag, CacheSession& session);
  // At start: a root of an earlier life, known by its hash. Errors as open_session.
  model::Result<model::RootId> restore_root(const RootKey& key, const model::Hash256& hash);
  // Precondition: the session's fills have ended.
  void close_session(CacheSession& session);

  // What it holds and did; not of tiers and domains.
  void describe(model::MetricSink& sink) const;
  void check_invariants() const;

 private:
  Cache(LeaseTable leases, FillTable fills)
      : leases_(std::move(leases)), fills_(std::move(fills)) {}
  model::Result<void> complete_root(model::RootId id);
  model::Result<model::DomainId> intern_domain(std::string_view name);

  LayoutTable layouts_;
  NamespaceTable names_{&layouts_};
  LeaseTable leases_;
  FillTable fills_;
  uint32_t last_session_ = 0;  // number of the session that was opened last
  std::unique_ptr<NodeStore> store_;
  std::unique_ptr<PrefixReader> reader_;
  std::unique_ptr<ObjectWriter> writer_;
};

}  // namespace quire::cache
