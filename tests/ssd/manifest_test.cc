#include "tiering/disk/manifest.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <semaphore>
#include <set>
#include <thread>
#include <utility>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/patience.h"
#include "tiering/disk/manifest_records.h"

namespace quire::tiering::manifest_test {
namespace {

using model::Errc;
using model::Result;
using tests::FaultyFileSystem;
using tests::FileEvent;
using tests::FileOperation;
using tests::finish;
using tests::make_root;
using tests::make_run;
using tests::ManifestModel;
using tests::numbered_batch;
using tests::numbered_text;
using tests::ScratchDirectory;
using tests::text_at;
using tests::text_of;
using tests::write;

using Opened = Result<std::unique_ptr<Manifest>>;

TEST(Manifest, NewOneIsEmpty) {
  const ScratchDirectory scratch;
  EXPECT_TRUE(text_at({.path = scratch / "manifest"}).empty());
  EXPECT_TRUE(text_at({.path = scratch / "manifest"}).empty());
}

TEST(Manifest, EverythingRoundTripsOverReopening) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  ManifestModel model;
  const auto add = [](auto& target) {
    target.put_epoch("", "", 0);
    target.put_epoch("domain", "name", 1ull << 63);
    target.put_epoch("domai", "nname", 3);
    target.put_epoch("domain", "name", 4);
    for (uint32_t i = 0; i < 40; ++i) target.put_root(make_root(i * 0x0101'0101));
    target.erase_root(3 * 0x0101'0101);
    target.erase_root(77);
    for (uint32_t i = 1; i < 300; ++i) target.put_run(make_run(i % 7, i * 41, 1 + i % 16));
  };
  {
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(manifest.ok()) << manifest.error().text;
    ManifestBatch batch;
    add(batch);
    add(model);
    ASSERT_TRUE(write(**manifest, batch).ok());
    EXPECT_EQ(text_of(**manifest), model.text());
  }
  EXPECT_EQ(text_at(options), model.text());
  EXPECT_EQ(text_at(options), model.text());  // now from a table, not from the log
}

// Bytes of the records are a format: a daemon of another version reads them.
TEST(Manifest, Law14_RecordsHaveTheBytesOfFormat1) {
  const RunKey key{.root = 0x01020304, .units = 0x050607, .kind = 3, .slot = {0x08090a0b}};
  EXPECT_EQ(run_key(kRunPrefix, key), std::string("s\1\2\3\4\0\5\6\7\3\x8\x9\xa\xb", 14));
  EXPECT_EQ(run_key(kTruncationPrefix, key), std::string("t\1\2\3\4\0\5\6\7\3\x8\x9\xa\xb", 14));
  EXPECT_EQ(root_key(0x01020304), "r\1\2\3\4");
  EXPECT_EQ(epoch_key("ab", "c"), std::string("eab\0c", 5));
  EXPECT_EQ(epoch_value(0x0102), std::string("\1\2\1\0\0\0\0\0\0", 9));
  EXPECT_EQ(truncation_value(5), std::string("\1\5\0\0\0", 5));
  RunRecord run{.key = key, .generation = 0x11, .unit_step = 2, .parent_units = 3, .kept = true};
  run.owner_tag = 4;
  run.parent_key.bytes.fill('p');
  run.keys.resize(1);
  run.keys[0].bytes.fill('k');
  EXPECT_EQ(run_value(run), std::string("\1\x11\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\1", 22) +
                                std::string(32, 'p') + "\1" + std::string(32, 'k'));
  RootRecord root{.weights_epoch = 9, .domain = "d", .tenant = "", .namespace_name = "nn"};
  root.hash.bytes.fill('h');
  root.layout_digest.bytes.fill('l');
  EXPECT_EQ(root_value(root), "\1" + std::string(32, 'h') + std::string(32, 'l') +
                                  std::string("\x9\0\0\0\0\0\0\0\1d\0\2nn", 14));
}

TEST(Manifest, ParentsComeBeforeChildren) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  std::vector<uint32_t> numbers(500);
  for (uint32_t i = 0; i < numbers.size(); ++i) numbers[i] = 1 + i * 997;
  std::shuffle(numbers.begin(), numbers.end(), std::mt19937(3));
  {
    const Opened manifest = Manifest::open(options);
    for (size_t at = 0; at < numbers.size(); at += 50) {
      ManifestBatch batch;
      for (size_t i = at; i < at + 50; ++i) {
        batch.put_run(make_run(numbers[i] % 3, numbers[i], 4));
      }
      ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
    }
  }
  const Opened manifest = Manifest::open(options);
  std::pair<uint32_t, uint32_t> last{};
  size_t count = 0;
  ASSERT_TRUE((*manifest)
                  ->read_runs([&](const RunRecord& run) {
                    const std::pair here(run.key.root, run.key.units);
                    EXPECT_LT(last, here);
                    EXPECT_LT(run.parent_units, run.key.units);
                    last = here;
                    ++count;
                    return true;
                  })
                  .ok());
  EXPECT_EQ(count, numbers.size());
}

TEST(Manifest, VisitorStopsTheReading) {
  const ScratchDirectory scratch;
  const Opened manifest = Manifest::open({.path = scratch / "manifest"});
  ManifestBatch batch;
  for (uint32_t i = 1; i < 20; ++i) batch.put_run(make_run(0, i, 2));
  ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  int seen = 0;
  ASSERT_TRUE((*manifest)->read_runs([&](const RunRecord&) { return ++seen < 5; }).ok());
  EXPECT_EQ(seen, 5);
}

TEST(Manifest, TruncationLeavesTheSmallerCount) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  ManifestModel model;
  {
    const Opened manifest = Manifest::open(options);
    for (uint32_t i = 1; i <= 60; ++i) {
      const RunRecord run = make_run(i % 2, i, 1 + i % 16);
      ManifestBatch put;
      put.put_run(run);
      model.put_run(run);
      ASSERT_TRUE(write(**manifest, std::move(put)).ok());
      if (i % 3 == 0) continue;
      ManifestBatch cut;
      const uint32_t left = i % 20;  // more than there are, the same, fewer, none
      cut.truncate_run(run.key, left);
      model.truncate_run(run.key, left);
      ASSERT_TRUE(write(**manifest, std::move(cut)).ok());
    }
    EXPECT_EQ(text_of(**manifest), model.text());
  }
  EXPECT_EQ(text_at(options), model.text());
}

TEST(Manifest, ErasedRunTakesItsTruncationAlong) {
  const ScratchDirectory scratch;
  const Opened manifest = Manifest::open({.path = scratch / "manifest"});
  const RunRecord run = make_run(1, 8, 16);
  ManifestBatch batch;
  batch.put_run(run);
  batch.truncate_run(run.key, 3);
  batch.truncate_run(run.key, 0);
  ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  EXPECT_TRUE(text_of(**manifest).empty());
  ManifestBatch again;  // the slots have been reused for a whole run
  again.put_run(run);
  ASSERT_TRUE(write(**manifest, std::move(again)).ok());
  ManifestModel model;
  model.put_run(run);
  EXPECT_EQ(text_of(**manifest), model.text());
}

TEST(Manifest, RandomBatchesLeaveWhatTheModelSays) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  std::mt19937 random(11);
  ManifestModel model;
  for (int round = 0; round < 4; ++round) {
    const Opened manifest = Manifest::open(options);
    for (int step = 0; step < 150; ++step) {
      const uint32_t number = 1 + random() % 80;
      const uint32_t left = random() % 17;
      const auto add = [&](auto& target) {
        if (step % 5 == 0) target.put_root(make_root(number % 9));
        if (step % 11 == 0) target.erase_root(number % 9);
        if (step % 3 == 0) target.truncate_run(make_run(0, number, 2).key, 0);
        if (step % 3 == 0) target.put_run(make_run(0, number, 2 + number % 15));
        target.truncate_run(make_run(0, number, 2).key, left);
        target.put_epoch("d" + std::to_string(number % 4), "n", uint64_t(step));
      };
      ManifestBatch batch;
      add(batch);
      add(model);
      ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
    }
    EXPECT_EQ(text_of(**manifest), model.text());
  }
  EXPECT_EQ(text_at(options), model.text());
}

TEST(Manifest, BatchesThatWaitAreSyncedOnce) {
  const ScratchDirectory scratch;
  FaultyFileSystem file_system;
  const Opened manifest = Manifest::open({.path = scratch / "manifest", .env = file_system.env()});
  ASSERT_TRUE(write(**manifest, numbered_batch(1)).ok());  // the log and its name are synced
  std::binary_semaphore syncing(0);
  std::binary_semaphore proceed(0);
  file_system.set_hook([&, first = true](const FileEvent& event) mutable {
    if (event.operation != FileOperation::kSync || !std::exchange(first, false)) return;
    syncing.release();
    proceed.acquire();
  });
  const uint64_t before = file_system.count(FileOperation::kSync);
  ASSERT_TRUE((*manifest)->submit(numbered_batch(2)));
  ASSERT_TRUE(syncing.try_acquire_for(tests::kPatience));
  for (uint32_t number = 3; number <= 50; ++number) {
    ASSERT_TRUE((*manifest)->submit(numbered_batch(number)));
  }
  EXPECT_TRUE((*manifest)->poll().empty());  // never blocks; nothing is durable yet
  EXPECT_EQ((*manifest)->in_flight(), 49u);
  proceed.release();
  const std::vector<ManifestDone> done = finish(**manifest);
  EXPECT_EQ(file_system.count(FileOperation::kSync), before + 2);
  ASSERT_EQ(done.size(), 49u);
  for (size_t i = 0; i < done.size(); ++i) {
    EXPECT_TRUE(done[i].result.ok());
    EXPECT_EQ(done[i].batch.tag, i + 2);
    EXPECT_EQ(done[i].batch.size(), numbered_batch(static_cast<uint32_t>(i) + 2).size());
  }
  EXPECT_EQ(text_of(**manifest), numbered_text(50));
}

// The writer stands in the work of a batch of its own until go().
class HeldWriter {
 public:
  explicit HeldWriter(Manifest& manifest) {
    ManifestBatch batch;
    batch.first([this] {
      working_.release();
      proceed_.acquire();
      return Result<void>{};
    });
    EXPECT_TRUE(manifest.submit(std::move(batch)));
    EXPECT_TRUE(working_.try_acquire_for(tests::kPatience));
  }
  ~HeldWriter() { go(); }  // of a test that failed
  void go() {
    if (std::exchange(held_, false)) proceed_.release();
  }

