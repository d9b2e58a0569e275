// What is left after a power cut or a kill: at least what was reported durable, and nothing that
// was not submitted.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <random>

#include "tests/ssd/manifest_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/faulty_file_system.h"
#include "tiering/disk/manifest.h"

namespace quire::tiering::manifest_crash_test {
namespace {

namespace fs = std::filesystem;
using model::Errc;
using model::Result;
using tests::FaultyFileSystem;
using tests::FileEvent;
using tests::FileOperation;
using tests::finish;
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

// How much of each file a power cut leaves for certain: what was appended before its last sync.
class SyncedLengths {
 public:
  void operator()(const FileEvent& event) {
    const std::lock_guard lock(mutex_);
    switch (event.operation) {
      case FileOperation::kCreate:
        lengths_[event.path] = {};
        break;
      case FileOperation::kAppend:
        lengths_[event.path].written = event.offset + event.data.size();
        break;
      case FileOperation::kTruncate:
        lengths_[event.path].written = event.offset;
        break;
      case FileOperation::kSync:
        lengths_[event.path].synced = lengths_[event.path].written;
        break;
      case FileOperation::kRename:
        lengths_[event.target] = lengths_[event.path];
        lengths_.erase(event.path);
        break;
      case FileOperation::kDelete:
        lengths_.erase(event.path);
        break;
      default:
        break;
    }
  }

  // Copies a directory as a power cut would leave it.
  void copy(const std::string& from, const std::string& to) const {
    const std::lock_guard lock(mutex_);
    fs::create_directory(to);
    for (const auto& entry : fs::directory_iterator(from)) {
      const auto length = lengths_.find(entry.path());
      std::string bytes = read_bytes(entry.path());
      if (length != lengths_.end()) bytes.resize(std::min(bytes.size(), length->second.synced));
      write_bytes(fs::path(to) / entry.path().filename(), bytes);
    }
  }

 private:
  struct Length {
    size_t written = 0;
    size_t synced = 0;
  };
  mutable std::mutex mutex_;  // of lengths_
  std::map<std::string, Length> lengths_;
};

TEST(ManifestCrash, Law08_DurableBatchIsThereAfterAPowerCut) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  SyncedLengths synced;
  file_system.set_hook([&](const FileEvent& event) { synced(event); });
  uint32_t number = 0;
  for (int start = 0; start < 3; ++start) {
    const Opened manifest =
        Manifest::open({.path = scratch / "manifest", .env = file_system.env()});
    ASSERT_TRUE(manifest.ok());
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(write(**manifest, numbered_batch(++number)).ok());
      const std::string copy = scratch / ("copy" + std::to_string(number));
      synced.copy(scratch / "manifest", copy);
      EXPECT_EQ(text_at({.path = copy}), numbered_text(number));
    }
  }
}

// The log as it was after each of `count` batches; the manifest lies in `path`.
std::vector<size_t> write_numbered(const ScratchDirectory& scratch, const std::string& path,
                                   std::string& log, uint32_t count) {
  const std::string open_path = scratch / "open";
  std::vector<size_t> sizes;
  const Opened manifest = Manifest::open({.path = open_path});
  for (uint32_t number = 1; number <= count; ++number) {
    EXPECT_TRUE(write(**manifest, numbered_batch(number)).ok());
    for (const auto& entry : fs::directory_iterator(open_path)) {
      if (entry.path().extension() == ".log") log = entry.path().filename();
    }
    sizes.push_back(fs::file_size(fs::path(open_path) / log));
  }
  fs::copy(open_path, path, fs::copy_options::recursive);
  return sizes;
}

uint32_t batches_within(const std::vector<size_t>& sizes, size_t bytes) {
  return static_cast<uint32_t>(std::upper_bound(sizes.begin(), sizes.end(), bytes) - sizes.begin());
}

TEST(ManifestCrash, TornLogOpensWithTheWholeBatchesBeforeTheTear) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;  // for speed: nothing here depends on the device
  file_system.skip_device_syncs();
  std::string log;
  const std::vector<size_t> sizes = write_numbered(scratch, scratch / "whole", log, 8);
  const std::string torn = scratch / "torn";
  for (size_t cut = 0; cut <= 200; ++cut) {
    fs::remove_all(torn);
    fs::copy(scratch / "whole", torn);
    const size_t left = sizes.back() - cut;
    fs::resize_file(fs::path(torn) / log, left);
    ASSERT_EQ(text_at({.path = torn, .env = file_system.env()}),
              numbered_text(batches_within(sizes, left)))
        << cut;
  }
}

