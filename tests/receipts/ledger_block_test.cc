// Blocks of a ledger: what was put in comes out, and no byte of one can change unnoticed.
#include "model/receipts/ledger_block.h"

#include <gtest/gtest.h>

#include "tests/receipts/ledger_rig.h"

namespace quire::tests::ledger_block_test {

using namespace model;

TEST(LedgerBlock, GivesBackWhatWasPutIn) {
  LedgerRig rig;
  StorageRecord storage{.from_us = 5, .to_us = 9, .byte_us = {7, 1}, .uid = 3, .tier = 1};
  rig.builder().add(storage, "tenant", "1h");
  const std::string bytes = rig.block(2);
  const auto block = LedgerBlock::parse(bytes);
  ASSERT_TRUE(block.ok()) << block.error().text;
  ASSERT_EQ(block->entries().size(), 3u);
  const auto held = read_record<StorageRecord>(block->entries()[0], EntryType::kStorage);
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(held->byte_us.high, 1u);
  EXPECT_EQ(block->text(held->tenant), "tenant");
  EXPECT_EQ(block->text(held->retention), "1h");
  const auto receipt = read_record<ReceiptRecord>(block->entries()[2], EntryType::kReceipt);
  ASSERT_TRUE(receipt.ok());
  EXPECT_EQ(receipt->request_id, 2u);
  EXPECT_EQ(block->texts_of(*receipt), kSmallTexts);
  EXPECT_EQ(to_text(block->entries()[2].position), "1.3");
  EXPECT_EQ(block->head(), rig.head());
  EXPECT_FALSE(block->first_bad_hash());
}

TEST(LedgerBlock, ABuilderBeginsAnewAfterEachBlock) {
  LedgerRig rig;
  rig.block(3);
  const std::string second = rig.block(1);
  const auto block = LedgerBlock::parse(second);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(to_text(block->first()), "1.4");
  EXPECT_EQ(block->entries().size(), 1u);
  EXPECT_EQ(block->header().text_count, kReceiptTexts);
}

TEST(LedgerBlock, AnEpochBeginsWithSequenceOneAndGoesOnWithTheChain) {
  LedgerRig rig;
  rig.block(3);
  const LedgerHead before = rig.head();
  const std::string bytes = rig.block(1, 2);
  const auto block = LedgerBlock::parse(bytes);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(to_text(block->first()), "2.1");
  EXPECT_EQ(block->before(), before);
}

// Every byte but the padding of texts, which stands for nothing and is hashed all the same.
TEST(LedgerBlock, NoByteOfItChangesUnnoticed) {
  LedgerRig rig;
  rig.block(2);
  const std::string good = rig.block(2);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    const auto block = LedgerBlock::parse(bad);
    if (!block.ok()) continue;
    EXPECT_TRUE(block->first_bad_hash()) << "byte " << i;
  }
}

TEST(LedgerBlock, NamesTheEntryThatWasChanged) {
  LedgerRig rig;
  std::string bytes = rig.block(3);
  const auto whole = LedgerBlock::parse(bytes);
  ASSERT_TRUE(whole.ok());
  const size_t at = static_cast<size_t>(whole->entries()[1].payload.data() - bytes.data());
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  const auto block = LedgerBlock::parse(bytes);
  ASSERT_TRUE(block.ok());
  EXPECT_EQ(block->first_bad_hash(), (LedgerPosition{1, 2}));
}

TEST(LedgerBlock, RefusesWhatIsCutOffAtEveryLength) {
  LedgerRig rig;
  const std::string good = rig.block(2);
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_FALSE(LedgerBlock::parse(good.substr(0, bytes)).ok()) << bytes;
  }
  EXPECT_FALSE(LedgerBlock::parse(good + '\0').ok());
}

TEST(LedgerBlock, OneOfALaterVersionIsNotRead) {
  LedgerRig rig;
  std::string bytes = rig.block(1);
  bytes[4] = 2;
  EXPECT_EQ(LedgerBlock::parse(bytes).code(), Errc::kUnsupportedVersion);
}

TEST(LedgerBlock, PositionsAndHashesAreReadAsTheyArePrinted) {
  EXPECT_EQ(*parse_ledger_position("12.345"), (LedgerPosition{12, 345}));
  for (const char* text : {"", "1", "1.", ".1", "1.2x", "-1.2", "1 .2"}) {
    EXPECT_FALSE(parse_ledger_position(text).ok()) << text;
  }
  LedgerRig rig;
  rig.block(1);
  EXPECT_EQ(*parse_hash(to_text(rig.head().hash)), rig.head().hash);
  EXPECT_FALSE(parse_hash("00").ok());
  EXPECT_FALSE(parse_hash(std::string(64, 'g')).ok());
}

TEST(LedgerBlock, SumsThatDoNotCloseAreCorrupt) {
  ReceiptRecord record = small_receipt(1);
  EXPECT_TRUE(check_sums(record).ok());
  ++record.missed_tokens;
  EXPECT_EQ(check_sums(record).code(), Errc::kCorrupt);
  --record.missed_tokens;
  ++record.resumed_tokens;
  EXPECT_EQ(check_sums(record).code(), Errc::kCorrupt);
}

}  // namespace quire::tests::ledger_block_test
