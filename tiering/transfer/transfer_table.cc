#include "tiering/transfer/transfer_table.h"

#include <algorithm>

#include "model/check.h"

namespace quire::tiering {

model::Result<std::unique_ptr<TransferTable>> TransferTable::create(IoEngine* engine) {
  std::unique_ptr<TransferTable> table(new TransferTable(engine));
  const size_t bytes = size_t{kMaxTransfers} * kMaxRunObjects * sizeof(ExtentHeader);
  table->header_memory_ = QUIRE_TRY(allocator::ReservedMemory::reserve(bytes));
  auto* memory = static_cast<std::byte*>(table->header_memory_.data());
  // Without a place in the engine's table the kernel pins it for each operation: slower, no worse.
  const auto added = engine->add_buffer({memory, bytes});
  if (!added.ok() && added.code() != model::Errc::kResourceExhausted) return added.error();
  for (uint32_t i = 0; i < kMaxTransfers; ++i) {
    Transfer& transfer = table->records_[i];
    transfer.index = i;
    transfer.headers = reinterpret_cast<ExtentHeader*>(memory) + size_t{i} * kMaxRunObjects;
  }
  uint32_t next = 0;
  for (size_t c = 0; c < kTransferClasses; ++c) {
    for (uint32_t i = 0; i < kRecords[c]; ++i) {
      table->free_[c].push_back(&table->records_[next++]);
    }
  }
  return table;
}

TransferTable::~TransferTable() {
  engine_->remove_buffer(static_cast<const std::byte*>(header_memory_.data()));
}

// Field by field: the vectors keep their memory, so that a record that was used once allocates no
// more, and 16 objects of a few hundred bytes are not cleared for a run of one.
Transfer* TransferTable::take(TransferKind kind, TransferClass priority) {
  std::vector<Transfer*>& free = free_[static_cast<size_t>(priority)];
  if (free.empty()) return nullptr;
  Transfer& transfer = *free.back();
  free.pop_back();
  transfer.in_use = true;
  transfer.kind = kind;
  transfer.priority = priority;
  transfer.object_count = 0;
  transfer.handled = 0;
  transfer.layer_major = false;
  transfer.pages.clear();
  transfer.ops.clear();
  transfer.next_op = 0;
  transfer.hung_reported = false;
  transfer.stored_bytes = 0;
  transfer.stored_form = nullptr;
  transfer.stored_slot_bytes = 0;
  transfer.run = RunRecord{};
  ++in_use_count_;
  return &transfer;
}

void TransferTable::give_back(Transfer& transfer) {
  // The device or a worker would write into memory that is somebody else's by then.
  QUIRE_CHECK(transfer.in_use && transfer.ops_in_flight == 0 && transfer.checks_in_flight == 0);
  transfer.in_use = false;
  free_[static_cast<size_t>(transfer.priority)].push_back(&transfer);
  --in_use_count_;
}

void TransferTable::check_invariants() const {
  size_t free = 0;
  for (const std::vector<Transfer*>& of_class : free_) free += of_class.size();
  const auto used = std::count_if(records_.begin(), records_.end(),
                                  [](const Transfer& transfer) { return transfer.in_use; });
  QUIRE_CHECK(static_cast<uint64_t>(used) == in_use_count_ &&
              free + in_use_count_ == kMaxTransfers);
  for (const Transfer& transfer : records_) {
    QUIRE_CHECK(transfer.in_use || transfer.ops_in_flight + transfer.checks_in_flight == 0);
  }
}

}  // namespace quire::tiering
