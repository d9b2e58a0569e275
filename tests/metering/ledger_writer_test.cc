// The chain in its database: in groups, once each, through ends and failures of the device.
#include "server/metering/ledger_writer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "server/metering/ledger_reader.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/ledger_reading.h"

namespace quire::tests::ledger_writer_test {

using namespace model;
using server::LedgerItem;
using server::LedgerWriter;

namespace {

constexpr int64_t kNow = 1'790'000'000'000'000;  // some hour of 2026
constexpr int64_t kSecond = 1'000'000;

class LedgerWriterTest : public testing::Test {
 protected:
  LedgerWriterTest() {
    remove();
    files_.skip_device_syncs();
    open(kNow);
  }
  ~LedgerWriterTest() override {
    writer_.reset();
    remove();
  }
  void remove() const {
    std::filesystem::remove_all(path_);
    std::filesystem::remove(path_ + ".count");
  }
  // What a kill leaves is what was committed: every commit is synced, and nothing is written at the
  // end.
  void open(int64_t now_us) {
    writer_.reset();
    server::LedgerWriterOptions options;
    options.database = server::ledger_database(path_);
    options.database.env = files_.env();
    options.retention_us = retention_us_;
    options.most_bytes = most_bytes_;
    auto opened = LedgerWriter::open(options, now_us);
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    writer_ = std::move(opened).value();
  }
  static LedgerItem receipt(uint64_t session, uint64_t request,
                            LedgerItem::Kind kind = LedgerItem::Kind::kReceipt) {
    LedgerItem item;
    item.kind = kind;
    item.receipt.session = session;
    item.receipt.request_id = request;
    item.receipt.turn = 1;
    item.receipt.closed_us = kNow;
    item.receipt.prompt_tokens = 10;
    item.receipt.missed_tokens = 10;
    item.texts.set(static_cast<size_t>(ReceiptText::kPayer), "payer");
    return item;
  }
  static LedgerItem tick(int64_t now_us) {
    LedgerItem item;
    item.kind = LedgerItem::Kind::kTick;
    item.now_us = now_us;
    return item;
  }
  ReadLedger read() { return read_ledger(path_); }
  static std::vector<uint64_t> requests(const ReadLedger& ledger) {
    std::vector<uint64_t> ids;
    for (const ReadReceipt& receipt : ledger.receipts) ids.push_back(receipt.record.request_id);
    return ids;
  }

  int64_t retention_us_ = 0;
  uint64_t most_bytes_ = 0;
  FaultyFileSystem files_;
  const std::string path_ =
      testing::TempDir() + "quire-ledger-writer-" + std::to_string(::getpid());
  std::unique_ptr<LedgerWriter> writer_;
};

// What happens to the database's largest file of a kind while no daemon runs.
class DamagedLedger : public LedgerWriterTest {
 protected:
  void SetUp() override {
    for (uint64_t i = 0; i < 20; ++i) {
      writer_->take(receipt(i, 100 + i));
      ASSERT_TRUE(writer_->commit(kNow).ok());
    }
  }
  std::filesystem::path largest(const std::string& extension) const {
    std::filesystem::path found;
    uintmax_t most = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      if (file.path().extension() != extension || file.file_size() <= most) continue;
      most = file.file_size();
      found = file.path();
    }
    QUIRE_CHECK(most > 0);
    return found;
  }
  static void flip(const std::filesystem::path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(std::filesystem::file_size(path) / 3);
    char byte = 0;
    file.seekg(at).get(byte);
    file.seekp(at).put(static_cast<char>(byte ^ 4));
  }
  // Every row that can be read, and behind them that it is not all.
  void expect_told(size_t fewer_than) {
    const ReadLedger ledger = read();
    EXPECT_TRUE(ledger.ended);
    EXPECT_FALSE(ledger.faults.empty());
    EXPECT_LT(ledger.receipts.size(), fewer_than);
  }
};

}  // namespace

TEST_F(DamagedLedger, ABitFlippedInItsLogIsTold) {
  writer_.reset();
  EXPECT_TRUE(read().faults.empty());
  flip(largest(".log"));
  expect_told(20);
}

