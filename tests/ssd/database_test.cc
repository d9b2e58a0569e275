// A database by itself, as its second user will have it. How it fails at every operation of its
// files is tests/ssd/manifest_faults_test.cc, how it survives a crash manifest_crash_test.cc.
#include "tiering/database/database.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/patience.h"
#include "tiering/database/database_count.h"

namespace quire::tiering::database_test {
namespace {

using model::Errc;
using model::make_error;
using model::Result;
using tests::FaultyFileSystem;
using tests::FileOperation;

using Entries = std::vector<std::pair<std::string, std::string>>;

// Keys as a ledger has them: a letter, then a number that only grows.
std::string key_of(char letter, uint32_t number) {
  std::string key(1, letter);
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(number >> shift);
  return key;
}

DatabaseBatch batch_of(char letter, uint32_t first, uint32_t count) {
  DatabaseBatch batch;
  for (uint32_t i = first; i < first + count; ++i) {
    batch.put(key_of(letter, i), std::to_string(i));
  }
  batch.tag = first;
  return batch;
}

class DatabaseTest : public testing::Test {
 protected:
  DatabaseOptions options(const std::string& name = "entries") {
    return {
        .path = directory_ / name, .name = "ledger", .repair = "ask for help", .env = files_.env()};
  }
  static std::vector<DatabaseDone> finish(Database& database) {
    std::vector<DatabaseDone> all;
    const auto end = std::chrono::steady_clock::now() + tests::kPatience;
    while (database.in_flight() > 0 && std::chrono::steady_clock::now() < end) {
      for (DatabaseDone& done : database.poll()) all.push_back(std::move(done));
      std::this_thread::yield();
    }
    return all;
  }
  static Result<void> write(Database& database, DatabaseBatch batch) {
    EXPECT_TRUE(database.submit(std::move(batch)));
    std::vector<DatabaseDone> done = finish(database);
    if (done.empty()) return make_error(Errc::kInternal, "nothing came back");
    return std::move(done.back().result);
  }
  static Entries entries(Database& database, std::string from, std::string to) {
    Entries found;
    const auto read = database.read([&](const DatabaseReader& reader) {
      DatabaseScan scan = reader.scan(from, to);
      for (; scan.valid(); scan.next()) found.emplace_back(scan.key(), scan.value());
      return scan.result();
    });
    EXPECT_TRUE(read.ok());
    return found;
  }
  static Entries all_of(Database& database) { return entries(database, "\x01", "\x7f"); }

