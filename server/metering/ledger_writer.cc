#include "server/metering/ledger_writer.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace quire::server {

using model::Errc;
using model::make_error;
using model::Result;
using tiering::DatabaseBatch;
using tiering::DatabaseReader;
using tiering::DatabaseScan;

Result<std::unique_ptr<LedgerWriter>> LedgerWriter::open(const LedgerWriterOptions& options,
                                                         int64_t now_us) {
  auto store = QUIRE_TRY(tiering::RocksStore::open(options.database));
  std::unique_ptr<LedgerWriter> writer(new LedgerWriter(options, std::move(store)));
  QUIRE_TRY(writer->begin_epoch(now_us));
  return writer;
}

Result<void> LedgerWriter::begin_epoch(int64_t now_us) {
  const auto read = [this](const DatabaseReader& reader) -> Result<void> {
    head_ = QUIRE_TRY(read_head(reader));
    block_bytes_ = QUIRE_TRY(read_block_bytes(reader));
    const auto last_hour =
        QUIRE_TRY(reader.last_key(std::string(1, kHourRows), std::string(1, kHourRows + 1)));
    if (last_hour) hour_ = static_cast<int64_t>(read_big_endian(*last_hour, 1));
    return {};
  };
  QUIRE_TRY(store_->read(read));
  start_.epoch = head_.head.position.epoch + 1;
  // A ledger that is new, or whose epoch ended in order, lacks nothing, but where the database once
  // held more: whole epochs may have stood behind that end.
  const bool lacks =
      (head_.head.position.epoch > 0 && head_.stopped == 0) || store_->missing_writes() > 0;
  // Where the wall clock was set back meanwhile, the span is empty rather than turned round.
  start_.unknown_from_us = lacks ? std::min(head_.told_us, now_us) : now_us;
  start_.unknown_to_us = now_us;
  rollups_.emplace(start_.epoch, std::max(head_.told_us, now_us));
  QUIRE_TRY(recover(now_us));
  told_us_ = now_us;
  QUIRE_TRY(commit(now_us));
  if (store_->missing_writes() > 0) store_->accept_missing();  // the start's entry says it
  return {};
}

// The receipts of turns that the end of the last epoch cut short, in blocks of the new one.
Result<void> LedgerWriter::recover(int64_t now_us) {
  std::vector<LedgerItem> open_turns;
  QUIRE_TRY(store_->read([&](const DatabaseReader& reader) -> Result<void> {
    DatabaseScan rows = reader.scan_prefix(kOpenTurnRows);
    for (; rows.valid(); rows.next()) {
      LedgerItem item;
      if (!parse_open_turn(rows.value(), item)) {
        return make_error(Errc::kCorrupt, "an open turn is none: " + options_.database.repair);
      }
      open_turns.push_back(item);
    }
    return rows.result();
  }));
  start_.recovered_turns = static_cast<uint32_t>(open_turns.size());
  block_.add(model::StartRecord{.started_us = now_us,
                                .unknown_from_us = start_.unknown_from_us,
                                .unknown_to_us = start_.unknown_to_us,
                                .recovered_turns = start_.recovered_turns,
                                .missing_writes = static_cast<uint32_t>(
                                    std::min<uint64_t>(store_->missing_writes(), UINT32_MAX))});
  for (LedgerItem& item : open_turns) {
    if (block_.full()) QUIRE_TRY(commit(now_us));
    item.kind = LedgerItem::Kind::kReceipt;
    item.receipt.end = static_cast<uint8_t>(model::ReceiptEnd::kDaemonDied);
    turns_on_disk_.insert(item.receipt.session);
    take(item);
  }
  return {};
}

void LedgerWriter::take(const LedgerItem& item) {
  switch (item.kind) {
    case LedgerItem::Kind::kReceipt: {
      const model::ReceiptTexts texts = item.texts.all();
      block_.add(item.receipt, texts);
      rollups_->add(item.receipt, texts);
      const uint64_t session = item.receipt.session;
      if (turns_on_disk_.contains(session)) {
        turns_[session] = std::nullopt;
      } else {
        turns_.erase(session);  // it never got to the device
      }
      return;
    }
    case LedgerItem::Kind::kOpenTurn:
      turns_[item.receipt.session] = open_turn_row(item);
      return;
    case LedgerItem::Kind::kStorage:
      return block_.add(item.storage, item.texts.get(0), item.texts.get(1));
    case LedgerItem::Kind::kLost:
      return block_.add(item.lost);
    case LedgerItem::Kind::kTick:
      told_us_ = item.now_us;
      return;
  }
}

bool LedgerWriter::has_uncommitted() const {
  return unwritten_ || block_.count() > 0 || !turns_.empty() || told_us_.has_value();
}

