// Whose and what the files of a directory are: two copies of the superblock, and nothing in the
// place of a file that is none, or is somebody else's.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "tests/ssd/directory_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tiering/disk/ssd_directory.h"

namespace quire::tiering::ssd_directory_files_test {
namespace {

namespace fs = std::filesystem;
using model::Errc;
using model::Result;
using tests::contents_of;
using tests::make_at;
using tests::open_at;
using tests::Opened;
using tests::read_bytes;
using tests::refuse_syscall;
using tests::run_in_child;
using tests::ScratchDirectory;
using tests::superblock_at;
using tests::write_bytes;
using tests::write_superblock;

TEST(SsdDirectoryFiles, DamagedCopyOfTheSuperblockIsReplacedByTheOther) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  const auto instance = superblock_at(scratch.path()).instance;
  uint64_t starts = 1;
  for (const std::string name : {"superblock", "superblock.2"}) {
    const std::string good = read_bytes(scratch / name);
    std::string flipped = good;
    flipped[100] = static_cast<char>(flipped[100] ^ 1);
    for (const std::string& bytes : {flipped, std::string(), good.substr(0, 512)}) {
      write_bytes(scratch / name, bytes);
      {
        const Opened opened = open_at(scratch.path());
        ASSERT_TRUE(opened.ok()) << opened.error().text;
        EXPECT_EQ((*opened)->superblock().instance, instance);
        EXPECT_EQ((*opened)->superblock().start_count, ++starts);
        const std::string& repaired = (*opened)->repaired();
        EXPECT_TRUE(repaired.starts_with(scratch / name + ":") ||
                    repaired.starts_with(scratch / name + " "))
            << repaired;
      }
      EXPECT_EQ(read_bytes(scratch / "superblock"), read_bytes(scratch / "superblock.2"));
      const Opened again = open_at(scratch.path());
      ASSERT_TRUE(again.ok());
      EXPECT_EQ((*again)->superblock().start_count, ++starts);
      EXPECT_EQ((*again)->repaired(), "");
    }
  }
  fs::remove(scratch / "superblock");
  const Opened opened = open_at(scratch.path());
  ASSERT_TRUE(opened.ok()) << opened.error().text;
  EXPECT_EQ((*opened)->superblock().instance, instance);
  EXPECT_TRUE(fs::exists(scratch / "superblock"));
}

// As an earlier version left it, and as a kill between the two copies does.
TEST(SsdDirectoryFiles, OneCopyOrAnEarlierOneIsNoDamage) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  fs::remove(scratch / "superblock.2");
  {
    const Opened opened = open_at(scratch.path());
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    EXPECT_EQ((*opened)->repaired(), "");
    EXPECT_EQ((*opened)->superblock().start_count, 2u);
  }
  Superblock later = superblock_at(scratch.path());
  later.start_count = 9;
  for (const std::string name : {"superblock", "superblock.2"}) {
    later.start_count += 10;
    write_superblock(scratch / name, later);
    const Opened opened = open_at(scratch.path());
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    EXPECT_EQ((*opened)->superblock().start_count, later.start_count + 1) << name;
    EXPECT_EQ((*opened)->repaired(), "");
  }
}

struct Kind {
  const char* name;
  bool (*make)(const std::string& at);
};

constexpr Kind kKinds[] = {
    {"a FIFO", [](const std::string& at) { return ::mkfifo(at.c_str(), 0600) == 0; }},
    {"a socket",
     [](const std::string& at) { return ::mknod(at.c_str(), S_IFSOCK | 0600, 0) == 0; }},
    {"a directory", [](const std::string& at) { return ::mkdir(at.c_str(), 0700) == 0; }},
    {"a symbolic link",
     [](const std::string& at) { return ::symlink("/dev/zero", at.c_str()) == 0; }}};

// Everything that a start opens.
Result<void> open_all(const std::string& path, bool look) {
  const auto directory = QUIRE_TRY(SsdDirectory::open({.path = path, .look_only = look}));
  QUIRE_TRY(directory->data_files().list());
  QUIRE_TRY(directory->check_manifest());
  QUIRE_TRY(directory->data_files().open(0, false));
  return {};
}