 private:
  bool held_ = true;
  std::binary_semaphore working_{0};
  std::binary_semaphore proceed_{0};
};

TEST(Manifest, Law08_WorkIsDoneByTheWriterBeforeItsBatchIsWritten) {
  const ScratchDirectory scratch;
  FaultyFileSystem file_system;
  std::atomic<std::thread::id> writer;
  const Opened manifest =
      Manifest::open({.path = scratch / "manifest", .env = file_system.env(), .on_done = [&] {
                        writer = std::this_thread::get_id();
                      }});
  ASSERT_TRUE(write(**manifest, numbered_batch(1)).ok());
  const uint64_t before = file_system.count(FileOperation::kAppend);
  std::vector<uint64_t> appended;
  std::vector<std::thread::id> threads;
  HeldWriter held(**manifest);
  for (uint32_t number = 2; number <= 4; ++number) {  // one group
    ManifestBatch batch = numbered_batch(number);
    batch.first([&] {
      appended.push_back(file_system.count(FileOperation::kAppend));
      threads.push_back(std::this_thread::get_id());
      return Result<void>{};
    });
    ASSERT_TRUE((*manifest)->submit(std::move(batch)));
  }
  held.go();
  for (const ManifestDone& done : finish(**manifest)) EXPECT_TRUE(done.result.ok());
  const uint64_t empty_batch = appended.at(0) - before;  // that of the held writer
  EXPECT_EQ(appended, std::vector<uint64_t>(3, before + empty_batch));
  EXPECT_GT(file_system.count(FileOperation::kAppend), before + empty_batch);
  EXPECT_EQ(threads, std::vector<std::thread::id>(3, writer.load()));
  EXPECT_NE(writer.load(), std::this_thread::get_id());
  EXPECT_EQ(text_of(**manifest), numbered_text(4));
}

TEST(Manifest, FailedWorkFailsItsBatchAlone) {
  const ScratchDirectory scratch;
  FaultyFileSystem file_system;
  const ManifestOptions options{.path = scratch / "manifest", .env = file_system.env()};
  Opened manifest = Manifest::open(options);
  ASSERT_TRUE(write(**manifest, numbered_batch(1)).ok());
  const std::set<uint64_t> failing = {1, 4, 5, 9};
  const uint64_t before = file_system.count(FileOperation::kSync);
  HeldWriter held(**manifest);
  ManifestModel model;
  tests::add_numbered(model, 1);
  for (uint32_t number = 1; number <= 9; ++number) {
    const RunRecord run = make_run(2, number, 3);
    const bool fails = failing.contains(number);
    if (!fails) model.put_run(run);
    ManifestBatch batch;
    batch.tag = number;
    batch.put_run(run);
    batch.first([fails, number]() -> Result<void> {
      if (fails) return model::make_error(Errc::kResourceExhausted, std::to_string(number));
      return {};
    });
    ASSERT_TRUE((*manifest)->submit(std::move(batch)));
  }
  held.go();
  const std::vector<ManifestDone> done = finish(**manifest);
  ASSERT_EQ(done.size(), 10u);
  for (uint64_t i = 1; i < done.size(); ++i) {
    EXPECT_EQ(done[i].batch.tag, i);
    ASSERT_EQ(done[i].result.ok(), !failing.contains(i)) << i;
    if (done[i].result.ok()) continue;
    EXPECT_EQ(done[i].result.code(), Errc::kResourceExhausted);
    EXPECT_EQ(done[i].result.error().text, std::to_string(i));
  }
  EXPECT_EQ(file_system.count(FileOperation::kSync), before + 2);  // the held one's, the group's
  EXPECT_EQ((*manifest)->failure(), "");
  EXPECT_EQ(text_of(**manifest), model.text());
  // One alone writes nothing at all.
  const uint64_t appended = file_system.count(FileOperation::kAppend);
  ManifestBatch alone = numbered_batch(3);
  alone.first([] { return Result<void>(model::make_error(Errc::kIoError, "alone")); });
  EXPECT_EQ(write(**manifest, std::move(alone)).code(), Errc::kIoError);
  EXPECT_EQ(file_system.count(FileOperation::kAppend), appended);
  EXPECT_EQ((*manifest)->failure(), "");
  manifest = Result<std::unique_ptr<Manifest>>(nullptr);
  EXPECT_EQ(text_at(options), model.text());
}

TEST(Manifest, Law10_FullQueueRefusesAndTakesNothing) {
  const ScratchDirectory scratch;
  const Opened opened = Manifest::open({.path = scratch / "manifest"});
  Manifest& manifest = **opened;
  uint32_t number = 0;
  for (uint32_t i = 0; i < kMaxQueuedBatches; ++i) {
    ASSERT_TRUE(manifest.submit(numbered_batch(++number)));
  }
  // Written or not: what was not polled keeps its place.
  ManifestBatch refused = numbered_batch(number + 1);
  EXPECT_FALSE(manifest.submit(std::move(refused)));
  EXPECT_FALSE(refused.empty());
  EXPECT_EQ(manifest.in_flight(), kMaxQueuedBatches);
  EXPECT_EQ(finish(manifest).size(), kMaxQueuedBatches);
  EXPECT_TRUE(manifest.submit(std::move(refused)));
  finish(manifest);
  EXPECT_EQ(text_of(manifest), numbered_text(number + 1));
}

TEST(Manifest, OnDoneWakesForEachGroup) {
  const ScratchDirectory scratch;
  std::counting_semaphore<> wake(0);
  const Opened manifest =
      Manifest::open({.path = scratch / "manifest", .on_done = [&] { wake.release(); }});
  for (uint32_t number = 1; number <= 30; ++number) {
    ASSERT_TRUE((*manifest)->submit(numbered_batch(number)));
    wake.acquire();
    ASSERT_EQ((*manifest)->poll().size(), 1u);
  }
}

TEST(Manifest, DestructorFinishesWhatWasSubmitted) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  {
    const Opened manifest = Manifest::open(options);
    for (uint32_t number = 1; number <= 20; ++number) {
      ASSERT_TRUE((*manifest)->submit(numbered_batch(number)));
    }
  }
  EXPECT_EQ(text_at(options), numbered_text(20));
}