TEST(ManifestCrash, DamagedLogInventsNothing) {
  const ScratchDirectory scratch(tests::memory_directory());
  FaultyFileSystem file_system;
  file_system.skip_device_syncs();
  std::string log;
  const std::vector<size_t> sizes = write_numbered(scratch, scratch / "whole", log, 8);
  const std::string torn = scratch / "torn";
  std::mt19937 random(17);
  for (int round = 0; round < 60; ++round) {
    fs::remove_all(torn);
    fs::copy(scratch / "whole", torn);
    std::string bytes = read_bytes(fs::path(torn) / log);
    const size_t at = random() % bytes.size();
    // A flipped bit; a sector that was never written; a tail of something else.
    if (round % 3 == 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    if (round % 3 == 1) std::fill(bytes.begin() + long(at), bytes.end(), '\0');
    if (round % 3 == 2) std::fill(bytes.begin() + long(at), bytes.end(), char(random() | 1));
    write_bytes(fs::path(torn) / log, bytes);
    const ManifestText text = text_at({.path = torn, .env = file_system.env()});
    const uint32_t certain = batches_within(sizes, at);
    bool known = false;
    for (uint32_t count = certain; count <= certain + 1 && count <= sizes.size(); ++count) {
      known = known || text == numbered_text(count);
    }
    ASSERT_TRUE(known) << round << " at " << at;
  }
}

// This very program as another process: RocksDB's threads do not survive a fork.
constexpr const char* kChildVariable = "QUIRE_MANIFEST_CHILD";
constexpr int kChildOutput = 3;  // descriptor: the number of each durable batch

// Writes numbered batches for ever, several in flight, and tells of each that is durable.
[[noreturn]] void write_until_killed(const std::string& path) {
  const Opened manifest = Manifest::open({.path = path});
  if (!manifest.ok()) ::_exit(static_cast<int>(manifest.code()));
  for (uint32_t number = 1;;) {
    while ((*manifest)->in_flight() < 6) {
      if (!(*manifest)->submit(numbered_batch(number++))) ::_exit(100);
    }
    for (const ManifestDone& done : (*manifest)->poll()) {
      if (!done.result.ok()) ::_exit(101);
      const auto durable = static_cast<uint32_t>(done.batch.tag);
      if (::write(kChildOutput, &durable, sizeof(durable)) != sizeof(durable)) ::_exit(102);
    }
  }
}

class ChildProgram final : public testing::Environment {
 public:
  void SetUp() override {
    const char* path = std::getenv(kChildVariable);
    if (path == nullptr) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // never outlives a test that failed
    write_until_killed(path);
  }
};
const testing::Environment* const kChildProgram =
    testing::AddGlobalTestEnvironment(new ChildProgram);

struct Child {
  pid_t pid = -1;
  int output = -1;
};

Child spawn_writer(const std::string& path) {
  int ends[2];
  QUIRE_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kChildOutput);
  std::string variable = std::string(kChildVariable) + "=" + path;
  std::vector<char*> environment = {variable.data(), nullptr};
  std::string name = "manifest_child";
  char* arguments[] = {name.data(), nullptr};
  Child child{.output = ends[0]};
  QUIRE_CHECK(::posix_spawn(&child.pid, "/proc/self/exe", &actions, nullptr, arguments,
                            environment.data()) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  return child;
}

// Reads at least `count` reports, kills, and returns the last batch that was reported.
uint32_t kill_after(const Child& child, uint32_t count) {
  uint32_t durable = 0;
  uint32_t next = 0;
  while (::read(child.output, &next, sizeof(next)) == sizeof(next)) {
    EXPECT_EQ(next, durable + 1);
    durable = next;
    if (durable == count) ::kill(child.pid, SIGKILL);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child.pid, &status, 0), child.pid);
  EXPECT_TRUE(WIFSIGNALED(status)) << "exit status " << WEXITSTATUS(status);
  ::close(child.output);
  return durable;
}

TEST(ManifestCrash, Law08_DurableBatchSurvivesAKill) {
  std::mt19937 random(23);
  for (int round = 0; round < 5; ++round) {
    const ScratchDirectory scratch;
    const ManifestOptions options{.path = scratch / "manifest"};
    const uint32_t durable = kill_after(spawn_writer(options.path), 1 + random() % 120);
    ASSERT_GT(durable, 0u);
    const ManifestText text = text_at(options);
    // Those in flight were written or not, in order.
    bool known = false;
    for (uint32_t count = durable; count <= durable + 6; ++count) {
      known = known || text == numbered_text(count);
    }
    EXPECT_TRUE(known) << durable;
  }
}

TEST(ManifestCrash, LockOfAnotherProcessIsBusyUntilItIsKilled) {
  const ScratchDirectory scratch;
  const ManifestOptions options{.path = scratch / "manifest"};
  const Child child = spawn_writer(options.path);
  uint32_t first = 0;
  ASSERT_EQ(::read(child.output, &first, sizeof(first)), ssize_t{sizeof(first)});
  const Opened refused = Manifest::open(options);
  EXPECT_EQ(refused.code(), Errc::kBusy);
  if (!refused.ok()) {
    EXPECT_NE(refused.error().text.find("stop the daemon"), std::string::npos);
  }
  ASSERT_EQ(::kill(child.pid, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child.pid, nullptr, 0), child.pid);
  ::close(child.output);
  EXPECT_TRUE(Manifest::open(options).ok());
}

}  // namespace
}  // namespace quire::tiering::manifest_crash_test
