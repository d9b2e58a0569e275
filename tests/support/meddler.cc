#include "tests/support/meddler.h"

#include "tests/support/inspector.h"

namespace quire::tests {

using model::NodeId;

uint64_t Meddler::evict(uint64_t count) { return cache_.evictor().evict(count); }

bool Meddler::evict_from_ssd() { return cache_.evictor().evict_copy(model::TierId::kSsd, {}); }

bool Meddler::forget_from_cluster() {
  return cache_.evictor().evict_copy(model::TierId::kCluster, {});
}

uint64_t Meddler::empty_ssd() {
  uint64_t count = 0;
  while (evict_from_ssd()) ++count;
  return count;
}

bool Meddler::drop(NodeId node) {
  return cache_.store().drop(node, {cache::DepartureCause::kPolicy});
}

void Meddler::use(NodeId node) { cache_.board().used(node); }

// Pins are objects; by hand they are counts.
void Meddler::pin(NodeId node) {
  cache_.store().tree().marks().add_pin(node, cache::PinKind::kResidency);
}

void Meddler::unpin(NodeId node) {
  const cache::Pin last(&cache_.store(), node, cache::PinKind::kResidency);
  cache_.store().tree().marks().remove_pin(node, cache::PinKind::kResidency);
}

void Meddler::corrupt(NodeId node, uint64_t offset, size_t page) {
  Inspector(cache_).pages(node).at(page).bytes[offset] ^= std::byte{1};
}

void Meddler::quarantine(NodeId node) { cache_.store().quarantine(node); }

void Meddler::set_checksum(NodeId node, uint32_t crc32c, size_t page) {
  entry(node, page).crc32c = crc32c;
}

void Meddler::put_on_ssd(NodeId node, uint32_t slot) {
  cache_.store().gain_copy(node, model::TierId::kSsd, {.slot = slot, .generation = 0});
}

void Meddler::take_off_ssd(NodeId node) {
  cache_.store().lose_copy(node, model::TierId::kSsd, {cache::DepartureCause::kPolicy});
  cache_.store().given_up().clear();
}

void Meddler::make_readable(model::TierId tier) {
  cache_.store().presence().set_state(tier, {.readable = true});
}

void Meddler::promise_copies(bool soon) {
  cache_.store().presence().set_state(model::TierId::kSsd, {.readable = true, .writes_soon = soon});
}

bool Meddler::leave_ram(NodeId node) {
  const bool has_copy = cache_.store().tree().node(node).has_copy_below(model::TierId::kRam);
  if (!has_copy || !cache_.store().presence().may_leave(node, model::TierId::kRam)) return false;
  cache_.store().leave_ram(node, {cache::DepartureCause::kPolicy});
  return true;
}

allocator::Pool::Growth Meddler::grow(model::DomainId domain) {
  return cache_.store().pool().grow(domain);
}

bool Meddler::reclaim_dead(uint32_t budget) { return cache_.store().dead_roots().reclaim(budget); }

allocator::PageEntry& Meddler::entry(NodeId node, size_t page) {
  model::SlotId slot = cache_.store().presence().first_page(node);
  for (; page > 0 && slot.valid(); --page) slot = cache_.store().presence().next_page(slot);
  QUIRE_CHECK(slot.valid());
  return cache_.store().pool().page(slot);
}

}  // namespace quire::tests
