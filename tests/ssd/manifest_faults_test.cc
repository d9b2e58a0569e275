// Law 9 for the manifest: every operation on its files fails once, and for good; every failure is a
// typed error, and what was durable is there when the fault is gone.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <semaphore>
#include <set>
#include <thread>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tiering/disk/manifest.h"

namespace quire::tiering::manifest_faults_test {
namespace {

namespace fs = std::filesystem;
using model::Errc;
using model::Result;
using tests::FaultyFileSystem;
using tests::FileOperation;
using tests::make_run;
using tests::ManifestText;
using tests::numbered_batch;
using tests::numbered_text;
using tests::read_bytes;
using tests::ScratchDirectory;
using tests::text_at;
using tests::text_of;
using tests::write;
using tests::write_bytes;

using Opened = Result<std::unique_ptr<Manifest>>;

Errc code_of(int error) { return error == ENOSPC ? Errc::kResourceExhausted : Errc::kIoError; }

// Batch `number` is one epoch and one run, so that half a batch shows.
ManifestBatch pair_batch(uint32_t number) {
  ManifestBatch batch;
  batch.put_epoch("domain", std::to_string(number), number);
  batch.put_run(make_run(1, number, 1 + number % 16));
  return batch;
}

std::set<uint32_t> pairs_in(Manifest& manifest) {
  std::set<uint32_t> epochs;
  std::set<uint32_t> runs;
  const auto contents = manifest.read_roots();
  EXPECT_TRUE(contents.ok());
  if (contents.ok()) {
    for (const auto& [names, epoch] : contents->epochs) epochs.insert(uint32_t(epoch));
  }
  EXPECT_TRUE(manifest
                  .read_runs([&](const RunRecord& run) {
                    runs.insert(run.key.units / 16);
                    return true;
                  })
                  .ok());
  EXPECT_EQ(epochs, runs) << "half a batch";
  return runs;
}

// Opens, writes three batches and closes, twice: the second opening replays the log into a table
// and deletes old files. Notes what was reported durable; an error must have the fault's code.
class FaultScenario {
 public:
  FaultScenario(FaultyFileSystem& file_system, std::string path, Errc expected)
      : options_{.path = std::move(path), .env = file_system.env()}, expected_(expected) {}

  void run() {
    for (int start = 0; start < 2; ++start) {
      manifest_.reset();
      Opened opened = Manifest::open(options_);
      if (!opened.ok()) {
        EXPECT_EQ(opened.code(), expected_) << opened.error().text;
        return;
      }
      manifest_ = std::move(opened).value();
      if (!write_batches()) return;
    }
  }

  // The fault is gone: all that was durable is there, and writing goes on.
  void check_recovered() {
    if (manifest_ != nullptr) {
      const Result<void> resumed = manifest_->resume();
      ASSERT_TRUE(resumed.ok()) << resumed.error().text;
      EXPECT_EQ(manifest_->failure(), "");
      check_writes();
      manifest_.reset();
    }
    Opened opened = Manifest::open(options_);
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    manifest_ = std::move(opened).value();
    check_writes();
    manifest_.reset();
  }

 private:
  bool write_batches() {
    for (int i = 0; i < 3; ++i) {
      const Result<void> result = write(*manifest_, pair_batch(++number_));
      if (!result.ok()) {
        EXPECT_EQ(result.code(), expected_) << result.error().text;
        EXPECT_NE(manifest_->failure(), "");
        // The same error for those that follow, also when the device works again.
        EXPECT_EQ(write(*manifest_, pair_batch(++number_)).code(), expected_);
        return false;
      }
      durable_.insert(number_);
    }
    return true;
  }

  void check_writes() {
    ASSERT_TRUE(write(*manifest_, pair_batch(++number_)).ok());
    durable_.insert(number_);
    const std::set<uint32_t> found = pairs_in(*manifest_);
    EXPECT_TRUE(std::includes(found.begin(), found.end(), durable_.begin(), durable_.end()));
    EXPECT_LE(*found.rbegin(), number_);
  }