TEST_F(DamagedLedger, ALogThatWasCutOffIsTold) {
  writer_.reset();
  const std::filesystem::path log = largest(".log");
  std::filesystem::resize_file(log, std::filesystem::file_size(log) / 2);
  expect_told(20);
}

TEST_F(DamagedLedger, ABitFlippedInATableIsTold) {
  open(kNow + kSecond);  // makes a table of the log
  writer_.reset();
  flip(largest(".sst"));
  expect_told(21);
}

// One fault, and all that the damaged place does not hold.
TEST_F(DamagedLedger, WhatLiesBehindADamagedPlaceOfATableIsRead) {
  for (uint64_t i = 20; i < 600; ++i) {
    writer_->take(receipt(i, 100 + i));
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  open(kNow + kSecond);
  writer_.reset();
  ASSERT_EQ(read().receipts.size(), 600u);
  flip(largest(".sst"));
  const ReadLedger ledger = read();
  ASSERT_EQ(ledger.faults.size(), 1u);
  EXPECT_NE(ledger.faults[0].find("the table that holds it is damaged there"), std::string::npos)
      << ledger.faults[0];
  const std::vector<uint64_t> ids = requests(ledger);
  EXPECT_GT(ids.size(), 450u);
  EXPECT_LT(ids.size(), 600u);
  EXPECT_EQ(ids.front(), 100u);
  EXPECT_EQ(ids.back(), 699u);
}

TEST_F(LedgerWriterTest, WhatIsCommittedIsThereOnceAndWhatIsNotIsNot) {
  writer_->take(receipt(1, 11));
  writer_->take(receipt(2, 12));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  writer_->take(receipt(3, 13));
  open(kNow);
  const ReadLedger ledger = read();
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  EXPECT_EQ(requests(ledger), (std::vector<uint64_t>{11, 12}));
  EXPECT_EQ(ledger.receipts[0].text(ReceiptText::kPayer), "payer");
  EXPECT_EQ(ledger.starts.size(), 2u);
  EXPECT_EQ(to_text(ledger.head.position), "2.1");
}

TEST_F(LedgerWriterTest, AnOpenTurnHasItsReceiptAtTheNextStart) {
  writer_->take(receipt(1, 11, LedgerItem::Kind::kOpenTurn));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  LedgerItem later = receipt(1, 11, LedgerItem::Kind::kOpenTurn);
  later.receipt.delivered_tokens[0] = 8;
  writer_->take(later);
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow + kSecond);
  const ReadLedger ledger = read();
  ASSERT_EQ(requests(ledger), (std::vector<uint64_t>{11}));
  EXPECT_EQ(ledger.receipts[0].record.end, static_cast<uint8_t>(ReceiptEnd::kDaemonDied));
  EXPECT_EQ(ledger.receipts[0].record.delivered_tokens[0], 8u) << "as far as it was";
  EXPECT_EQ(ledger.starts[1].recovered_turns, 1u);
  open(kNow + 2 * kSecond);
  EXPECT_EQ(requests(read()), (std::vector<uint64_t>{11})) << "once";
}

// The row on the device goes with the receipt, in whatever order the session's turns were told.
TEST_F(LedgerWriterTest, ATurnThatEndedIsNotOpenAtTheNextStart) {
  writer_->take(receipt(1, 11, LedgerItem::Kind::kOpenTurn));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  writer_->take(receipt(1, 11));
  writer_->take(receipt(1, 12, LedgerItem::Kind::kOpenTurn));
  writer_->take(receipt(1, 12));
  writer_->take(receipt(2, 21, LedgerItem::Kind::kOpenTurn));
  writer_->take(receipt(2, 21));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow + kSecond);
  EXPECT_EQ(requests(read()), (std::vector<uint64_t>{11, 12, 21}));
  EXPECT_EQ(writer_->start().recovered_turns, 0u);
}

TEST_F(LedgerWriterTest, MoreOpenTurnsThanABlockHoldsAreAllRecoveredOnce) {
  constexpr uint64_t kTurns = kMaxBlockEntries + 300;
  for (uint64_t session = 1; session <= kTurns; ++session) {
    writer_->take(receipt(session, session, LedgerItem::Kind::kOpenTurn));
  }
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow + kSecond);
  EXPECT_EQ(read().receipts.size(), kTurns);
  open(kNow + kSecond);
  EXPECT_EQ(read().receipts.size(), kTurns);
  EXPECT_TRUE(read().faults.empty());
}

