// The ledger's database and the chain in it: takes what the core told, and makes it durable in
// groups.
//
//   take(item) ... --> commit(): one synced write of a block, the chain's head, open turns, sums
//              '-- failed --> the same write again after resume(), never a second one
//
// 1. A receipt is in the chain once: its block, the head behind it and the end of its open turn's
//    row are one write.
// 2. A write that failed is kept and written again as it was, under the same key (fail-stop:
// nothing
//    is written before the database was opened anew). So it is there once, whether it had reached
//    the device or not.
// 3. Each start begins an epoch. What the one before left open has receipts in it, before anything
//    else.
//
// Threads: the ledger's alone. Blocks on the device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "model/receipts/ledger_block.h"
#include "model/result.h"
#include "server/metering/ledger_item.h"
#include "server/metering/ledger_rows.h"
#include "server/metering/rollup_table.h"
#include "tiering/database/rocks_store.h"

namespace quire::server {

struct LedgerWriterOptions {
  tiering::DatabaseOptions database;
  int64_t retention_us = 0;  // of blocks; 0: for ever
  uint64_t most_bytes = 0;   // of blocks: the oldest go beyond that; 0: no bound
  int64_t minutes_us = 0;    // of sums by minute; 0: for ever
};

// What a start found of the epoch before.
struct LedgerStart {
  uint64_t epoch = 0;
  uint32_t recovered_turns = 0;
  // Turns that ended between these may be missing; equal: none are.
  int64_t unknown_from_us = 0;
  int64_t unknown_to_us = 0;
};

class LedgerWriter {
 public:
  // Opens the database and begins an epoch, durably. Errors of RocksStore::open; kCorrupt: what it
  // holds is no ledger.
  static model::Result<std::unique_ptr<LedgerWriter>> open(const LedgerWriterOptions& options,
                                                           int64_t now_us);

  // Whether take() has room. Not while a failed write waits.
  bool has_room() const { return !unwritten_ && !block_.full(); }
  void take(const LedgerItem& item);
  // Something was taken that is not durable.
  bool has_uncommitted() const;
  // Receipts and spans of storage among it.
  size_t uncommitted() const { return block_.count() + unwritten_entries_; }
  // Makes all of it durable. kIoError, kResourceExhausted: nothing is, until resume().
  model::Result<void> commit(int64_t now_us);
  // After a failure.
  model::Result<void> resume() { return store_->resume(); }
  // The last entry of an epoch that ends in order.
  model::Result<void> stop(int64_t now_us);
  // What has time: sums of an hour that is over, what is older than it is kept. A bounded step;
  // true: there is more.
  // `aged_us`: the time by which things are old, which a wall clock that leaps does not move.
  model::Result<bool> upkeep(int64_t now_us, int64_t aged_us);

  const HeadRow& head() const { return head_; }
  uint64_t block_bytes() const { return block_bytes_; }  // durable
  const LedgerStart& start() const { return start_; }
  const tiering::RocksStore& store() const { return *store_; }

 private:
  static constexpr size_t kPrunedRows = 256;  // of each kind, a step

  LedgerWriter(const LedgerWriterOptions& options, std::unique_ptr<tiering::RocksStore> store)
      : options_(options), store_(std::move(store)) {}
  model::Result<void> begin_epoch(int64_t now_us);
  model::Result<void> recover(int64_t now_us);
  void build(int64_t now_us);
  model::Result<bool> prune(int64_t now_us, int64_t aged_us);
  bool is_to_go(const model::LedgerBlock& block, int64_t aged_us, uint64_t left_bytes) const;

  const LedgerWriterOptions options_;
  const std::unique_ptr<tiering::RocksStore> store_;
  HeadRow head_;  // durable
  uint64_t block_bytes_ = 0;
  LedgerStart start_;
  std::optional<RollupTable> rollups_;
  model::BlockBuilder block_;
  // Rows of open turns as they are to be; none: to be erased. By session.
  std::unordered_map<uint64_t, std::optional<std::string>> turns_;
  std::unordered_set<uint64_t> turns_on_disk_;
  std::optional<int64_t> told_us_;  // of a tick that was taken
  bool stopped_ = false;
  int64_t hour_ = -1;  // of the last 'T' row
  // A write that failed, and what stands behind it.
  std::optional<tiering::DatabaseBatch> unwritten_;
  size_t unwritten_entries_ = 0;
  HeadRow next_head_;
  uint64_t next_block_bytes_ = 0;
};

}  // namespace quire::server
