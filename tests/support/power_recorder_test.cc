// The recorder's images themselves: what is certain is in each, what is not comes and goes.
#include "tests/support/power_recorder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/io_rig.h"
#include "tiering/io/thread_engine.h"

namespace quire::tests::power_recorder_test {

namespace fs = std::filesystem;
using tiering::IoKind;

namespace {

constexpr PowerRecorder::ImageOptions kMany{.seed = 5, .at_each_sync = 40};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class PowerRecorderTest : public testing::Test {
 protected:
  PowerRecorderTest() {
    std::string pattern = fs::temp_directory_path() / "quire-power-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    fs::create_directories(path_ + "/ssd/manifest");
    recorder_ = std::make_unique<PowerRecorder>(path_ + "/ssd");
    seams_ = recorder_->seams();
  }
  ~PowerRecorderTest() override { fs::remove_all(path_); }

  // Every content that a file has in some image; "absent" where it is not there.
  std::set<std::string> contents(const std::string& name) {
    std::set<std::string> seen;
    recorder_->for_each_image(path_, kMany, [&](const PowerRecorder::Image& image) {
      const std::string path = image.path + "/" + name;
      seen.insert(fs::exists(path) ? bytes_of(path) : "absent");
      return true;
    });
    return seen;
  }
  std::unique_ptr<rocksdb::WritableFile> create(const std::string& name) {
    std::unique_ptr<rocksdb::WritableFile> file;
    QUIRE_CHECK(seams_.manifest_env->NewWritableFile(manifest(name), &file, {}).ok());
    return file;
  }
  void sync_directory() {
    std::unique_ptr<rocksdb::Directory> directory;
    QUIRE_CHECK(seams_.manifest_env->NewDirectory(path_ + "/ssd/manifest", &directory).ok());
    QUIRE_CHECK(directory->Fsync().ok());
  }
  std::string manifest(const std::string& name) const { return path_ + "/ssd/manifest/" + name; }

  std::string path_;
  std::unique_ptr<PowerRecorder> recorder_;
  server::DaemonSeams seams_;
};

}  // namespace

TEST_F(PowerRecorderTest, AppendIsCertainWithItsSyncAndItsNamesSync) {
  const auto file = create("a");
  ASSERT_TRUE(file->Append("one").ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(contents("manifest/a"), (std::set<std::string>{"absent", "", "one"}));
  sync_directory();
  ASSERT_TRUE(file->Append("two").ok());
  const auto other = create("b");
  ASSERT_TRUE(other->Sync().ok());
  // The last image is of what is certain.
  std::string last;
  recorder_->for_each_image(path_, kMany, [&](const PowerRecorder::Image& image) {
    last = bytes_of(image.path + "/manifest/a");
    return true;
  });
  EXPECT_EQ(last, "one");
  EXPECT_TRUE(contents("manifest/a").contains("onetwo"));
}

TEST_F(PowerRecorderTest, RenameIsThereOrNotUntilTheDirectoryIsSynced) {
  const auto file = create("temporary");
  ASSERT_TRUE(file->Append("new").ok());
  ASSERT_TRUE(file->Sync().ok());
  sync_directory();
  ASSERT_TRUE(seams_.manifest_env->RenameFile(manifest("temporary"), manifest("current")).ok());
  sync_directory();
  EXPECT_EQ(contents("manifest/current"), (std::set<std::string>{"absent", "new"}));
  std::set<std::string> pairs;
  recorder_->for_each_image(path_, kMany, [&](const PowerRecorder::Image& image) {
    pairs.insert(std::to_string(fs::exists(image.path + "/manifest/temporary")) +
                 std::to_string(fs::exists(image.path + "/manifest/current")));
    return true;
  });
  EXPECT_FALSE(pairs.contains("11"));
  EXPECT_TRUE(pairs.contains("01") && pairs.contains("10"));
}

TEST_F(PowerRecorderTest, DataIsTornUntilASyncThatBeganAfterIt) {
  auto made = tiering::ThreadEngine::create({.queue_depth = 8, .max_files = 2});
  ASSERT_TRUE(made.ok());
  const auto engine = seams_.wrap_engine(std::move(made).value());
  const model::FdGuard file(
      ::open((path_ + "/ssd/data.000000").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const auto index = engine->add_file(file.get());
  ASSERT_TRUE(index.ok());
  const PageMemory memory(2 * kBlockBytes);
  fill_random(memory.span(), 3);
  const auto write = [&](uint64_t block) {
    return tiering::IoOp{.kind = IoKind::kWrite,
                         .file = *index,
                         .offset = block * kBlockBytes,
                         .data = memory.block(block),
                         .bytes = kBlockBytes};
  };
  const std::string all(reinterpret_cast<const char*>(memory.data()), 2 * kBlockBytes);
  const std::string first = all.substr(0, kBlockBytes);
  EXPECT_EQ(run(*engine, write(0)).error, 0);
  EXPECT_EQ(run(*engine, {.kind = IoKind::kSync, .file = *index}).error, 0);
  EXPECT_EQ(run(*engine, write(1)).error, 0);
  const auto other = create("b");
  ASSERT_TRUE(other->Sync().ok());  // of another file: makes nothing of this one certain
  const std::set<std::string> seen = contents("data.000000");
  EXPECT_TRUE(seen.contains("") || seen.contains("absent"));  // before the first sync
  EXPECT_TRUE(seen.contains(first));
  EXPECT_TRUE(seen.contains(all));
  EXPECT_GT(seen.size(), 6u);  // sectors of it
  uint64_t with_second = 0;
  recorder_->for_each_image(path_, kMany, [&](const PowerRecorder::Image& image) {
    const std::string bytes = bytes_of(image.path + "/data.000000");
    if (bytes.size() > kBlockBytes) {
      ++with_second;
      EXPECT_EQ(bytes.substr(0, kBlockBytes), first) << image.what;
    }
    return true;
  });
  EXPECT_GT(with_second, 10u);
}

}  // namespace quire::tests::power_recorder_test