TEST_F(LedgerWriterTest, AStartSaysWhichTimeIsUnknown) {
  writer_->take(tick(kNow + 5 * kSecond));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow + 60 * kSecond);
  EXPECT_EQ(writer_->start().unknown_from_us, kNow + 5 * kSecond);
  EXPECT_EQ(writer_->start().unknown_to_us, kNow + 60 * kSecond);
  EXPECT_EQ(read().starts[1].unknown_from_us, kNow + 5 * kSecond);
}

// An older copy of the directory that ended in order, as all of it did: what came later is missing,
// and the ledger itself says so for good.
TEST_F(LedgerWriterTest, WhatAnOlderCopyLacksIsUnknown) {
  const std::string copy = path_ + ".copy";
  ASSERT_TRUE(writer_->stop(kNow + kSecond).ok());
  writer_.reset();
  std::filesystem::remove_all(copy);
  std::filesystem::copy(path_, copy, std::filesystem::copy_options::recursive);
  open(kNow + 10 * kSecond);
  writer_->take(receipt(1, 11));
  ASSERT_TRUE(writer_->stop(kNow + 20 * kSecond).ok());
  writer_.reset();
  std::filesystem::remove_all(path_);
  std::filesystem::rename(copy, path_);
  for (int start = 0; start < 2; ++start) {
    open(kNow + (60 + start) * kSecond);
    ASSERT_TRUE(writer_->stop(kNow + (60 + start) * kSecond).ok());
  }
  const ReadLedger ledger = read();
  ASSERT_EQ(ledger.starts.size(), 3u);
  EXPECT_EQ(ledger.starts[1].unknown_from_us, kNow + kSecond);
  EXPECT_EQ(ledger.starts[1].unknown_to_us, kNow + 60 * kSecond);
  EXPECT_GT(ledger.starts[1].missing_writes, 0u);
  EXPECT_EQ(ledger.starts[2].unknown_from_us, ledger.starts[2].unknown_to_us);
  EXPECT_EQ(ledger.starts[2].missing_writes, 0u) << "told once";
}

TEST_F(LedgerWriterTest, AnEpochThatEndsInOrderSaysSo) {
  writer_->take(receipt(1, 11));
  ASSERT_TRUE(writer_->stop(kNow + kSecond).ok());
  open(kNow + 60 * kSecond);
  EXPECT_EQ(writer_->start().unknown_from_us, writer_->start().unknown_to_us);
  ASSERT_EQ(read().stops.size(), 1u);
  EXPECT_EQ(read().stops[0].stopped_us, kNow + kSecond);
}

// At each operation on the device in turn: what a commit failed at is there once after resume().
TEST_F(LedgerWriterTest, AFailedCommitIsWrittenOnceAfterResume) {
  uint64_t request = 0;
  for (uint64_t nth = 1; nth <= 6; ++nth) {
    writer_->take(receipt(1, ++request));
    files_.fail_change(nth, ENOSPC, true);
    const auto failed = writer_->commit(kNow);
    if (!failed.ok()) {
      EXPECT_FALSE(writer_->has_room()) << "nothing is taken that could not be written";
      EXPECT_FALSE(writer_->commit(kNow).ok()) << "not tried again by itself";
    }
    files_.lift();
    ASSERT_TRUE(writer_->resume().ok());
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  open(kNow);
  std::vector<uint64_t> all(request);
  for (uint64_t i = 0; i < request; ++i) all[i] = i + 1;
  EXPECT_EQ(requests(read()), all);
  EXPECT_TRUE(read().faults.empty());
}

TEST_F(LedgerWriterTest, AFailedSyncIsNotRetriedOnTheSameFile) {
  writer_->take(receipt(1, 11));
  files_.fail(FileOperation::kSync, 1, EIO, false);
  ASSERT_FALSE(writer_->commit(kNow).ok());
  EXPECT_FALSE(writer_->commit(kNow).ok());
  ASSERT_TRUE(writer_->resume().ok());
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow);
  EXPECT_EQ(requests(read()), (std::vector<uint64_t>{11}));
}