TEST(Manifest, SecondOpenIsBusy) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  const Opened first = Manifest::open(options);
  ASSERT_TRUE(first.ok());
  const Opened second = Manifest::open(options);
  ASSERT_EQ(second.code(), Errc::kBusy) << second.error().text;
  EXPECT_EQ(Manifest::destroy(options).code(), Errc::kBusy);
  EXPECT_TRUE(write(**first, numbered_batch(1)).ok());
  EXPECT_EQ(text_of(**first), numbered_text(1));
}

TEST(Manifest, ReadOnlyReadsChangesNothingAndFailsBatches) {
  const ScratchDirectory scratch;
  ManifestOptions options{.path = scratch / "manifest", .read_only = true};
  EXPECT_EQ(Manifest::open(options).code(), Errc::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(options.path));
  options.read_only = false;
  for (uint32_t number = 1; number <= 6; ++number) {  // the last is in the log alone
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(write(**manifest, numbered_batch(number)).ok());
  }
  options.read_only = true;
  const auto before = tests::contents_of(scratch.path());
  {
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(manifest.ok()) << manifest.error().text;
    EXPECT_EQ(text_of(**manifest), numbered_text(6));
    ManifestBatch refused = numbered_batch(7);
    bool worked = false;
    refused.first([&] { return worked = true, Result<void>{}; });
    EXPECT_EQ(write(**manifest, std::move(refused)).code(), Errc::kIoError);
    EXPECT_FALSE(worked);
    EXPECT_EQ((*manifest)->resume().code(), Errc::kIoError);
    EXPECT_EQ(text_of(**manifest), numbered_text(6));
  }
  EXPECT_EQ(tests::contents_of(scratch.path()), before);
}

