// Between the core and the ledger's device: nothing is lost without a word, and the core never
// waits.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <random>
#include <thread>

#include "server/metering/ledger.h"
#include "server/metering/ledger_reader.h"
#include "tests/support/ledger_reading.h"
#include "tests/support/manual_clock.h"
#include "tests/support/patience.h"

namespace quire::tests::ledger_queue_test {

using model::Errc;
using server::Ledger;

namespace {

constexpr uint64_t kBeyond = 100;

bool becomes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class LedgerQueue : public testing::Test {
 protected:
  LedgerQueue() { std::filesystem::remove_all(parent_); }
  ~LedgerQueue() override { std::filesystem::remove_all(parent_); }

  std::string path() const { return parent_ + "/ledger"; }
  std::unique_ptr<Ledger> open() {
    server::LedgerOptions options;
    options.writer.database = server::ledger_database(path());
    auto opened = Ledger::open(options);
    EXPECT_TRUE(opened.ok()) << opened.error().text;
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
  static server::TurnRecord turn(uint64_t request) {
    server::TurnRecord record;
    record.request_id = request;
    record.turn = 1;
    record.prompt_tokens = record.missed_tokens = 10;
    return record;
  }
  // A file where the directory has to be: the database cannot be made.
  void obstruct() { std::ofstream(parent_) << "in the way"; }
  void mend() {
    std::filesystem::remove_all(parent_);
    std::filesystem::create_directory(parent_);
  }

  const std::string parent_ =
      testing::TempDir() + "quire-ledger-queue-" + std::to_string(::getpid());
};

}  // namespace

// Behind each other, and only what means something crosses the queue.
TEST(LedgerItem, TextsAreFoundWhateverTheirLengths) {
  const std::string longest(model::kMaxNameBytes, 'x');
  server::ItemTexts texts;
  texts.set(0, longest);
  texts.set(2, "model");
  EXPECT_EQ(texts.get(0), longest);
  EXPECT_EQ(texts.get(1), "");
  EXPECT_EQ(texts.get(2), "model");
  EXPECT_EQ(texts.used_bytes(), 8 + longest.size() + 5);
  texts.set(0, "a");
  EXPECT_EQ(texts.get(0), "a");
  EXPECT_EQ(texts.get(2), "") << "of the item before";
  for (size_t i = 0; i < model::kReceiptTexts; ++i) texts.set(i, longest + "cut");
  for (size_t i = 0; i < model::kReceiptTexts; ++i) EXPECT_EQ(texts.get(i), longest);
  EXPECT_LE(texts.used_bytes(), sizeof(texts));
}

TEST_F(LedgerQueue, WhatFindsNoPlaceIsCountedAndNamedInTheChain) {
  obstruct();
  const auto ledger = open();
  EXPECT_FALSE(ledger->status().ok);
  EXPECT_FALSE(ledger->status().reason.empty());
  for (uint64_t i = 1; i <= Ledger::kQueueItems + kBeyond; ++i) ledger->on_turn(turn(i));
  EXPECT_EQ(ledger->status().lost, kBeyond);
  mend();
  ASSERT_TRUE(becomes_true([&] { return ledger->status().ok && ledger->status().waiting == 0; }));
  ledger->on_turn(turn(1'000'000));
  ASSERT_TRUE(becomes_true([&] { return read_ledger(path()).lost.size() == 1; }));
  const ReadLedger read = read_ledger(path());
  EXPECT_EQ(read.faults, std::vector<std::string>());
  EXPECT_EQ(read.lost[0].receipts, kBeyond);
  EXPECT_EQ(read.lost[0].prompt_tokens, 10 * kBeyond);
  EXPECT_LE(read.lost[0].from_us, read.lost[0].to_us);
  EXPECT_EQ(read.receipts.size(), Ledger::kQueueItems + 1);
}

// Who ends turns faster than the device takes them pays with its own.
TEST_F(LedgerQueue, OneUserLeavesRoomForOthers) {
  obstruct();
  const auto ledger = open();
  for (uint64_t i = 1; i <= 2 * Ledger::kQueueItems; ++i) {
    server::TurnRecord record = turn(i);
    record.domain = model::DomainId{1};
    ledger->on_turn(record);
  }
  const uint64_t lost = ledger->status().lost;
  EXPECT_GE(lost, Ledger::kQueueItems);
  for (uint64_t i = 1; i <= Ledger::kQueueItems / 4; ++i) {
    server::TurnRecord record = turn(i);
    record.domain = model::DomainId{2};
    ledger->on_turn(record);
  }
  EXPECT_EQ(ledger->status().lost, lost);
}

TEST_F(LedgerQueue, OpenTurnsWaitWhereReceiptsHaveNoRoomToSpare) {
  obstruct();
  const auto ledger = open();
  EXPECT_TRUE(ledger->on_open_turn(turn(1)));
  for (uint64_t i = 1; i <= Ledger::kQueueItems / 2; ++i) ledger->on_turn(turn(i));
  EXPECT_FALSE(ledger->on_open_turn(turn(2)));
  EXPECT_FALSE(ledger->takes_storage());
}

// What was lost last is told by nobody but the end.
TEST_F(LedgerQueue, WhatIsLostAtTheEndIsSaid) {
  obstruct();
  auto ledger = open();
  for (uint64_t i = 1; i <= Ledger::kQueueItems + kBeyond; ++i) ledger->on_turn(turn(i));
  mend();
  ledger.reset();
  const ReadLedger read = read_ledger(path());
  EXPECT_EQ(read.receipts.size(), Ledger::kQueueItems);
  ASSERT_EQ(read.lost.size(), 1u);
  EXPECT_EQ(read.lost[0].receipts, kBeyond);
  EXPECT_EQ(read.stops.size(), 1u);
}

// Law 9: what lies there being damaged stops the ledger alone, and nothing of it is destroyed.
TEST_F(LedgerQueue, Law09_ADamagedOneKeepsNobodyFromServing) {
  mend();
  open()->on_turn(turn(1));
  std::ofstream(path() + "/CURRENT", std::ios::trunc) << "nonsense";
  const auto ledger = open();
  ASSERT_NE(ledger, nullptr);
  EXPECT_FALSE(ledger->status().ok);
  EXPECT_NE(ledger->status().reason.find("meter verify"), std::string::npos)
      << ledger->status().reason;
  std::ifstream current(path() + "/CURRENT");
  std::string text;
  current >> text;
  EXPECT_EQ(text, "nonsense");
}

TEST_F(LedgerQueue, ItsDirectoryIsTheDaemonsAlone) {
  mend();
  const auto ledger = open();
  EXPECT_EQ(std::filesystem::status(path()).permissions(), std::filesystem::perms::owner_all);
}

TEST_F(LedgerQueue, OneThatCannotBeWrittenEndsAllTheSame) {
  obstruct();
  const auto ledger = open();
  ledger->on_turn(turn(1));
}

TEST_F(LedgerQueue, WhatWaitsAtTheEndIsWritten) {
  mend();
  {
    const auto ledger = open();
    for (uint64_t i = 1; i <= 5000; ++i) ledger->on_turn(turn(i));
  }
  const ReadLedger read = read_ledger(path());
  EXPECT_EQ(read.receipts.size(), 5000u);
  EXPECT_EQ(read.stops.size(), 1u);
}

// Law 12: at most the last second of receipts is not durable. Turns end at any time, one by one and
// many at once; the thread waits exactly as long as it says, and a device takes what it is given.
TEST_F(LedgerQueue, Law12_AGroupBeginsWithinASecondOfItsOldestReceipt) {
  mend();
  ManualClock clock;
  server::LedgerOptions options;
  options.writer.database = server::ledger_database(path());
  options.clock = &clock;
  options.with_thread = false;
  const auto ledger = Ledger::open(options).value();
  std::mt19937 random(11);
  uint64_t request = 0;
  std::optional<int64_t> oldest_ns;
  int64_t longest_ns = 0;
  const int64_t end_ns = clock.now_ns() + 90'000 * model::kNsPerMs;  // upkeep is due meanwhile
  while (clock.now_ns() < end_ns) {
    const auto wait = ledger->run_once();
    ASSERT_LT(wait, std::chrono::seconds(1));
    if (oldest_ns) longest_ns = std::max(longest_ns, clock.now_ns() - *oldest_ns);
    if (ledger->status().waiting == 0) oldest_ns.reset();
    // Turns end at some time while it waits.
    const auto before = wait * static_cast<int64_t>(random() % 100) / 100;
    clock.advance(before);
    for (uint32_t ended = random() % 4 == 0 ? random() % 64 : 0; ended > 0; --ended) {
      ledger->on_turn(turn(++request));
      if (!oldest_ns) oldest_ns = clock.now_ns();
    }
    clock.advance(wait - before);
  }
  EXPECT_GT(request, 1000u);
  EXPECT_GT(longest_ns, 0) << "they wait for each other";
  EXPECT_LE(longest_ns, 1'000 * model::kNsPerMs);
  EXPECT_EQ(read_ledger(path()).faults, std::vector<std::string>());
}

TEST_F(LedgerQueue, ASecondOneOfADirectoryIsRefused) {
  mend();
  const auto first = open();
  server::LedgerOptions options;
  options.writer.database = server::ledger_database(path());
  const auto second = Ledger::open(options);
  EXPECT_EQ(second.code(), Errc::kBusy) << second.error().text;
}

}  // namespace quire::tests::ledger_queue_test
