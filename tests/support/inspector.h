// What tests and benches ask about the inside of a cache, in the words of the design: objects
// (spans and checkpoints), tiers, pins, pages, domains. The one place outside of cache/ and
// tiering/ that knows how nodes, copies and counters are kept, together with Meddler and
// ObjectMaker, which act.
//
// Only looks. Lifetime: a view, made where it is needed; the cache outlives it. Threads: core; of a
// daemon's cache within TestDaemon::on_core or eventually.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "allocator/pool.h"
#include "cache/cache.h"
#include "tests/support/tree_inspector.h"

namespace quire::tests {

// Objects, counted; those that went since the start of the cache, and those that are there.
struct CacheCounters {
  uint64_t spans = 0;            // present, in whatever tier
  uint64_t checkpoints = 0;      // present, in whatever tier
  uint64_t ram_spans = 0;        // with pages in RAM
  uint64_t ram_checkpoints = 0;  // with pages in RAM
  uint64_t ssd_spans = 0;        // with a durable copy on SSD
  uint64_t ssd_checkpoints = 0;  // with a durable copy on SSD
  uint64_t ssd_only = 0;         // objects whose pages are on SSD only
  uint64_t evicted_spans = 0;
  uint64_t evicted_checkpoints = 0;
  uint64_t left_ram = 0;     // stayed on SSD
  uint64_t evictions = 0;    // made room in RAM: the three above
  uint64_t promoted = 0;     // came back to RAM
  uint64_t ssd_evicted = 0;  // copies given up to make room on SSD
  uint64_t quarantined = 0;
  uint64_t stale_dropped = 0;  // of dead roots

  // Everything present has a durable copy.
  bool all_on_ssd() const { return ssd_spans == spans && ssd_checkpoints == checkpoints; }
};

// Where the copy of an object lies: `slot` is tiering::SsdSlot::value.
struct SsdCopy {
  uint32_t slot = 0;
  uint16_t generation = 0;
};

// An object that can be found, as events name it (model/event_wire.h).
struct FoundObject {
  model::Hash256 root;  // chain hash of its root
  model::FillKind kind = model::FillKind::kSpan;
  model::Hash256 hash;
  uint8_t tiers = 0;  // a bit a tier, TierId's value
};

// One page in RAM.
struct RamPage {
  model::SegmentId segment;
  uint32_t generation = 0;
  uint32_t crc32c = 0;
  std::span<std::byte> bytes;  // true size; what is written here is damage (Meddler::corrupt)
};

class Inspector {
 public:
  explicit Inspector(cache::Cache& cache);

  // As a match finds it: nullopt when it is absent or quarantined.
  std::optional<model::NodeId> find(model::RootId root, model::FillKind kind,
                                    const model::Hash256& hash) const;
  // Below the root that was opened first; for tests with one.
  std::optional<model::NodeId> find(model::FillKind kind, const model::Hash256& hash) const;
  // Below any root, and quarantined ones too; an invalid id when there is none.
  model::NodeId find_anywhere(model::FillKind kind, const model::Hash256& hash) const;
  std::vector<model::NodeId> objects() const;  // quarantined ones too
  // Neither quarantined nor of a dead root.
  std::vector<FoundObject> found_objects() const;

  ObjectState object(model::NodeId node) const;
  std::string retention(model::NodeId node) const;  // name of its class
  bool in_ram(model::NodeId node) const { return object(node).in_ram; }
  std::optional<SsdCopy> ssd_copy(model::NodeId node) const;
  // In the order of its page plan; none when it is not in RAM.
  std::vector<RamPage> pages(model::NodeId node) const;

  CacheCounters counters() const;
  uint64_t pin_count() const;                        // of all nodes
  uint64_t moving_count() const;                     // objects under way to or from the SSD
  bool has_evictable(model::DomainId domain) const;  // something of it may leave RAM now
  // Who could give something in RAM for this tenant now, by the rules of quotas; itself among them.
  std::vector<cache::Owner> givers_for(model::TenantId asker) const;
  bool has_evictable_for(model::TenantId asker) const { return !givers_for(asker).empty(); }
  // It holds more than it is guaranteed. False: nobody tells it apart.
  bool is_above_guarantee(cache::Owner owner) const;
  uint64_t ram_page_count() const;  // of all objects, by walking them
  uint64_t ram_slot_count() const;  // that the pool gave out, over all domains
  allocator::DomainUsage usage(model::DomainId domain = model::DomainId{0}) const;
  std::vector<allocator::SegmentView> segments(model::DomainId domain) const;
  const allocator::SegmentSupply& supply() const;
  // In the accounts of a tenant, by its name; nothing is known of one that nobody holds.
  cache::Account account(model::DomainId domain, const std::string& tenant,
                         model::TierId tier = model::TierId::kRam) const;
  // Of all tenants of a domain together.
  cache::Account domain_account(model::DomainId domain) const;
  uint64_t reserved_bytes() const;  // in RAM's accounts of whomever, also of tenants that are gone
  uint64_t path_bytes(model::DomainId domain) const;  // that paths could keep in RAM at most
  uint64_t offers() const;       // times so far that a node may have become evictable
  uint64_t table_bytes() const;  // memory of nodes, index, page table and policies
  uint64_t steps() const;        // elementary steps done so far (cache/objects/work_meter.h)

 private:
  bool is_pinned_by_name(const cache::Root& root) const;
  cache::Cache& cache_;
  TreeInspector tree_;
};

}  // namespace quire::tests
