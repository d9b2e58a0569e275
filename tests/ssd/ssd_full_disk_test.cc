// A file system without room (law 9), a real one: 64 MiB of memory, mounted for the test.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "tests/ssd/stepped_ssd.h"

namespace quire::tests::ssd_full_disk_test {

using tiering::TierMode;

namespace {

constexpr uint32_t kTokens = 400;
constexpr uint64_t kContexts = 16;  // some 13 MiB with their headers

bool whole(const Hit& hit) {
  return hit.announced_tokens == kTokens && hit.code == model::Errc::kOk && hit.wrong.empty();
}

class SmallDisk {
 public:
  SmallDisk() {
    mounted_ = ::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, "size=64m") == 0;
    if (!mounted_) refusal_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& refusal() const { return refusal_; }
  OptionsChange use() const {
    return [path = directory_ / "ssd"](server::Options& options) {
      options.ssd_path = path;
      options.ssd_bytes = 512ull << 20;
    };
  }
  // Leaves some `left` bytes.
  void fill(uint64_t left) {
    const model::FdGuard fd(::open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    struct statvfs room = {};
    QUIRE_CHECK(::statvfs(directory_.path().c_str(), &room) == 0);
    const uint64_t bytes = room.f_bavail * room.f_frsize - left;
    QUIRE_CHECK(::fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes)) == 0);
  }
  void stop_writes(bool full) { full ? fill(0) : set_read_only(true); }
  void allow_writes(bool full) { full ? make_room() : set_read_only(false); }
  void make_room() { QUIRE_CHECK(::unlink(ballast().c_str()) == 0); }
  void set_read_only(bool read_only) {
    const unsigned long flags = MS_REMOUNT | (read_only ? MS_RDONLY : 0);
    QUIRE_CHECK(::mount("tmpfs", directory_.path().c_str(), "tmpfs", flags, "size=64m") == 0);
  }

 private:
  std::string ballast() const { return directory_ / "ballast"; }

  ScratchDirectory directory_;
  bool mounted_ = false;
  std::string refusal_;
};

}  // namespace

