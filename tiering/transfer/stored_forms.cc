#include "tiering/transfer/stored_forms.h"

#include <algorithm>

namespace quire::tiering {

namespace {

constexpr uint64_t kTransfersBounced = 4;  // at least so many encoded ones have memory at once

}  // namespace

uint64_t StoredForms::object_bytes(model::NodeId node) const {
  return slot_bytes(cache_->store().presence().plan_of(node));
}

// No bit says that an object is encoded: a slot of another size than its pages does.
uint64_t StoredForms::encoded_slot_bytes(model::NodeId node) const {
  const auto place = cache_->store().presence().place(node);
  const uint64_t slot = files_->slot_bytes(SsdSlot{place->slot}.region());
  return slot == object_bytes(node) ? 0 : slot;
}

uint64_t StoredForms::limit(TransferKind kind) const {
  return kind == TransferKind::kDemote ? max_bytes_ / 2 : max_bytes_;
}

uint32_t StoredForms::max_encoded(TransferKind kind, uint64_t slot_bytes) const {
  const uint64_t count = limit(kind) / kTransfersBounced / slot_bytes;
  return static_cast<uint32_t>(std::clamp<uint64_t>(count, 1, kMaxRunObjects));
}

bool StoredForms::set_encoded(Transfer& transfer, uint32_t objects, uint64_t slot_bytes) {
  transfer.stored_form = bounce_.take(objects * slot_bytes, limit(transfer.kind));
  transfer.stored_slot_bytes = slot_bytes;
  return transfer.stored_form != nullptr;
}

void StoredForms::drop(Transfer& transfer) {
  if (transfer.stored_form != nullptr) bounce_.give_back(transfer.stored_form);
  transfer.stored_form = nullptr;
}

}  // namespace quire::tiering