TEST_F(LedgerWriterTest, SumsByMinuteAndHourAreThoseOfTheReceipts) {
  for (int minute = 0; minute < 90; ++minute) {
    LedgerItem item = receipt(1, 100 + minute);
    item.receipt.closed_us = kNow + minute * server::kMinuteUs;
    writer_->take(item);
    if (minute == 45) {
      ASSERT_TRUE(writer_->commit(item.receipt.closed_us).ok());
      open(item.receipt.closed_us);  // an hour of two epochs
    }
  }
  const int64_t end = kNow + 90 * server::kMinuteUs;
  writer_->take(tick(end));
  ASSERT_TRUE(writer_->commit(end).ok());
  for (bool more = true; more;) more = *writer_->upkeep(end, end);
  const ReadLedger minutes = read_ledger(path_, {.what = server::LedgerQuery::What::kMinutes});
  EXPECT_EQ(minutes.rollups.size(), 90u);
  const ReadLedger hours = read_ledger(path_, {.what = server::LedgerQuery::What::kHours});
  uint64_t turns = 0;
  for (const ReadRollup& row : hours.rollups) {
    turns += row.sums.turns;
    EXPECT_EQ(row.sums.prompt_tokens, 10 * row.sums.turns);
    EXPECT_EQ(row.key.begin_us % server::kHourUs, 0);
    EXPECT_EQ(row.texts[1], "payer");
  }
  uint64_t over = 0;  // of hours that are over
  for (const ReadRollup& row : minutes.rollups) {
    if (row.key.begin_us < end / server::kHourUs * server::kHourUs) over += row.sums.turns;
  }
  EXPECT_EQ(turns, over);
  EXPECT_GT(turns, 0u);
}

