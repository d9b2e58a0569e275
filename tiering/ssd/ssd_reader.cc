#include "tiering/ssd/ssd_reader.h"

#include <algorithm>

namespace quire::tiering {

using model::Errc;
using model::NodeId;

namespace {

TransferClass class_of(model::LoadClass load_class) {
  return load_class == model::LoadClass::kBatch ? TransferClass::kBatch
                                                : TransferClass::kInteractive;
}

Errc read_code(ObjectState state) {
  if (state == ObjectState::kGood) return Errc::kOk;
  return state == ObjectState::kCorrupt ? Errc::kCorrupt : Errc::kIoError;
}

}  // namespace

// Of the first objects: those that lie in adjacent slots, all of them encoded or none.
uint32_t SsdReader::run_length(std::span<const ReadObject> objects) const {
  const cache::Presence& presence = parts_.cache->store().presence();
  const uint32_t first = presence.place(objects.front().node)->slot;
  const uint64_t encoded = parts_.forms->encoded_slot_bytes(objects.front().node);
  uint32_t count = 1;
  while (count < std::min<size_t>(objects.size(), kMaxRunObjects)) {
    const NodeId node = objects[count].node;
    if (presence.place(node)->slot != first + count) break;
    if (parts_.forms->encoded_slot_bytes(node) != encoded) break;
    ++count;
  }
  return count;
}

model::Result<uint32_t> SsdReader::read(const ReadRun& run) {
  const NodeId first = run.objects.front().node;
  const SsdSlot slot{parts_.cache->store().presence().place(first)->slot};
  Transfer* transfer = parts_.mover->take(TransferKind::kPromote, class_of(run.load_class));
  if (transfer == nullptr) return 0u;
  if (auto opened = parts_.files->open(slot.region(), false); !opened.ok()) {
    parts_.mover->give_back(transfer);
    return opened.error();
  }
  uint32_t count = run_length(run.objects);
  if (const uint64_t encoded = parts_.forms->encoded_slot_bytes(first); encoded != 0) {
    count = std::min(count, parts_.forms->max_encoded(TransferKind::kPromote, encoded));
    if (!parts_.forms->set_encoded(*transfer, count, encoded)) {
      parts_.mover->give_back(transfer);
      return 0u;
    }
  }
  transfer->first = slot;
  transfer->job = run.job;
  transfer->layer_major = run.order == model::LoadOrder::kLayerMajor;
  for (const ReadObject& object : run.objects.first(count)) {
    parts_.mover->add_object(*transfer, object.node, object.slots);
  }
  parts_.mover->start(*transfer);
  return count;
}

void SsdReader::on_settled(Transfer& transfer, uint32_t index) {
  const TransferObject& object = transfer.objects[index];
  if (object.state == ObjectState::kGood) {
    allocator::Pool& pool = parts_.cache->store().pool();
    for (uint32_t p = 0; p < object.page_count; ++p) {
      const uint32_t at = object.first_page + p;
      pool.page(transfer.pages[at].slot).crc32c = transfer.checks[at].crc32c;
    }
  }
  events_->push_back({.kind = TierEvent::Kind::kRead,
                      .code = read_code(object.state),
                      .job = transfer.job,
                      .first = index});
  if (++transfer.handled == transfer.object_count) parts_.mover->give_back(&transfer);
}

}  // namespace quire::tiering
