// Law 14: a data directory of format 1, kept as it was written, is read to the last byte by every
// later version; one of a later version is refused or left alone.
// With QUIRE_MAKE_GOLDEN=DIRECTORY the archive is made anew there, by this version. Only a new
// format has a new archive; that of a released format never changes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "tests/ssd/hit_check.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/ssd_status.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"
#include "tiering/disk/ssd_format.h"

namespace quire::tests::ssd_golden_test {

namespace fs = std::filesystem;
using model::Errc;
using tiering::Superblock;

namespace {

constexpr const char* kArchiveName = "ssd.tar.gz";

struct Context {
  uint64_t number = 0;
  uint32_t tokens = 0;
  model::Layout (*layout)() = nullptr;
};
// A checkpoint at the end of a block, one that cuts a block, and spans alone.
constexpr Context kContexts[] = {
    {1, 24, small_hybrid_layout}, {2, 20, small_hybrid_layout}, {3, 16, small_append_layout}};
constexpr uint64_t kSpans = 3 + 2 + 4;
constexpr uint64_t kCheckpoints = 2;

server::Options golden_options(const std::string& ssd_path) {
  server::Options options = small_options();
  options.ssd_path = ssd_path;
  options.ssd_bytes = 4ull << 20;
  options.ssd_region_bytes = 1ull << 20;
  options.ssd_write_delay_ms = 1;
  return options;
}

void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

std::string archive() { return fs::path(QUIRE_GOLDEN_DIR) / "v1" / kArchiveName; }

void unpack_to(const std::string& path) {
  fs::create_directory(path);
  run("tar -xzSf '" + archive() + "' -C '" + path + "'");
}

void change_superblock(const std::string& path, const std::function<void(Superblock&)>& change) {
  Superblock block;
  const std::string bytes = read_bytes(path + "/superblock");
  ASSERT_EQ(bytes.size(), sizeof(block));
  std::memcpy(static_cast<void*>(&block), bytes.data(), sizeof(block));
  change(block);
  seal(block);
  write_bytes(path + "/superblock", {reinterpret_cast<const char*>(&block), sizeof(block)});
}

// The archive is of user 0, whose domain others cannot have: they check it by its checksums alone.
bool is_own_domain() { return ::geteuid() == 0; }

void expect_every_byte(TestDaemon& daemon) {
  const auto client = daemon.connect();
  daemon.on_core([](server::Daemon& d) { d.ssd_tier()->upkeep()->start_scrub(1ull << 30); });
  EXPECT_TRUE(daemon.eventually([](server::Daemon& d) {
    const tiering::ScrubStatus scrub = ssd_status(d).scrub;
    return scrub.passes >= 1 && scrub.objects >= kSpans + kCheckpoints && scrub.bad == 0;
  }));
  if (!is_own_domain()) return;
  for (const Context& context : kContexts) {
    EXPECT_EQ(loaded_tokens(*client, context.number, context.tokens, context.layout()),
              static_cast<int>(context.tokens))
        << context.number;
  }
  daemon.on_core([](server::Daemon& d) {
    const SsdStatus status = ssd_status(d);
    EXPECT_EQ(status.restored.spans, kSpans);
    EXPECT_EQ(status.restored.checkpoints, kCheckpoints);
    EXPECT_EQ(status.restored.orphans + status.restored.rejected, 0u);
    EXPECT_EQ(status.loader.corrupt, 0u);
  });
}

}  // namespace

TEST(SsdGolden, Law14_DirectoryOfFormat1IsReadToTheLastByte) {
  const ScratchDirectory scratch;
  unpack_to(scratch / "ssd");
  TestDaemon daemon(golden_options(scratch / "ssd"));
  expect_every_byte(daemon);
  // And again with what this version made of it.
  daemon.restart();
  expect_every_byte(daemon);
}

TEST(SsdGolden, Law14_LaterFormatIsRefusedAtStartAndNothingChanges) {
  const std::function<void(Superblock&)> later[] = {
      [](Superblock& block) { block.format_major = tiering::kSsdFormatMajor + 1; },
      [](Superblock& block) { block.incompatible = 1ull << 40; }};
  for (const auto& change : later) {
    const ScratchDirectory scratch;
    const std::string path = scratch / "ssd";
    unpack_to(path);
    change_superblock(path, change);
    const auto before = contents_of(path);
    server::Options options = golden_options(path);
    options.socket_path = scratch / "quired.sock";
    const auto daemon = server::Daemon::create(options);
    ASSERT_EQ(daemon.code(), Errc::kUnsupportedVersion);
    EXPECT_NE(daemon.error().text.find(path), std::string::npos) << daemon.error().text;
    EXPECT_NE(daemon.error().text.find("later daemon"), std::string::npos) << daemon.error().text;
    EXPECT_TRUE(contents_of(path) == before);
  }
}

TEST(SsdGolden, Law14_UnknownReadOnlyFeatureIsReadAndNothingIsWritten) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "ssd";
  unpack_to(path);
  change_superblock(path, [](Superblock& block) { block.read_only_compatible = 1ull << 40; });
  write_bytes(path + "/lock", "");  // made by any opening; holds nothing
  const auto before = contents_of(path);
  {
    TestDaemon daemon(golden_options(path));
    expect_every_byte(daemon);
    const auto client = daemon.connect();
    const auto session = open_session(*client, session_options(small_append_layout()));
    ASSERT_TRUE(session->append_tokens(context_tokens(17, 9)).ok());
    ASSERT_TRUE(commit_context(*session, 17).ok());
    daemon.on_core([](server::Daemon& d) {
      const SsdStatus status = ssd_status(d);
      EXPECT_EQ(status.state, tiering::TierMode::kReadOnly);
      EXPECT_NE(status.reason.find("features"), std::string::npos);
      // To leave RAM is no reason to write either.
      meddle(d).evict();
      d.tiers()->hurry();
    });
    EXPECT_EQ(loaded_tokens(*client, 1, 24), is_own_domain() ? 24 : 0);
    daemon.on_core([](server::Daemon& d) {
      EXPECT_EQ(ssd_status(d).mover.write_ops, 0u);
      EXPECT_EQ(ssd_status(d).manifest_bytes_written, 0u);
    });
  }
  EXPECT_TRUE(contents_of(path) == before);
}