// Its own regions are used again for what is new, and it grows when room comes.
TEST(SsdFullDisk, Law09_TierGoesOnWithWhatItHasUntilThereIsRoomAgain) {
  SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system of its own: " << disk.refusal();
  SteppedSsd ssd(disk.use());
  SsdRig& rig = ssd.rig();
  const auto client = connect_lazily(ssd.daemon());
  rig.commit(*client, 100, kTokens);
  ASSERT_TRUE(ssd.settle());
  disk.fill(6ull << 20);
  const auto written = [&] {
    return ssd.comes([](server::Daemon& d) { return d.tiers()->idle(); });
  };
  for (uint64_t context = 1; context <= kContexts; ++context) {
    rig.commit(*client, context, kTokens);
    ASSERT_TRUE(written()) << rig.status().blocked_by;
  }
  const SsdStatus status = rig.status();
  EXPECT_EQ(status.state, TierMode::kOk) << status.reason;
  EXPECT_NE(status.limited_by.find("allocation in data.000000: No space left"), std::string::npos)
      << status.limited_by;
  EXPECT_GT(status.health.space_errors, 0u);
  EXPECT_EQ(status.health.write_errors, 0u);
  EXPECT_EQ(status.demoter.failed, 0u);
  EXPECT_LE(status.space.allocated_bytes, 8ull << 20);
  EXPECT_GT(rig.counters().ssd_evicted, 0u);
  EXPECT_EQ(audit(rig), "");
  rig.empty_ram();
  EXPECT_TRUE(whole(try_hit(rig, *client, kContexts, kTokens))) << "the last is on SSD";
  disk.make_room();
  ssd.pass(std::chrono::minutes(1));  // the longest time until growing is tried again
  constexpr uint64_t kLast = 2 * kContexts;
  for (uint64_t context = kContexts + 1; context <= kLast; ++context) {
    rig.commit(*client, context, kTokens);
    ASSERT_TRUE(written()) << rig.status().blocked_by;
  }
  EXPECT_EQ(rig.status().limited_by, "");
  EXPECT_GT(rig.status().space.allocated_bytes, status.space.allocated_bytes);
  ssd.daemon().restart();
  const auto later = connect_lazily(ssd.daemon());
  EXPECT_TRUE(whole(try_hit(rig, *later, kLast, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

// A start that cannot write serves what is there, and writes when it can, by itself.
class SsdStartWithoutWriting : public testing::TestWithParam<bool> {};

TEST_P(SsdStartWithoutWriting, Law09_OldHitsAreServedAndItIsOkAgainByItself) {
  const bool full = GetParam();
  SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system of its own: " << disk.refusal();
  FaultySsd ssd(disk.use());
  SsdRig& rig = ssd.rig();
  rig.commit(*connect_lazily(ssd.daemon()), 1, kTokens);
  ASSERT_TRUE(rig.settle());
  ssd.daemon().stop();
  disk.stop_writes(full);
  ssd.daemon().start();
  {
    const SsdStatus status = rig.status();
    EXPECT_EQ(status.state, TierMode::kReadOnly);
    const char* const why = full ? "No space left" : "Read-only file system";
    EXPECT_NE(status.reason.find(why), std::string::npos) << status.reason;
    EXPECT_NE(status.action, "");
  }
  const auto client = connect_lazily(ssd.daemon());
  const Hit old = try_hit(rig, *client, 1, kTokens);
  EXPECT_TRUE(whole(old));
  EXPECT_EQ(old.tokens_ssd, kTokens);
  EXPECT_TRUE(serves_ram(rig, *client, 200));
  rig.commit(*client, 2, kTokens);
  rig.empty_ram();
  disk.allow_writes(full);
  ASSERT_TRUE(wait_for_state(rig, TierMode::kOk));
  rig.commit(*client, 3, kTokens);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(audit(rig), "");
  ssd.daemon().restart();
  EXPECT_EQ(rig.status().state, TierMode::kOk);
  const auto later = connect_lazily(ssd.daemon());
  EXPECT_TRUE(whole(try_hit(rig, *later, 1, kTokens)));
  EXPECT_TRUE(whole(try_hit(rig, *later, 3, kTokens)));
  EXPECT_EQ(audit(rig), "");
}

// The directory could not even be made: the tier is empty, and made when it can be.
TEST_P(SsdStartWithoutWriting, Law09_NewDirectoryIsMadeLaterAndRamIsServedMeanwhile) {
  const bool full = GetParam();
  SmallDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "no file system of its own: " << disk.refusal();
  disk.stop_writes(full);
  FaultySsd ssd(disk.use());
  SsdRig& rig = ssd.rig();
  {
    const SsdStatus status = rig.status();
    EXPECT_EQ(status.state, TierMode::kReadOnly);
    const char* const why = full ? "No space left" : "Read-only file system";
    EXPECT_NE(status.reason.find(why), std::string::npos) << status.reason;
    const char* const what = full ? "make room on the file system" : "mounted read-only";
    EXPECT_NE(status.action.find(what), std::string::npos) << status.action;
  }
  const auto client = connect_lazily(ssd.daemon());
  EXPECT_TRUE(serves_ram(rig, *client, 200));
  rig.commit(*client, 1, kTokens);
  disk.allow_writes(full);
  ASSERT_TRUE(wait_for_state(rig, TierMode::kOk));
  EXPECT_TRUE(serves_ram(rig, *client, 201));
  rig.commit(*client, 2, kTokens);
  ASSERT_TRUE(rig.settle());
  EXPECT_EQ(audit(rig), "");
  ssd.daemon().restart();
  EXPECT_EQ(rig.status().state, TierMode::kOk);
  const auto later = connect_lazily(ssd.daemon());
  for (const uint64_t context : {1, 2}) {
    const Hit hit = try_hit(rig, *later, context, kTokens);
    EXPECT_TRUE(whole(hit)) << context;
    EXPECT_EQ(hit.tokens_ssd, kTokens) << "committed before and after the tier was there";
  }
  EXPECT_EQ(audit(rig), "");
}

INSTANTIATE_TEST_SUITE_P(Disks, SsdStartWithoutWriting, testing::Bool(),
                         [](const auto& disk) { return disk.param ? "full" : "read_only"; });

}  // namespace quire::tests::ssd_full_disk_test
