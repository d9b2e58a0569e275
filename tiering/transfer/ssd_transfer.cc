#include "tiering/transfer/ssd_transfer.h"

#include "model/check.h"

namespace quire::tiering {

namespace {

TransferObject& add_object(Transfer& transfer, model::NodeId node) {
  QUIRE_CHECK(transfer.object_count < kMaxRunObjects);
  TransferObject& object = transfer.objects[transfer.object_count++];
  object = TransferObject{.node = node, .first_page = static_cast<uint32_t>(transfer.pages.size())};
  return object;
}

uint32_t first_layer_of(cache::Cache& cache, model::NodeId node, model::GroupIndex group) {
  const cache::Root& root = cache.names().root(cache.store().tree().node(node).root());
  const auto& layers = root.layout->layout.groups[group].layers;
  return layers.empty() ? 0 : layers.front().layer;
}

}  // namespace

void add_ram_object(Transfer& transfer, cache::Cache& cache, model::NodeId node,
                    std::span<const model::SlotId> slots) {
  const std::vector<model::PlannedPage>& plan = cache.store().presence().plan_of(node).pages;
  QUIRE_CHECK(plan.size() == slots.size());
  TransferObject& object = add_object(transfer, node);
  uint64_t slot_offset = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    transfer.pages.push_back({.slot = slots[i],
                              .data = cache.store().pool().place(slots[i]).data,
                              .bytes = plan[i].bytes,
                              .slot_offset = slot_offset,
                              .first_layer = first_layer_of(cache, node, plan[i].group),
                              .group = plan[i].group,
                              .tail = plan[i].tail});
    slot_offset += whole_blocks(plan[i].bytes);
  }
  object.page_count = static_cast<uint32_t>(slots.size());
}

// Scratch memory is laid out as the slot is, so that all of it may be one operation.
void add_scratch_object(Transfer& transfer, cache::Cache& cache, model::NodeId node,
                        std::byte* scratch) {
  TransferObject& object = add_object(transfer, node);
  uint64_t slot_offset = 0;
  for (const model::PlannedPage& page : cache.store().presence().plan_of(node).pages) {
    transfer.pages.push_back({.data = scratch + slot_offset,
                              .bytes = page.bytes,
                              .slot_offset = slot_offset,
                              .group = page.group,
                              .tail = page.tail});
    slot_offset += whole_blocks(page.bytes);
    ++object.page_count;
  }
}

}  // namespace quire::tiering