// A used directory in which `name` is replaced by something of this kind.
Result<void> open_with(const Kind& kind, const std::string& name, bool look, std::string& path) {
  const ScratchDirectory scratch;
  path = scratch.path();
  make_at(path);
  fs::create_directory(scratch / "manifest");
  write_bytes(scratch / "data.000000", "");
  fs::remove_all(scratch / name);
  EXPECT_TRUE(kind.make(scratch / name));
  return open_all(path, look);
}

// By no open() that waits for it, either.
TEST(SsdDirectoryFiles, WhatIsNoFileIsRefusedByName) {
  for (const std::string name :
       {"lock", "data.000000", "layouts", "manifest", "manifest/CURRENT"}) {
    for (const Kind& kind : kKinds) {
      const bool may_be_directory = name == "layouts" || name.starts_with("manifest");
      if (may_be_directory && kind.name == std::string_view("a directory")) continue;
      for (const bool look : {false, true}) {
        std::string path;
        const Result<void> opened = open_with(kind, name, look, path);
        ASSERT_EQ(opened.code(), Errc::kCorrupt) << name << " " << kind.name;
        EXPECT_NE(opened.error().text.find(path + "/" + name), std::string::npos)
            << opened.error().text;
        EXPECT_NE(opened.error().text.find(kind.name), std::string::npos) << opened.error().text;
      }
    }
  }
}

// The other copy is as good; a directory cannot be replaced by a file, so the start says so.
TEST(SsdDirectoryFiles, WhatIsNoSuperblockIsReplacedByOne) {
  for (const std::string name : {"superblock", "superblock.2"}) {
    for (const Kind& kind : kKinds) {
      std::string path;
      EXPECT_TRUE(open_with(kind, name, true, path).ok()) << kind.name;
      const bool is_directory = kind.name == std::string_view("a directory");
      EXPECT_EQ(open_with(kind, name, false, path).ok(), !is_directory) << kind.name;
    }
  }
}

TEST(SsdDirectoryFiles, LockOfSomebodyElseIsRefusedByNameAndLeftAlone) {
  for (const std::string content : {"mine\n", "4711\n", "4711", "1 2\n", "12345678901234\n"}) {
    const ScratchDirectory scratch;
    write_bytes(scratch / "lock", content);
    const Opened refused = open_at(scratch.path());
    ASSERT_EQ(refused.code(), Errc::kInvalidArgument) << content;
    EXPECT_NE(refused.error().text.find(scratch / "lock"), std::string::npos);
    EXPECT_EQ(contents_of(scratch.path()), (std::map<std::string, std::string>{{"lock", content}}));
  }
  const ScratchDirectory used;
  make_at(used.path());
  write_bytes(used / "lock", "4711\n");
  EXPECT_TRUE(open_at(used.path()).ok()) << "ours, of a start that was killed";
  write_bytes(used / "lock", "my notes\n");
  EXPECT_EQ(open_at(used.path()).code(), Errc::kInvalidArgument);
  EXPECT_EQ(read_bytes(used / "lock"), "my notes\n");
}

// Somebody holds too many descriptors: no word of a device.
TEST(SsdDirectoryFiles, DescriptorShortageNamesItsLimit) {
  for (const int error : {EMFILE, ENFILE}) {
    const ScratchDirectory scratch;
    make_at(scratch.path());
    EXPECT_EQ(run_in_child([&] {
                const Opened opened = open_at(scratch.path());
                if (!opened.ok() || !refuse_syscall(SYS_openat, error)) return 1;
                const Result<int> file = (*opened)->data_files().open(0, true);
                if (file.code() != Errc::kResourceExhausted) return 2;
                const std::string wanted = error == EMFILE ? "RLIMIT_NOFILE" : "in system";
                return file.error().text.find(wanted) != std::string::npos ? 0 : 3;
              }),
              0);
  }
}

}  // namespace
}  // namespace quire::tiering::ssd_directory_files_test