void LedgerWriter::build(int64_t now_us) {
  DatabaseBatch& batch = unwritten_.emplace();
  next_head_ = head_;
  next_block_bytes_ = block_bytes_;
  unwritten_entries_ = block_.count();
  if (block_.count() > 0) {
    const std::string block = block_.finish(next_head_.head, start_.epoch, now_us);
    const model::LedgerPosition first{start_.epoch,
                                      next_head_.head.position.sequence - unwritten_entries_ + 1};
    batch.put(block_key(first), block);
    next_block_bytes_ += block.size();
    if (now_us / kHourUs > hour_) {
      hour_ = now_us / kHourUs;
      batch.put(hour_key(now_us), row_of(first));
    }
  }
  for (auto& [session, row] : turns_) {
    if (row) {
      batch.put(open_turn_key(session), std::move(*row));
      turns_on_disk_.insert(session);
    } else {
      batch.erase(open_turn_key(session));
      turns_on_disk_.erase(session);
    }
  }
  turns_.clear();
  rollups_->write_to(batch);
  if (told_us_) {
    next_head_.told_us = *told_us_;
    told_us_.reset();
  }
  next_head_.stopped = stopped_ ? 1 : 0;
  batch.put(std::string(kHeadKey), row_of(next_head_));
  batch.put(std::string(kSizeKey), size_row(next_block_bytes_));
}

Result<void> LedgerWriter::commit(int64_t now_us) {
  if (!unwritten_) {
    if (!has_uncommitted()) return {};
    build(now_us);
  }
  QUIRE_TRY(store_->check_writable());
  const DatabaseBatch* batch = &*unwritten_;
  QUIRE_TRY(store_->write({&batch, 1}));
  head_ = next_head_;
  block_bytes_ = next_block_bytes_;
  unwritten_.reset();
  unwritten_entries_ = 0;
  return {};
}

Result<void> LedgerWriter::stop(int64_t now_us) {
  if (stopped_) return commit(now_us);
  QUIRE_TRY(commit(now_us));
  block_.add(model::StopRecord{.stopped_us = now_us});
  told_us_ = now_us;
  stopped_ = true;
  return commit(now_us);
}

Result<bool> LedgerWriter::upkeep(int64_t now_us, int64_t aged_us) {
  if (unwritten_) return false;
  DatabaseBatch batch;
  bool more = false;
  const auto collect = [&](const DatabaseReader& reader) -> Result<void> {
    // Only what is told is over: receipts of that hour may wait for the device still.
    more = QUIRE_TRY(RollupTable::close_hour(reader, std::min(now_us, head_.told_us), batch));
    if (options_.minutes_us == 0) return {};
    const int64_t before_us = aged_us - options_.minutes_us;
    const size_t pruned = RollupTable::prune_minutes(reader, before_us, kPrunedRows, batch);
    more = more || pruned == kPrunedRows;
    return {};
  };
  QUIRE_TRY(store_->read(collect));
  if (!batch.empty()) {
    QUIRE_TRY(store_->check_writable());
    const DatabaseBatch* one = &batch;
    QUIRE_TRY(store_->write({&one, 1}));
  }
  return QUIRE_TRY(prune(now_us, aged_us)) || more;
}

bool LedgerWriter::is_to_go(const model::LedgerBlock& block, int64_t aged_us,
                            uint64_t left_bytes) const {
  if (block.head() == head_.head) return false;  // the chain's end stays
  const bool is_old =
      options_.retention_us != 0 && block.header().written_us < aged_us - options_.retention_us;
  return is_old || (options_.most_bytes != 0 && left_bytes > options_.most_bytes);
}

// Blocks go from the oldest on, and an entry behind them says so: the chain begins with the first
// that is left. One that cannot be read stays, for it may be looked into.
Result<bool> LedgerWriter::prune(int64_t now_us, int64_t aged_us) {
  if (options_.retention_us == 0 && block_bytes_ <= options_.most_bytes) return false;
  std::vector<std::string> gone;
  uint64_t gone_bytes = 0;
  model::PrunedRecord pruned{.pruned_us = now_us};
  QUIRE_TRY(store_->read([&](const DatabaseReader& reader) -> Result<void> {
    DatabaseScan blocks = reader.scan_prefix(kBlockRows);
    for (; blocks.valid() && gone.size() < kPrunedRows; blocks.next()) {
      const auto block = model::LedgerBlock::parse(blocks.value());
      if (!block.ok() || !is_to_go(*block, aged_us, block_bytes_ - gone_bytes)) return {};
      pruned.last = block->head();
      gone_bytes += blocks.value().size();
      gone.emplace_back(blocks.key());
    }
    return blocks.result();
  }));
  if (gone.empty()) return false;
  block_.add(pruned);
  build(now_us);
  for (std::string& key : gone) unwritten_->erase(std::move(key));
  next_block_bytes_ -= gone_bytes;
  unwritten_->put(std::string(kSizeKey), size_row(next_block_bytes_));
  QUIRE_TRY(commit(now_us));
  return gone.size() == kPrunedRows;
}

}  // namespace quire::server