TEST(Manifest, AbsentIsEmptyAndMadeWhenItMayBe) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest", .read_only = true, .absent = true};
  {
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(manifest.ok()) << manifest.error().text;
    EXPECT_EQ(text_of(**manifest), numbered_text(0));
    EXPECT_EQ((*manifest)->missing_writes(), 0u);
    EXPECT_EQ(write(**manifest, numbered_batch(1)).code(), Errc::kIoError);
    EXPECT_FALSE(std::filesystem::exists(options.path));
    ASSERT_TRUE((*manifest)->make_writable().ok());
    EXPECT_EQ(text_of(**manifest), numbered_text(0)) << "what failed is not there";
    EXPECT_TRUE(write(**manifest, numbered_batch(1)).ok());
    EXPECT_EQ(text_of(**manifest), numbered_text(1));
  }
  EXPECT_EQ(text_of(**Manifest::open({.path = options.path})), numbered_text(1));
}

TEST(Manifest, UnparsableRecordsAreCountedAndLeftOut) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "manifest";
  const RunRecord run = make_run(5, 40, 3);
  const RunRecord cut = make_run(5, 50, 3);
  {
    const Opened manifest = Manifest::open({.path = path});
    ManifestBatch batch;
    batch.put_root(make_root(1));
    batch.put_epoch("d", "n", 2);
    batch.put_run(run);
    batch.put_run(cut);
    ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  }
  const auto changed = [](std::string bytes, size_t at, char to) {
    bytes[at] = to;
    return bytes;
  };
  const std::string value = run_value(run);
  RunKey key = run.key;
  const auto next = [&] { return run_key(kRunPrefix, (++key.units, key)); };
  uint64_t runs = 0;
  for (const std::string& bad : {std::string(), value.substr(0, value.size() - 1), value + "x",
                                 changed(value, 0, 2), changed(value, 21, 2), changed(value, 54, 0),
                                 changed(value, 54, 2), changed(value, 54, 17)}) {
    tests::put_raw(path, next(), bad);
    ++runs;
  }
  key.kind = 9;
  tests::put_raw(path, next(), value);
  key.kind = 3;  // a checkpoint of three objects
  tests::put_raw(path, next(), value);
  key.kind = 2;
  key.slot = SsdSlot::of(3, 65'534);  // its third object lies outside of the region
  tests::put_raw(path, next(), value);
  tests::put_raw(path, "s", value);
  tests::put_raw(path, next() + "x", value);
  tests::put_raw(path, run_key(kTruncationPrefix, cut.key), "\1\1");  // leaves its run out
  runs += 6;
  uint64_t roots = 0;
  const std::string root = root_value(make_root(2));
  for (const std::string& bad : {std::string(), root.substr(0, root.size() - 1), root + "x",
                                 changed(root, 0, 9), changed(root, 73, 64)}) {
    tests::put_raw(path, root_key(static_cast<uint32_t>(10 + roots++)), bad);
  }
  tests::put_raw(path, "r123", root);
  tests::put_raw(path, "enozero", epoch_value(1));
  tests::put_raw(path, epoch_key("d", "m"), "\1\1");
  roots += 3;
  const Opened manifest = Manifest::open({.path = path});
  const Result<ManifestContents> contents = (*manifest)->read_roots();
  ASSERT_TRUE(contents.ok());
  EXPECT_EQ(contents->rejected, roots);
  ASSERT_EQ(contents->roots.size(), 1u);
  EXPECT_EQ(contents->roots[0].id, 1u);
  EXPECT_EQ(contents->epochs.size(), 1u);
  std::vector<uint32_t> seen;
  const Result<uint64_t> rejected = (*manifest)->read_runs([&](const RunRecord& found) {
    seen.push_back(found.key.units);
    return true;
  });
  ASSERT_TRUE(rejected.ok());
  EXPECT_EQ(*rejected, runs);
  EXPECT_EQ(seen, std::vector<uint32_t>{run.key.units});
}

