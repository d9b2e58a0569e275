// The records of transfers, preallocated, so that moving pages allocates nothing.
//
// Each class has its own: a long load must not keep the others from starting. A record is its
// taker's from take() to give_back(); what was written keeps its record until it is durable.
// Invariant: a record is free, or in use; a free one has nothing in flight.
// Threads: core only. Lifetime: the engine outlives it. Bound: kMaxTransfers.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "allocator/flat_array.h"
#include "model/result.h"
#include "tiering/io/io_engine.h"
#include "tiering/transfer/ssd_transfer.h"

namespace quire::tiering {

// Records by class.
inline constexpr std::array<uint32_t, kTransferClasses> kRecords = {88, 144, 16, 8};
inline constexpr uint32_t kMaxTransfers = 256;
static_assert(kRecords[0] + kRecords[1] + kRecords[2] + kRecords[3] == kMaxTransfers);

class TransferTable {
 public:
  // Registers the memory of all headers with the engine where that has a place for it.
  static model::Result<std::unique_ptr<TransferTable>> create(IoEngine* engine);
  ~TransferTable();

  // A record to be filled in; null when all of this class are in use.
  Transfer* take(TransferKind kind, TransferClass priority);
  // Precondition: nothing of it is in flight.
  void give_back(Transfer& transfer);

  Transfer& operator[](uint64_t index) { return records_[index]; }
  std::span<Transfer> all() { return records_; }  // also those that are free
  std::span<const Transfer> all() const { return records_; }
  uint32_t in_use_count() const { return in_use_count_; }
  void check_invariants() const;

 private:
  explicit TransferTable(IoEngine* engine) : engine_(engine), records_(kMaxTransfers) {}

  IoEngine* engine_;
  allocator::ReservedMemory header_memory_;
  std::vector<Transfer> records_;  // never moves
  std::array<std::vector<Transfer*>, kTransferClasses> free_;
  uint32_t in_use_count_ = 0;
};

}  // namespace quire::tiering