  const ManifestOptions options_;
  const Errc expected_;
  std::unique_ptr<Manifest> manifest_;
  uint32_t number_ = 0;
  std::set<uint32_t> durable_;
};

void fail_every_change(int error, bool for_good) {
  FaultyFileSystem file_system;
  file_system.skip_device_syncs();
  for (uint64_t nth = 1;; ++nth) {
    const ScratchDirectory scratch(tests::memory_directory());
    SCOPED_TRACE("change " + std::to_string(nth));
    FaultScenario scenario(file_system, scratch / "manifest", code_of(error));
    file_system.fail_change(nth, error, for_good);
    scenario.run();
    const bool failed = file_system.failures() > 0;
    file_system.lift();
    scenario.check_recovered();
    if (testing::Test::HasFailure()) return;
    if (!failed) {
      EXPECT_GT(nth, 50u) << "the scenario does too little";
      return;
    }
  }
}

TEST(ManifestFaults, Law09_EveryChangeFailsOnceWithNoSpace) { fail_every_change(ENOSPC, false); }
TEST(ManifestFaults, Law09_EveryChangeFailsForGoodWithNoSpace) { fail_every_change(ENOSPC, true); }
TEST(ManifestFaults, Law09_EveryChangeFailsOnceWithAnIoError) { fail_every_change(EIO, false); }
TEST(ManifestFaults, Law09_EveryChangeFailsForGoodWithAnIoError) { fail_every_change(EIO, true); }

TEST(ManifestFaults, Law09_EveryReadFails) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  file_system.skip_device_syncs();
  const ManifestOptions options{.path = scratch / "manifest", .env = file_system.env()};
  for (uint32_t number = 1; number <= 3; ++number) {
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(write(**manifest, numbered_batch(number)).ok());
  }
  for (const bool for_good : {false, true}) {
    for (uint64_t nth = 1;; ++nth) {
      file_system.fail(FileOperation::kRead, nth, EIO, for_good);
      const ManifestText text = text_at(options);
      const bool failed = file_system.failures() > 0;
      file_system.lift();
      const bool error = !text.empty() && text[0].starts_with("error: ");
      if (!error) {
        ASSERT_EQ(text, numbered_text(3)) << nth;
      }
      ASSERT_EQ(text_at(options), numbered_text(3)) << nth;
      if (!failed) break;
      EXPECT_TRUE(error || !for_good) << nth;
    }
  }
}

TEST(ManifestFaults, FailedWriteStopsBatchesUntilResume) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  const Opened opened = Manifest::open({.path = scratch / "manifest", .env = file_system.env()});
  Manifest& manifest = **opened;
  ASSERT_TRUE(write(manifest, pair_batch(1)).ok());
  file_system.fail(FileOperation::kSync, 1, EIO, true);
  const Result<void> first = write(manifest, pair_batch(2));
  ASSERT_EQ(first.code(), Errc::kIoError);
  EXPECT_EQ(manifest.resume().code(), Errc::kIoError);  // still broken
  EXPECT_NE(manifest.failure(), "");
  file_system.lift();
  ASSERT_EQ(write(manifest, pair_batch(3)).code(), Errc::kIoError);
  ASSERT_TRUE(manifest.submit(pair_batch(4)));  // before resume(): fails, though it waits
  ASSERT_TRUE(manifest.resume().ok());
  const std::vector<ManifestDone> late = manifest.poll();
  ASSERT_EQ(late.size(), 1u);
  EXPECT_FALSE(late[0].result.ok());
  EXPECT_EQ(manifest.failure(), "");
  ASSERT_TRUE(write(manifest, pair_batch(5)).ok());
  const std::set<uint32_t> found = pairs_in(manifest);
  EXPECT_TRUE(found.contains(1) && found.contains(5));
  EXPECT_FALSE(found.contains(3) || found.contains(4));
  EXPECT_TRUE(manifest.resume().ok());  // of a manifest that works: nothing
  EXPECT_EQ(pairs_in(manifest), found);
}

// In one group: a batch whose work fails keeps its own error when the write of the others fails,
// and a manifest that failed does no work.
TEST(ManifestFaults, FailedWorkAndFailedWriteAreToldApart) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  std::counting_semaphore<> gate(0);
  const Opened opened = Manifest::open(
      {.path = scratch / "manifest", .env = file_system.env(), .on_done = [&] { gate.acquire(); }});
  Manifest& manifest = **opened;
  ASSERT_TRUE(write(manifest, pair_batch(1)).ok());  // the writer stands before the gate
  int worked = 0;
  for (uint32_t number = 2; number <= 4; ++number) {
    ManifestBatch batch = pair_batch(number);
    batch.first([&worked, number]() -> Result<void> {
      ++worked;
      if (number == 3) return model::make_error(Errc::kResourceExhausted, "the work");
      return {};
    });
    ASSERT_TRUE(manifest.submit(std::move(batch)));
  }
  file_system.fail(FileOperation::kSync, 1, EIO, false);
  gate.release(10);
  const std::vector<ManifestDone> done = tests::finish(manifest);
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[0].result.code(), Errc::kIoError);
  EXPECT_EQ(done[1].result.code(), Errc::kResourceExhausted);
  EXPECT_EQ(done[1].result.error().text, "the work");
  EXPECT_EQ(done[2].result.code(), Errc::kIoError);
  EXPECT_EQ(manifest.failure(), done[2].result.error().text);
  EXPECT_EQ(worked, 3);
  ManifestBatch late = pair_batch(5);
  late.first([&] { return ++worked, Result<void>{}; });
  EXPECT_EQ(write(manifest, std::move(late)).code(), Errc::kIoError);
  EXPECT_EQ(worked, 3);
  ASSERT_TRUE(manifest.resume().ok());
  ASSERT_TRUE(write(manifest, pair_batch(6)).ok());
  const std::set<uint32_t> found = pairs_in(manifest);
  EXPECT_TRUE(found.contains(1) && found.contains(6));
  EXPECT_FALSE(found.contains(3) || found.contains(5));
}

