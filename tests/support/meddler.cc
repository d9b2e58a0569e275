#include "tests/support/meddler.h"

#include "tests/support/inspector.h"

namespace quire::tests {

using model::NodeId;

uint64_t Meddler::evict(uint64_t count) { return cache_.store().evict(count); }

bool Meddler::evict_from_ssd() { return cache_.store().evict_one_from_ssd(); }

uint64_t Meddler::empty_ssd() {
  uint64_t count = 0;
  while (evict_from_ssd()) ++count;
  return count;
}

bool Meddler::drop(NodeId node) { return cache_.store().drop(node, cache::DropReason::kEvicted); }

void Meddler::use(NodeId node) { cache_.store().use(node); }

void Meddler::pin(NodeId node) { cache_.store().pin(node); }

void Meddler::unpin(NodeId node) { cache_.store().unpin(node); }

void Meddler::corrupt(NodeId node, uint64_t offset, size_t page) {
  Inspector(cache_).pages(node).at(page).bytes[offset] ^= std::byte{1};
}

void Meddler::quarantine(NodeId node) { cache_.store().quarantine(node); }

void Meddler::set_checksum(NodeId node, uint32_t crc32c, size_t page) {
  entry(node, page).crc32c = crc32c;
}

void Meddler::put_on_ssd(NodeId node, uint32_t slot) {
  cache_.store().set_on_ssd(node, {.slot = slot, .generation = 0});
}

bool Meddler::leave_ram(NodeId node) { return cache_.store().leave_ram(node); }

allocator::Pool::Growth Meddler::grow(model::DomainId domain) {
  return cache_.store().pool().grow(domain);
}

bool Meddler::reclaim_dead(uint32_t budget) { return cache_.store().reclaim_dead(budget); }

allocator::PageEntry& Meddler::entry(NodeId node, size_t page) {
  model::SlotId slot = cache_.store().first_page(node);
  for (; page > 0 && slot.valid(); --page) slot = cache_.store().next_page(slot);
  QUIRE_CHECK(slot.valid());
  return cache_.store().pool().page(slot);
}

}  // namespace quire::tests