TEST(SsdGolden, MakeArchive) {
  const char* target = std::getenv("QUIRE_MAKE_GOLDEN");
  if (target == nullptr || !is_own_domain())
    GTEST_SKIP() << "makes the archive anew; needs QUIRE_MAKE_GOLDEN and user 0";
  const ScratchDirectory scratch;
  const std::string path = scratch / "ssd";
  {
    TestDaemon daemon(golden_options(path));
    const auto client = daemon.connect();
    for (const Context& context : kContexts) {
      const auto session = open_session(*client, session_options(context.layout()));
      ASSERT_TRUE(session->append_tokens(context_tokens(context.tokens + 1, context.number)).ok());
      ASSERT_TRUE(commit_context(*session, context.tokens + 1).ok());
    }
    ASSERT_TRUE(daemon.eventually([](server::Daemon& d) {
      return inspect(d).counters().ssd_spans == kSpans &&
             inspect(d).counters().ssd_checkpoints == kCheckpoints && d.tiers()->idle();
    }));
  }
  // Logs and options name the machine, and are not of the format.
  run("rm -f '" + path + "'/lock '" + path + "'/manifest/LOG* '" + path + "'/manifest/OPTIONS* '" +
      path + "'/manifest/LOCK");
  run("tar -czSf '" + std::string(target) + "/" + kArchiveName +
      "' --owner=0 --group=0 --numeric-owner --mtime=@0 --sort=name -C '" + path + "' .");
}

}  // namespace quire::tests::ssd_golden_test
