// A rebuild that is killed before each name it changes (reliability: kill at every persistence
// point). RocksDB's own files: ssd_rebuild_test.cc.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "tests/ssd/ssd_child.h"
#include "tests/ssd/ssd_rig.h"
#include "tiering/rebuild/ssd_rebuild.h"

namespace quire::tests::ssd_rebuild_crash_test {
namespace {

std::atomic<int64_t> changes_left{-1};  // of names, before this process is killed; -1: it is not

void before_a_change() {
  if (changes_left.load() < 0 || changes_left.fetch_sub(1) > 0) return;
  ::raise(SIGKILL);
}

}  // namespace
}  // namespace quire::tests::ssd_rebuild_crash_test

// Of this whole program, std::filesystem included.
extern "C" int renameat(int from_directory, const char* from, int to_directory,
                        const char* to) noexcept {
  quire::tests::ssd_rebuild_crash_test::before_a_change();
  return static_cast<int>(::syscall(SYS_renameat, from_directory, from, to_directory, to));
}
extern "C" int unlinkat(int directory, const char* name, int flags) noexcept {
  quire::tests::ssd_rebuild_crash_test::before_a_change();
  return static_cast<int>(::syscall(SYS_unlinkat, directory, name, flags));
}

namespace quire::tests::ssd_rebuild_crash_test {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kTokens = 200;

ChildRole rebuilds_and_is_killed("rebuild-killed", [](const std::vector<std::string>& arguments) {
  changes_left.store(std::stoll(arguments[1]));
  const auto report = tiering::rebuild_manifest({.directory = {.path = arguments[0]}});
  changes_left.store(-1);
  return report.ok() ? 0 : 1;
});

}  // namespace

TEST(SsdRebuildCrash, Law08_KilledBeforeEachChangeOfANameARebuildCanBeDoneAgain) {
  SsdRig rig;
  {
    const auto client = rig.daemon().connect();
    rig.commit(*client, 1, kTokens);
    ASSERT_TRUE(rig.settle());
  }
  rig.daemon().stop();
  const std::string kept = rig.directory() / "kept";
  fs::copy(rig.ssd_path(), kept, fs::copy_options::recursive);
  int64_t without_manifest = 0;
  int64_t nth = 0;
  for (int ended = -SIGKILL; ended == -SIGKILL; ++nth) {
    SCOPED_TRACE(nth);
    ASSERT_LT(nth, 200);
    fs::remove_all(rig.ssd_path());
    fs::copy(kept, rig.ssd_path(), fs::copy_options::recursive);
    ChildProcess child("rebuild-killed", {rig.ssd_path(), std::to_string(nth)});
    ended = child.wait();
    ASSERT_TRUE(ended == -SIGKILL || ended == 0) << ended;
    rig.daemon().start();
    bool has_tier = false;
    rig.daemon().on_core([&](server::Daemon& daemon) { has_tier = daemon.tiers() != nullptr; });
    if (!has_tier) {
      ++without_manifest;
      const auto status = rig.daemon().connect()->status_json();
      ASSERT_TRUE(status.ok());
      EXPECT_NE(status->find("quirectl rebuild"), std::string::npos) << *status;
      rig.daemon().stop();
      const auto again = tiering::rebuild_manifest({.directory = {.path = rig.ssd_path()}});
      ASSERT_TRUE(again.ok()) << again.error().text;
      rig.daemon().start();
    }
    const auto client = rig.daemon().connect();
    EXPECT_EQ(rig.hit_tokens(*client, 1, kTokens), static_cast<int>(kTokens));
    rig.daemon().on_core([](server::Daemon& daemon) { daemon.ssd_tier()->check_invariants(); });
    rig.daemon().stop();
  }
  EXPECT_GE(nth, 4) << "the superblock, two of the manifest, what was left";
  EXPECT_EQ(without_manifest, 1) << "between the two renames";
  rig.daemon().start();
}

}  // namespace quire::tests::ssd_rebuild_crash_test