// Set back, it must not write over what was summed before.
TEST_F(LedgerWriterTest, SumsStayWholeWhereTheWallClockIsSetBack) {
  for (const int64_t minute : {0, 5, 2, 5, 1}) {
    LedgerItem item = receipt(1, 1);
    item.receipt.closed_us = kNow + minute * server::kMinuteUs;
    writer_->take(item);
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  uint64_t turns = 0;
  for (const auto& row :
       read_ledger(path_, {.what = server::LedgerQuery::What::kMinutes}).rollups) {
    turns += row.sums.turns;
  }
  EXPECT_EQ(turns, 5u);
}

TEST_F(LedgerWriterTest, WhatIsTooOldGoesAndTheRestVerifies) {
  retention_us_ = server::kHourUs;
  open(kNow);
  for (int i = 0; i < 5; ++i) {
    writer_->take(receipt(1, 100 + i));
    ASSERT_TRUE(writer_->commit(kNow + i * server::kHourUs / 2).ok());
  }
  ASSERT_TRUE(
      writer_->upkeep(kNow + 2 * server::kHourUs + kSecond, kNow + 2 * server::kHourUs + kSecond)
          .ok());
  const ReadLedger ledger = read();
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  EXPECT_EQ(requests(ledger), (std::vector<uint64_t>{103, 104}));
  EXPECT_EQ(ledger.pruned.size(), 1u);
}

TEST_F(LedgerWriterTest, BeyondItsBytesTheOldestGoAndTheRestVerifies) {
  const uint64_t empty = writer_->block_bytes();
  writer_->take(receipt(1, 100));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  const uint64_t one = writer_->block_bytes() - empty;
  most_bytes_ = empty + 3 * one;
  open(kNow);
  for (int i = 1; i < 6; ++i) {
    writer_->take(receipt(1, 100 + i));
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  ASSERT_TRUE(writer_->upkeep(kNow, kNow).ok());
  EXPECT_LE(writer_->block_bytes(), most_bytes_ + one) << "with the entry that says so";
  const ReadLedger ledger = read();
  EXPECT_EQ(ledger.faults, std::vector<std::string>());
  EXPECT_EQ(requests(ledger).back(), 105u);
  EXPECT_GE(requests(ledger).size(), 2u);
  EXPECT_LT(requests(ledger).size(), 5u);
  EXPECT_EQ(ledger.pruned.size(), 1u);
}

TEST_F(LedgerWriterTest, TheSizeIsThatOfTheBlocksAlsoAfterAStart) {
  for (int i = 0; i < 3; ++i) {
    writer_->take(receipt(1, 100 + i));
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  const auto counted = [&] {
    uint64_t bytes = 0;
    const auto read_blocks = [&](const tiering::DatabaseReader& reader) -> model::Result<void> {
      tiering::DatabaseScan blocks = reader.scan_prefix(server::kBlockRows);
      for (; blocks.valid(); blocks.next()) bytes += blocks.value().size();
      return blocks.result();
    };
    const tiering::RocksStore& rows = (*writer_).store();
    EXPECT_TRUE(rows.read(read_blocks).ok());
    return bytes;
  };
  EXPECT_EQ(writer_->block_bytes(), counted());
  open(kNow);
  EXPECT_EQ(writer_->block_bytes(), counted());
}

TEST_F(LedgerWriterTest, AReaderThatNamesAPositionGetsWhatFollowsIt) {
  for (int i = 0; i < 5; ++i) {
    writer_->take(receipt(1, 100 + i));
    ASSERT_TRUE(writer_->commit(kNow).ok());
  }
  const ReadLedger ledger = read_ledger(path_, {.after = {1, 4}});  // its block holds 1.4 alone
  EXPECT_EQ(requests(ledger), (std::vector<uint64_t>{102, 103, 104}));
}

// The index of hours keeps the first block of each, whatever begins in the middle of it.
TEST_F(LedgerWriterTest, AStartWithinAnHourHidesNothingOfIt) {
  writer_->take(receipt(1, 100));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  open(kNow + kSecond);
  writer_->take(receipt(1, 101));
  ASSERT_TRUE(writer_->commit(kNow + 2 * kSecond).ok());
  EXPECT_EQ(requests(read_ledger(path_, {.from_us = kNow})), (std::vector<uint64_t>{100, 101}));
}

TEST_F(LedgerWriterTest, AClockThatGoesBackOverAnHourHidesNothing) {
  writer_->take(receipt(1, 100));
  ASSERT_TRUE(writer_->commit(kNow + server::kHourUs).ok());
  writer_->take(receipt(1, 101));
  ASSERT_TRUE(writer_->commit(kNow).ok());
  writer_->take(receipt(1, 102));
  ASSERT_TRUE(writer_->commit(kNow + server::kHourUs).ok());
  EXPECT_EQ(requests(read_ledger(path_, {.from_us = kNow + server::kHourUs})),
            (std::vector<uint64_t>{100, 101, 102}));
}

TEST_F(LedgerWriterTest, AnHourIsSummedOnceAllOfItIsTold) {
  LedgerItem late = receipt(1, 1);
  late.receipt.closed_us = kNow / server::kHourUs * server::kHourUs + server::kHourUs - kSecond;
  const int64_t next_hour = late.receipt.closed_us + 2 * kSecond;
  writer_->take(tick(late.receipt.closed_us));
  ASSERT_TRUE(writer_->commit(next_hour).ok());
  ASSERT_TRUE(writer_->upkeep(next_hour, next_hour).ok());
  writer_->take(late);
  writer_->take(tick(next_hour));
  ASSERT_TRUE(writer_->commit(next_hour).ok());
  for (bool more = true; more;) more = *writer_->upkeep(next_hour, next_hour);
  uint64_t turns = 0;
  for (const auto& row : read_ledger(path_, {.what = server::LedgerQuery::What::kHours}).rollups) {
    turns += row.sums.turns;
  }
  EXPECT_EQ(turns, 1u);
}

TEST_F(LedgerWriterTest, AReaderThatNamesATimeBeginsNotMuchEarlier) {
  for (int hour = 0; hour < 4; ++hour) {
    writer_->take(receipt(1, 100 + hour));
    ASSERT_TRUE(writer_->commit(kNow + hour * server::kHourUs).ok());
  }
  const ReadLedger ledger = read_ledger(path_, {.from_us = kNow + 2 * server::kHourUs});
  EXPECT_EQ(requests(ledger), (std::vector<uint64_t>{102, 103}));
}

}  // namespace quire::tests::ledger_writer_test
