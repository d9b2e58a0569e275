// RocksDB behind its one writer: what stops it, what starts it again, and what it misses. Batches,
// their order and their thread are tests/ssd/database_test.cc.
#include "tiering/database/rocks_store.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tiering/database/database_count.h"

namespace quire::tiering::rocks_store_test {
namespace {

using model::Errc;
using model::Result;
using tests::FileOperation;

class RocksStoreTest : public testing::Test {
 protected:
  DatabaseOptions options(bool read_only = false) {
    return {.path = directory_ / "store",
            .name = "ledger",
            .repair = "ask for help",
            .env = files_.env(),
            .read_only = read_only};
  }
  std::unique_ptr<RocksStore> open(bool read_only = false) {
    return RocksStore::open(options(read_only)).value();
  }
  static DatabaseBatch batch_of(const std::vector<std::string>& keys) {
    DatabaseBatch batch;
    for (const std::string& key : keys) batch.put(key, "value of " + key);
    return batch;
  }
  static Result<void> write(RocksStore& store, const std::vector<std::string>& keys) {
    const DatabaseBatch batch = batch_of(keys);
    const DatabaseBatch* one = &batch;
    return store.write({&one, 1});
  }
  static std::vector<std::string> keys_of(const RocksStore& store) {
    std::vector<std::string> keys;
    const auto read = store.read([&](const DatabaseReader& reader) {
      DatabaseScan scan = reader.scan("a", "z");
      for (; scan.valid(); scan.next()) keys.emplace_back(scan.key());
      return scan.result();
    });
    EXPECT_TRUE(read.ok());
    return keys;
  }

  tests::ScratchDirectory directory_{tests::memory_directory()};
  tests::FaultyFileSystem files_;  // outlives the stores
};

TEST_F(RocksStoreTest, BatchesOfOneWriteAreSyncedOnce) {
  const auto store = open();
  const std::vector<DatabaseBatch> batches = {batch_of({"b"}), batch_of({"c", "d"}),
                                              batch_of({"e"})};
  std::vector<const DatabaseBatch*> group;
  for (const DatabaseBatch& batch : batches) group.push_back(&batch);
  ASSERT_TRUE(write(*store, {"a"}).ok());  // with what the first write does once
  const uint64_t before = files_.count(FileOperation::kSync);
  ASSERT_TRUE(store->write(group).ok());
  EXPECT_EQ(files_.count(FileOperation::kSync) - before, 1u);
  EXPECT_EQ(keys_of(*store), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

TEST_F(RocksStoreTest, AFailedWriteStopsAllUntilItIsResumed) {
  const auto store = open();
  ASSERT_TRUE(write(*store, {"a"}).ok());
  files_.fail(FileOperation::kSync, 1, EIO, /*for_good=*/false);
  EXPECT_EQ(write(*store, {"b"}).code(), Errc::kIoError);
  ASSERT_TRUE(store->failure());
  EXPECT_EQ(store->check_writable().code(), Errc::kIoError)
      << "the device works, and it is stopped";
  ASSERT_TRUE(store->resume().ok());
  EXPECT_FALSE(store->failure());
  EXPECT_TRUE(store->check_writable().ok());
  EXPECT_TRUE(write(*store, {"c"}).ok());
}

TEST_F(RocksStoreTest, AResumeThatFailsLeavesItStopped) {
  const auto store = open();
  files_.fail(FileOperation::kSync, 1, EIO, /*for_good=*/true);
  EXPECT_FALSE(write(*store, {"a"}).ok());
  EXPECT_FALSE(store->resume().ok());
  EXPECT_TRUE(store->failure());
  files_.lift();
  EXPECT_TRUE(store->resume().ok());
  EXPECT_TRUE(write(*store, {"b"}).ok());
}

TEST_F(RocksStoreTest, OneThatIsOpenForReadingIsNotAFailure) {
  { ASSERT_TRUE(write(*open(), {"a"}).ok()); }
  const auto store = open(/*read_only=*/true);
  EXPECT_EQ(store->check_writable().code(), Errc::kIoError);
  EXPECT_FALSE(store->failure());
  EXPECT_EQ(keys_of(*store), std::vector<std::string>{"a"});
  EXPECT_FALSE(store->resume().ok()) << "that is make_writable()'s";
  ASSERT_TRUE(store->make_writable().ok());
  EXPECT_TRUE(write(*store, {"b"}).ok());
}

TEST_F(RocksStoreTest, ChangesThatWereDurableOnceAreMissed) {
  { ASSERT_TRUE(write(*open(), {"a", "b", "c"}).ok()); }
  const auto counted = read_count(files_.env(), options().path);
  ASSERT_TRUE(counted);
  // As a log that was emptied with the tables behind it.
  std::filesystem::remove_all(options().path);
  const auto store = open();
  EXPECT_EQ(store->missing_writes(), *counted);
  ASSERT_TRUE(write(*store, {"d"}).ok());
  EXPECT_EQ(read_count(files_.env(), options().path), counted) << "what is missing stays said";
}

TEST_F(RocksStoreTest, AnEmptyOneTakesThePlaceOfOneThatIsDestroyed) {
  { ASSERT_TRUE(write(*open(), {"a"}).ok()); }
  ASSERT_TRUE(RocksStore::destroy(options()).ok());
  const auto store = open();
  EXPECT_TRUE(keys_of(*store).empty());
  EXPECT_EQ(store->missing_writes(), 0u);
}

TEST_F(RocksStoreTest, WhatSomebodyHoldsIsBusyAndSaysWhat) {
  const auto store = open();
  const auto again = RocksStore::open(options());
  EXPECT_EQ(again.code(), Errc::kBusy);
  EXPECT_NE(again.error().text.find("the ledger "), std::string::npos);
  EXPECT_FALSE(RocksStore::destroy(options()).ok());
}

TEST_F(RocksStoreTest, TablesWithoutTheirNameAreCorruptAndNotDeleted) {
  { ASSERT_TRUE(write(*open(), {"a"}).ok()); }
  std::filesystem::remove(options().path + "/CURRENT");
  const auto opened = RocksStore::open(options());
  EXPECT_EQ(opened.code(), Errc::kCorrupt);
  EXPECT_NE(opened.error().text.find("ask for help"), std::string::npos);
  EXPECT_FALSE(std::filesystem::is_empty(options().path));
}

}  // namespace
}  // namespace quire::tiering::rocks_store_test