TEST(ManifestFaults, ResumeWaitsForWhatWasSubmittedBefore) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  std::counting_semaphore<> gate(1);
  const Opened opened = Manifest::open(
      {.path = scratch / "manifest", .env = file_system.env(), .on_done = [&] { gate.acquire(); }});
  Manifest& manifest = **opened;
  file_system.fail(FileOperation::kSync, 1, EIO, false);
  ASSERT_EQ(write(manifest, pair_batch(1)).code(), Errc::kIoError);
  ASSERT_EQ(write(manifest, pair_batch(2)).code(), Errc::kIoError);
  ASSERT_TRUE(manifest.submit(pair_batch(3)));  // the writer stands before the gate
  std::jthread release([&] {
    for (int i = 0; i < 20'000; ++i) std::this_thread::yield();
    gate.release();
    gate.release();
  });
  ASSERT_TRUE(manifest.resume().ok());
  const std::vector<ManifestDone> late = tests::finish(manifest);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].result.code(), Errc::kIoError);
}

// The log goes on, the table that a full memory is written to does not: RocksDB notices on a
// thread of its own.
TEST(ManifestFaults, Law09_FailedFlushStopsBatchesUntilResume) {
  for (const int error : {ENOSPC, EIO}) {
    const ScratchDirectory scratch(tests::memory_directory());
    FaultyFileSystem file_system;
    file_system.skip_device_syncs();
    const ManifestOptions options{.path = scratch / "manifest", .env = file_system.env()};
    Opened opened = Manifest::open(options);
    Manifest& manifest = **opened;
    uint32_t number = 0;
    uint32_t durable = 0;
    const auto write_many = [&] {
      ManifestBatch batch;
      for (int i = 0; i < 500; ++i) batch.put_run(make_run(1, ++number, 16));
      const Result<void> result = write(manifest, std::move(batch));
      if (result.ok()) durable = number;
      return result;
    };
    ASSERT_TRUE(write_many().ok());
    file_system.fail(FileOperation::kCreate, 1, error, true);
    Result<void> result;
    for (int i = 0; i < 200 && result.ok(); ++i) result = write_many();
    ASSERT_EQ(result.code(), code_of(error));
    const uint32_t before = durable;
    EXPECT_NE(manifest.failure(), "");
    EXPECT_FALSE(manifest.resume().ok());
    file_system.lift();
    const Result<void> resumed = manifest.resume();
    ASSERT_TRUE(resumed.ok()) << resumed.error().text;
    ASSERT_TRUE(write_many().ok());
    opened = Result<std::unique_ptr<Manifest>>(nullptr);
    const Opened again = Manifest::open(options);
    ASSERT_TRUE(again.ok());
    uint32_t old_count = 0;
    uint32_t new_count = 0;
    ASSERT_TRUE((*again)
                    ->read_runs([&](const RunRecord& run) {
                      const uint32_t found = run.key.units / 16;
                      old_count += found <= before;
                      new_count += found > durable - 500;
                      return true;
                    })
                    .ok());
    EXPECT_EQ(old_count, before);
    EXPECT_EQ(new_count, 500u);
  }
}

// Two tables, a log and what RocksDB names them by.
void make_tables(const ManifestOptions& options) {
  for (int start = 0; start < 3; ++start) {
    const Opened manifest = Manifest::open(options);
    ManifestBatch batch;
    for (uint32_t i = 1; i <= 400; ++i) batch.put_run(make_run(1, i, 16));
    ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  }
}

std::vector<fs::path> files_like(const std::string& path, const std::string& part) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().filename().string().find(part) != std::string::npos) files.push_back(entry);
  }
  EXPECT_FALSE(files.empty());
  return files;
}

// Damages a copy of a manifest and expects it to be called corrupt, at the open or when read, and
// to be new after destroy().
class DamagedManifest : public testing::Test {
 protected:
  void SetUp() override {
    file_system_.skip_device_syncs();
    make_tables({.path = scratch_ / "whole", .env = file_system_.env()});
  }