  tests::ScratchDirectory directory_{tests::memory_directory()};
  FaultyFileSystem files_;  // outlives the databases
};

TEST_F(DatabaseTest, BatchesAreThereWholeAfterAReopen) {
  {
    const auto database = Database::open(options()).value();
    for (uint32_t first = 0; first < 30; first += 3) {
      ASSERT_TRUE(database->submit(batch_of('x', first, 3)));
    }
    DatabaseBatch last;
    last.erase(key_of('x', 4));
    last.put(key_of('x', 5), "again");
    EXPECT_EQ(last.size(), 2u);
    ASSERT_TRUE(database->submit(std::move(last)));
    const auto done = finish(*database);
    ASSERT_EQ(done.size(), 11u);
    for (size_t i = 0; i < 10; ++i) EXPECT_EQ(done[i].batch.tag, 3 * i) << "in order";
    for (const DatabaseDone& one : done) EXPECT_TRUE(one.result.ok());
    EXPECT_GT(database->bytes_written(), 0u);
  }
  const auto database = Database::open(options()).value();
  const Entries found = all_of(*database);
  ASSERT_EQ(found.size(), 29u);
  EXPECT_EQ(found[3].second, "3");
  EXPECT_EQ(found[4], std::pair(key_of('x', 5), std::string("again")));
  EXPECT_EQ(database->missing_writes(), 0u);
}

TEST_F(DatabaseTest, WithoutAThreadABatchIsDurableWhenItIsTaken) {
  DatabaseOptions on_caller = options();
  on_caller.on_caller = true;
  int told = 0;
  on_caller.on_done = [&told] { ++told; };
  {
    const auto database = Database::open(on_caller).value();
    ASSERT_TRUE(database->submit(batch_of('x', 0, 3)));
    EXPECT_EQ(told, 1);
    const std::vector<DatabaseDone> done = database->poll();
    ASSERT_EQ(done.size(), 1u);
    EXPECT_TRUE(done[0].result.ok());
    ASSERT_TRUE(database->submit(batch_of('x', 3, 1)));  // and nobody takes it back
  }
  EXPECT_EQ(all_of(*Database::open(on_caller).value()).size(), 4u);
}

TEST_F(DatabaseTest, ScanGivesItsRangeInOrder) {
  const auto database = Database::open(options()).value();
  ASSERT_TRUE(write(*database, batch_of('b', 5, 5)).ok());
  ASSERT_TRUE(write(*database, batch_of('a', 0, 2)).ok());
  ASSERT_TRUE(write(*database, batch_of('c', 0, 2)).ok());
  Entries expected;
  for (uint32_t i = 6; i < 9; ++i) expected.emplace_back(key_of('b', i), std::to_string(i));
  EXPECT_EQ(entries(*database, key_of('b', 6), key_of('b', 9)), expected) << "without its end";
  EXPECT_TRUE(entries(*database, key_of('b', 10), "c").empty());
  // Two at once, as one record's other half is looked up.
  std::string letters;
  ASSERT_TRUE(database
                  ->read([&](const DatabaseReader& reader) {
                    DatabaseScan one = reader.scan_prefix('a');
                    DatabaseScan other = reader.scan_prefix('c');
                    for (; one.valid() && other.valid(); one.next(), other.next()) {
                      letters += one.key()[0];
                      letters += other.key()[0];
                    }
                    EXPECT_FALSE(one.valid() || other.valid());
                    return one.result();
                  })
                  .ok());
  EXPECT_EQ(letters, "acac");
}

TEST_F(DatabaseTest, LastKeySaysWhereAnAppendOnlyRangeGoesOn) {
  const auto database = Database::open(options()).value();
  const auto last = [&](std::string from, std::string to) {
    std::optional<std::string> key;
    EXPECT_TRUE(database
                    ->read([&](const DatabaseReader& reader) -> Result<void> {
                      key = QUIRE_TRY(reader.last_key(from, to));
                      return {};
                    })
                    .ok());
    return key;
  };
  EXPECT_EQ(last("b", "c"), std::nullopt);
  ASSERT_TRUE(write(*database, batch_of('a', 0, 3)).ok());
  EXPECT_EQ(last("b", "c"), std::nullopt) << "what comes before the range is not in it";
  ASSERT_TRUE(write(*database, batch_of('b', 0, 300)).ok());
  ASSERT_TRUE(write(*database, batch_of('c', 0, 3)).ok());
  EXPECT_EQ(last("b", "c"), key_of('b', 299));
  EXPECT_EQ(last("b", key_of('b', 7)), key_of('b', 6));
}

TEST_F(DatabaseTest, ReadWaitsForWhatWasSubmitted) {
  const auto database = Database::open(options()).value();
  for (uint32_t i = 0; i < 20; ++i) ASSERT_TRUE(database->submit(batch_of('x', i, 1)));
  EXPECT_EQ(all_of(*database).size(), 20u);
  EXPECT_EQ(finish(*database).size(), 20u);
}

TEST_F(DatabaseTest, ReadReturnsTheErrorOfItsWork) {
  const auto database = Database::open(options()).value();
  const auto read = database->read(
      [](const DatabaseReader&) { return make_error(Errc::kInvalidArgument, "not so"); });
  EXPECT_EQ(read.code(), Errc::kInvalidArgument);
}

TEST_F(DatabaseTest, Law10_FullQueueRefusesAndTakesNothing) {
  std::binary_semaphore go_on{0};
  const auto database = Database::open(options()).value();
  DatabaseBatch batch = batch_of('x', 0, 1);
  batch.first([&]() -> Result<void> {
    go_on.acquire();
    return {};
  });
  ASSERT_TRUE(database->submit(std::move(batch)));
  for (uint32_t i = 1; i < kMaxQueuedBatches; ++i) {
    ASSERT_TRUE(database->submit(batch_of('x', i, 1)));
  }
  DatabaseBatch refused = batch_of('x', 1000, 2);
  EXPECT_FALSE(database->submit(std::move(refused)));
  EXPECT_EQ(refused.size(), 2u);
  go_on.release();
  EXPECT_EQ(finish(*database).size(), kMaxQueuedBatches);
  EXPECT_TRUE(write(*database, std::move(refused)).ok());
  EXPECT_EQ(all_of(*database).size(), kMaxQueuedBatches + 2);
}

TEST_F(DatabaseTest, WorkThatFailsFailsItsBatchAlone) {
  const auto database = Database::open(options()).value();
  DatabaseBatch bad = batch_of('x', 1, 1);
  bad.first([] { return Result<void>(make_error(Errc::kCorrupt, "first things first")); });
  ASSERT_TRUE(database->submit(std::move(bad)));
  ASSERT_TRUE(database->submit(batch_of('x', 2, 1)));
  const auto done = finish(*database);
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[0].result.code(), Errc::kCorrupt);
  EXPECT_TRUE(done[1].result.ok());
  EXPECT_EQ(database->failure(), "");
  EXPECT_EQ(all_of(*database).size(), 1u);
}

TEST_F(DatabaseTest, Law09_FailureStopsWritesUntilResume) {
  const auto database = Database::open(options()).value();
  ASSERT_TRUE(write(*database, batch_of('x', 1, 1)).ok());
  files_.fail(FileOperation::kSync, 1, EIO, false);
  const Result<void> failed = write(*database, batch_of('x', 2, 1));
  ASSERT_EQ(failed.code(), Errc::kIoError);
  EXPECT_TRUE(failed.error().text.starts_with("the ledger " + options().path)) << "names itself";
  EXPECT_EQ(database->failure(), failed.error().text);
  EXPECT_EQ(write(*database, batch_of('x', 3, 1)).code(), Errc::kIoError) << "nothing is retried";
  ASSERT_TRUE(database->resume().ok());
  EXPECT_EQ(database->failure(), "");
  ASSERT_TRUE(write(*database, batch_of('x', 4, 1)).ok());
  const Entries found = all_of(*database);
  EXPECT_EQ(found.front().second, "1");
  EXPECT_EQ(found.back().second, "4");
  for (const auto& [key, value] : found) EXPECT_NE(value, "3") << "was never written";
}

TEST_F(DatabaseTest, DescriptorsThatRanOutAreNamed) {
  files_.fail(FileOperation::kCreate, 1, EMFILE, true);
  const auto opened = Database::open(options());
  ASSERT_EQ(opened.code(), Errc::kIoError);
  EXPECT_NE(opened.error().text.find("RLIMIT_NOFILE"), std::string::npos) << opened.error().text;
}

TEST_F(DatabaseTest, OneThatFailsTakesNoOtherAlong) {
  FaultyFileSystem others;
  DatabaseOptions healthy = options("other");
  healthy.env = others.env();
  const auto database = Database::open(options()).value();
  const auto other = Database::open(healthy).value();
  files_.fail_change(1, ENOSPC, true);
  EXPECT_EQ(write(*database, batch_of('x', 1, 1)).code(), Errc::kResourceExhausted);
  EXPECT_TRUE(write(*other, batch_of('y', 1, 1)).ok());
  EXPECT_EQ(other->failure(), "");
  files_.lift();
}

TEST_F(DatabaseTest, SecondOpenerIsToldThatItIsBusy) {
  const auto database = Database::open(options()).value();
  const auto second = Database::open(options());
  ASSERT_EQ(second.code(), Errc::kBusy);
  EXPECT_TRUE(second.error().text.starts_with("the ledger ")) << second.error().text;
}

TEST_F(DatabaseTest, ReaderOfNoneChangesNothing) {
  DatabaseOptions reading = options();
  reading.read_only = true;
  const auto opened = Database::open(reading);
  ASSERT_EQ(opened.code(), Errc::kNotFound);
  EXPECT_EQ(opened.error().text, "no ledger in " + reading.path);
  EXPECT_FALSE(std::filesystem::exists(reading.path));
}

TEST_F(DatabaseTest, ReaderTakesNoBatchUntilItIsMadeWritable) {
  { ASSERT_TRUE(write(*Database::open(options()).value(), batch_of('x', 1, 1)).ok()); }
  DatabaseOptions reading = options();
  reading.read_only = true;
  const auto database = Database::open(reading).value();
  EXPECT_EQ(write(*database, batch_of('x', 2, 1)).code(), Errc::kIoError);
  EXPECT_EQ(all_of(*database).size(), 1u);
  ASSERT_TRUE(database->make_writable().ok());
  EXPECT_TRUE(write(*database, batch_of('x', 3, 1)).ok());
  EXPECT_EQ(all_of(*database).size(), 2u);
}

TEST_F(DatabaseTest, OneWithoutItsCurrentIsCorruptAndSaysWhatHelps) {
  { ASSERT_TRUE(write(*Database::open(options()).value(), batch_of('x', 1, 1)).ok()); }
  std::filesystem::remove(options().path + "/CURRENT");
  const auto opened = Database::open(options());
  ASSERT_EQ(opened.code(), Errc::kCorrupt);
  EXPECT_TRUE(opened.error().text.ends_with("; ask for help")) << opened.error().text;
  ASSERT_TRUE(Database::destroy(options()).ok());
  EXPECT_TRUE(all_of(*Database::open(options()).value()).empty());
}

// As after a copy of an older state: the file beside it knows of more.
TEST_F(DatabaseTest, ChangesThatAreMissingAreCounted) {
  { ASSERT_TRUE(write(*Database::open(options()).value(), batch_of('x', 0, 10)).ok()); }
  const std::string count_file = options().path + kDatabaseCountSuffix;
  const auto count = parse_count_file(tests::read_bytes(count_file));
  ASSERT_TRUE(count);
  EXPECT_GE(*count, 10u);
  tests::write_bytes(count_file, count_file_bytes(*count + 3));
  EXPECT_EQ(Database::open(options()).value()->missing_writes(), 3u);
  tests::write_bytes(count_file, "not a count");
  EXPECT_EQ(Database::open(options()).value()->missing_writes(), 0u);
}

TEST_F(DatabaseTest, TellsAfterEachGroupOfBatches) {
  std::atomic<uint32_t> told{0};
  DatabaseOptions telling = options();
  telling.on_done = [&] { told.fetch_add(1); };
  {
    const auto database = Database::open(telling).value();
    for (uint32_t i = 0; i < 8; ++i) ASSERT_TRUE(database->submit(batch_of('x', i, 1)));
    EXPECT_EQ(finish(*database).size(), 8u);
  }
  EXPECT_GE(told.load(), 1u);
  EXPECT_LE(told.load(), 8u);
}

}  // namespace
}  // namespace quire::tiering::database_test
