#include "tests/support/inspector.h"

#include <algorithm>

namespace quire::tests {

using model::NodeId;

Inspector::Inspector(cache::Cache& cache) : cache_(cache), tree_(cache.store().tree()) {}

std::optional<NodeId> Inspector::find(model::RootId root, model::FillKind kind,
                                      const model::Hash256& hash) const {
  return tree_.find(root, kind, hash);
}

std::optional<NodeId> Inspector::find(model::FillKind kind, const model::Hash256& hash) const {
  return find(model::RootId{0}, kind, hash);
}

NodeId Inspector::find_anywhere(model::FillKind kind, const model::Hash256& hash) const {
  return tree_.find_anywhere(kind, hash);
}

std::vector<NodeId> Inspector::objects() const { return tree_.objects(); }

std::vector<FoundObject> Inspector::found_objects() const {
  std::vector<FoundObject> found;
  const cache::PrefixTree& tree = cache_.store().tree();
  for (const NodeId id : objects()) {
    const cache::Node& node = tree.node(id);
    const cache::Root& root = cache_.names().root(node.root());
    if (node.is_quarantined() || root.dead) continue;
    FoundObject& object = found.emplace_back();
    object.root = root.hash;
    object.kind = cache::fill_kind(node.kind());
    object.hash = tree.key(id);
    for (const model::TierId tier : model::kTiers) {
      if (node.is_in(tier)) object.tiers |= static_cast<uint8_t>(1u << model::index_of(tier));
    }
  }
  return found;
}

ObjectState Inspector::object(NodeId node) const { return tree_.object(node); }

std::optional<SsdCopy> Inspector::ssd_copy(NodeId node) const {
  const auto place = cache_.store().presence().place(node);
  if (!place) return std::nullopt;
  return SsdCopy{.slot = place->slot, .generation = place->generation};
}

std::string Inspector::retention(NodeId id) const {
  const cache::Node& node = cache_.store().tree().node(id);
  const model::TenantId tenant = cache_.names().root(node.root()).tenant;
  return cache_.names().retentions().name_of(tenant, node.retention());
}

std::vector<RamPage> Inspector::pages(NodeId node) const {
  const cache::ObjectStore& store = cache_.store();
  const cache::Presence& presence = store.presence();
  const allocator::Pool& pool = store.pool();
  std::vector<RamPage> pages;
  for (model::SlotId slot = presence.first_page(node); slot.valid();
       slot = presence.next_page(slot)) {
    const allocator::SlotPlace place = pool.place(slot);
    pages.push_back({.segment = place.segment,
                     .generation = pool.page(slot).generation(),
                     .crc32c = pool.page(slot).crc32c,
                     .bytes = std::span(place.data, pool.page_bytes(slot))});
  }
  return pages;
}

CacheCounters Inspector::counters() const {
  const cache::Presence& presence = cache_.store().presence();
  const cache::TierCounts& ram = presence.counts(model::TierId::kRam);
  const cache::TierCounts& ssd = presence.counts(model::TierId::kSsd);
  const cache::StoreCounters& counters = cache_.store().counters();
  return {.spans = counters.spans,
          .checkpoints = counters.checkpoints,
          .ram_spans = ram.spans,
          .ram_checkpoints = ram.checkpoints,
          .ssd_spans = ssd.spans,
          .ssd_checkpoints = ssd.checkpoints,
          .ssd_only = presence.count_fastest(model::TierId::kSsd),
          .evicted_spans = counters.evicted_spans,
          .evicted_checkpoints = counters.evicted_checkpoints,
          .left_ram = counters.left_ram,
          .evictions = counters.made_room(),
          .promoted = counters.promoted,
          .ssd_evicted = cache_.evictor().evicted_copies(),
          .quarantined = counters.quarantined,
          .stale_dropped = counters.stale_dropped};
}

uint64_t Inspector::pin_count() const { return tree_.pin_count(); }

uint64_t Inspector::moving_count() const { return tree_.moving_count(); }

bool Inspector::has_evictable(model::DomainId domain) const {
  const cache::ObjectStore& store = cache_.store();
  for (const NodeId node : objects()) {
    const model::RootId root = store.tree().node(node).root();
    const bool its = cache_.names().root(root).key.domain == domain;
    if (its && store.presence().may_leave(node, model::TierId::kRam)) return true;
  }
  return false;
}

bool Inspector::is_above_guarantee(cache::Owner owner) const {
  constexpr model::TierId kRam = model::TierId::kRam;
  const cache::QuotaTable& quotas = cache_.quotas();
  return quotas.is_open(kRam, owner) &&
         quotas.held_bytes(kRam, owner) > quotas.of(kRam, owner).guaranteed_bytes;
}

bool Inspector::is_pinned_by_name(const cache::Root& root) const {
  const cache::RootKey& key = root.key;
  return cache_.pins().find(cache_.names().domain_name(key.domain), key.tenant,
                            key.namespace_name) != cache::kNoPin;
}

std::vector<cache::Owner> Inspector::givers_for(model::TenantId asker) const {
  constexpr model::TierId kRam = model::TierId::kRam;
  const cache::ObjectStore& store = cache_.store();
  const cache::QuotaTable& quotas = cache_.quotas();
  const cache::Owner own = quotas.owner_of(kRam, asker);
  const bool bounded = quotas.of(kRam, own).burst_bytes != UINT64_MAX;
  std::vector<cache::Owner> givers;
  // What an operator pinned waits for another user's segment that is on its way.
  const bool segment_comes = cache_.room().taker().is_coming(own.domain);
  for (const NodeId node : objects()) {
    if (!store.presence().may_leave(node, kRam)) continue;
    const cache::Root& root = cache_.names().root(store.tree().node(node).root());
    if (segment_comes && is_pinned_by_name(root)) continue;
    const cache::Owner owner = quotas.owner_of(kRam, root.tenant);
    if (std::find(givers.begin(), givers.end(), owner) != givers.end()) continue;
    const bool gives = !bounded && owner.domain == own.domain && is_above_guarantee(owner);
    if (owner == own || gives) givers.push_back(owner);
  }
  return givers;
}

uint64_t Inspector::ram_page_count() const {
  uint64_t count = 0;
  for (const NodeId node : objects()) count += pages(node).size();
  return count;
}

uint64_t Inspector::ram_slot_count() const {
  uint64_t slots = 0;
  for (uint16_t d = 0; d < cache_.store().pool().domain_count(); ++d) {
    slots += usage(model::DomainId{d}).slots;
  }
  return slots;
}

allocator::DomainUsage Inspector::usage(model::DomainId domain) const {
  return cache_.store().pool().usage(domain);
}

std::vector<allocator::SegmentView> Inspector::segments(model::DomainId domain) const {
  return cache_.store().pool().segments(domain);
}

const allocator::SegmentSupply& Inspector::supply() const { return cache_.store().pool().supply(); }

cache::Account Inspector::account(model::DomainId domain, const std::string& tenant,
                                  model::TierId tier) const {
  cache::TenantTable& tenants = cache_.names().tenants();
  const model::TenantId id = tenants.hold(domain, tenant);
  tenants.release(id);
  return cache_.store().presence().accounts().of(id, tier);
}

cache::Account Inspector::domain_account(model::DomainId domain) const {
  const cache::TenantTable& tenants = cache_.names().tenants();
  cache::Account sum;
  for (uint32_t t = 0; t < tenants.end_of_ids(); ++t) {
    const model::TenantId tenant{t};
    if (!tenants.in_use(tenant) || tenants.domain_of(tenant) != domain) continue;
    const cache::Account& one =
        cache_.store().presence().accounts().of(tenant, model::TierId::kRam);
    sum.used_bytes += one.used_bytes;
    sum.reserved_bytes += one.reserved_bytes;
  }
  return sum;
}

uint64_t Inspector::reserved_bytes() const {
  uint64_t bytes = 0;
  for (uint32_t t = 0; t < cache_.names().tenants().end_of_ids(); ++t) {
    bytes += cache_.store()
                 .presence()
                 .accounts()
                 .of(model::TenantId{t}, model::TierId::kRam)
                 .reserved_bytes;
  }
  return bytes;
}

uint64_t Inspector::path_bytes(model::DomainId domain) const {
  return cache_.store().presence().accounts().path_bytes(domain);
}

uint64_t Inspector::offers() const { return cache_.store().counters().offers; }

uint64_t Inspector::table_bytes() const { return cache_.table_bytes(); }

uint64_t Inspector::steps() const { return cache_.store().work().steps(); }

}  // namespace quire::tests