  void expect_corrupt(const std::string& what, const std::function<void()>& damage) {
    SCOPED_TRACE(what);
    fs::remove_all(options_.path);
    fs::copy(scratch_ / "whole", options_.path);
    damage();
    Error error;
    const Opened manifest = Manifest::open(options_);
    if (!manifest.ok()) {
      error = manifest.error();
    } else {
      const auto read = (*manifest)->read_runs([](const RunRecord&) { return true; });
      ASSERT_FALSE(read.ok());
      error = read.error();
    }
    EXPECT_EQ(error.code, Errc::kCorrupt) << error.text;
    EXPECT_NE(error.text.find("quirectl rebuild"), std::string::npos) << error.text;
  }

  void expect_destroyed() {
    const Result<void> destroyed = Manifest::destroy(options_);
    ASSERT_TRUE(destroyed.ok()) << destroyed.error().text;
    EXPECT_TRUE(text_at(options_).empty());
  }

  using Error = model::Error;
  const ScratchDirectory scratch_{tests::memory_directory()};
  FaultyFileSystem file_system_;
  const ManifestOptions options_{.path = scratch_ / "damaged", .env = file_system_.env()};
};

void flip(const fs::path& path, size_t at) {
  std::string bytes = read_bytes(path);
  bytes[at] = static_cast<char>(bytes[at] ^ 0x20);
  write_bytes(path, bytes);
}

TEST_F(DamagedManifest, FlippedTruncatedAndAbsentTablesAreCorrupt) {
  const auto table = [&] { return files_like(options_.path, ".sst").front(); };
  const size_t size = fs::file_size(files_like(scratch_ / "whole", ".sst").front());
  ASSERT_GT(size, 100'000u);
  for (const size_t at : {size_t{9}, size / 3, size / 2, size - 1}) {
    expect_corrupt("flip at " + std::to_string(at), [&] { flip(table(), at); });
  }
  expect_corrupt("truncated", [&] { fs::resize_file(table(), size / 2); });
  expect_corrupt("absent", [&] { fs::remove(table()); });
  expect_destroyed();
}

TEST_F(DamagedManifest, DamagedCurrentIsCorruptAndNothingIsDeleted) {
  const std::string current = options_.path + "/CURRENT";
  for (const std::string& bytes : {std::string(), std::string("MANIFEST-999999\n"),
                                   std::string("MANIFEST-00"), std::string("nothing\n")}) {
    expect_corrupt("CURRENT: " + bytes, [&] { write_bytes(current, bytes); });
  }
  expect_corrupt("absent", [&] { fs::remove(current); });
  expect_corrupt("tables alone", [&] {
    fs::remove(current);
    for (const fs::path& log : files_like(options_.path, ".log")) fs::remove(log);
  });
  EXPECT_EQ(files_like(options_.path, ".sst").size(),
            files_like(scratch_ / "whole", ".sst").size());
  expect_destroyed();
}

TEST_F(DamagedManifest, FlippedAndAbsentVersionFilesAreCorrupt) {
  const auto version = [&] { return files_like(options_.path, "MANIFEST-").front(); };
  const size_t size = fs::file_size(files_like(scratch_ / "whole", "MANIFEST-").front());
  for (const size_t at : {size_t{4}, size / 4, size / 2}) {
    expect_corrupt("flip at " + std::to_string(at), [&] { flip(version(), at); });
  }
  expect_corrupt("absent", [&] { fs::remove(version()); });
  expect_destroyed();
}

// A rebuild that was killed: open() must not take what is left for a whole manifest.
TEST_F(DamagedManifest, DestroyCutShortLeavesACorruptOneOrNone) {
  for (uint64_t nth = 1;; ++nth) {
    fs::remove_all(options_.path);
    fs::copy(scratch_ / "whole", options_.path);
    file_system_.fail_change(nth, EIO, true);
    const Result<void> destroyed = Manifest::destroy(options_);
    const bool failed = file_system_.failures() > 0;
    file_system_.lift();
    if (!failed) {
      EXPECT_TRUE(destroyed.ok());
      EXPECT_GT(nth, 5u);
      break;
    }
    const ManifestText text = text_at(options_);
    const bool corrupt = !text.empty() && text[0].find("quirectl rebuild") != std::string::npos;
    const bool untouched = nth == 1 && text.size() == 400;
    EXPECT_TRUE(corrupt || untouched || text.empty()) << nth << " " << text.size();
    expect_destroyed();
  }
}

}  // namespace
}  // namespace quire::tiering::manifest_faults_test