TEST(Manifest, DestroyLeavesAnEmptyOne) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  ASSERT_TRUE(Manifest::destroy(options).ok());  // there was none
  for (uint32_t number = 1; number <= 3; ++number) {
    const Opened manifest = Manifest::open(options);
    ASSERT_TRUE(write(**manifest, numbered_batch(number)).ok());
  }
  ASSERT_TRUE(Manifest::destroy(options).ok());
  EXPECT_TRUE(text_at(options).empty());
}

TEST(Manifest, BytesWrittenCountTheLog) {
  const ScratchDirectory scratch;
  const Opened manifest = Manifest::open({.path = scratch / "manifest"});
  const uint64_t opened = (*manifest)->bytes_written();
  EXPECT_GT(opened, 0u);
  ManifestBatch batch;
  uint64_t bytes = 0;
  for (uint32_t i = 1; i <= 100; ++i) {
    batch.put_run(make_run(1, i, 16));
    bytes += 14 + run_value(make_run(1, i, 16)).size();
  }
  ASSERT_TRUE(write(**manifest, std::move(batch)).ok());
  EXPECT_GE((*manifest)->bytes_written(), opened + bytes);
  EXPECT_LE((*manifest)->bytes_written(), opened + bytes + bytes / 10);
}

}  // namespace
}  // namespace quire::tiering::manifest_test
