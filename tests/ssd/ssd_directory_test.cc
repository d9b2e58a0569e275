#include "tiering/disk/ssd_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>

#include "model/layout.h"
#include "tests/ssd/directory_rig.h"
#include "tests/ssd/scratch_directory.h"
#include "tests/support/io_rig.h"
#include "tests/support/small_layout.h"

namespace quire::tiering::ssd_directory_test {
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

// Both copies.
void change_superblock(const std::string& path, const std::function<void(Superblock&)>& change) {
  Superblock block = superblock_at(path);
  change(block);
  write_superblock(path + "/superblock", block);
  write_superblock(path + "/superblock.2", block);
}

// For a child: from here on opening anything with O_DIRECT is refused, as old tmpfs does.
void refuse_direct_io() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + 2 * sizeof(uint64_t)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_DIRECT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  QUIRE_CHECK(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  QUIRE_CHECK(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

TEST(SsdDirectory, AbsentOneIsMadeForItsOwnerAlone) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "ssd";
  const Opened directory =
      SsdDirectory::open({.path = path, .region_bytes = 2 << 20, .regions_per_file = 3});
  ASSERT_TRUE(directory.ok()) << directory.error().text;
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
  const SsdDirectory& made = **directory;
  EXPECT_EQ(made.superblock().start_count, 1u);
  EXPECT_NE(made.superblock().instance, (std::array<uint8_t, 16>{}));
  EXPECT_EQ(made.file_bytes(), 6ull << 20);
  EXPECT_EQ(made.file_of(7), 2u);
  EXPECT_EQ(made.offset_of(7), 2ull << 20);
  EXPECT_EQ(made.manifest_path(), path + "/manifest");
  EXPECT_FALSE(made.read_only());
  const Superblock block = superblock_at(path);
  EXPECT_TRUE(check(block).ok());
  EXPECT_EQ(std::memcmp(&block, &made.superblock(), sizeof(block)), 0);
}

TEST(SsdDirectory, InstanceAndSizesStayAndStartCountGrows) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  const Superblock first = superblock_at(scratch.path());
  for (uint64_t start = 2; start < 5; ++start) {
    const Opened again = SsdDirectory::open(
        {.path = scratch.path(), .region_bytes = 1 << 20, .regions_per_file = 1});
    ASSERT_TRUE(again.ok());
    EXPECT_EQ((*again)->superblock().start_count, start);
    EXPECT_EQ(superblock_at(scratch.path()).start_count, start);
    EXPECT_EQ((*again)->superblock().instance, first.instance);
    EXPECT_EQ((*again)->superblock().region_bytes, 64ull << 20);
    EXPECT_EQ((*again)->superblock().regions_per_file, 16u);
  }
  const ScratchDirectory other;
  make_at(other.path());
  EXPECT_NE(superblock_at(other.path()).instance, first.instance);
}

TEST(SsdDirectory, OptionsOutOfRangeAreRefusedByName) {
  const ScratchDirectory scratch;
  for (const uint64_t bytes : {0ull, 1ull << 19, (1ull << 20) + 4096, 2ull << 30}) {
    EXPECT_EQ(SsdDirectory::open({.path = scratch.path(), .region_bytes = bytes}).code(),
              Errc::kInvalidArgument);
  }
  EXPECT_EQ(SsdDirectory::open({.path = scratch.path(), .regions_per_file = 0}).code(),
            Errc::kInvalidArgument);
  EXPECT_EQ(open_at("").code(), Errc::kInvalidArgument);
  EXPECT_TRUE(fs::is_empty(scratch.path()));
  const Opened orphan = open_at(scratch / "no/such/parent");
  ASSERT_EQ(orphan.code(), Errc::kIoError);
  EXPECT_NE(orphan.error().text.find("--ssd_path"), std::string::npos);
}

TEST(SsdDirectory, SecondOpenerIsRefusedWhileTheFirstLives) {
  const ScratchDirectory scratch;
  {
    const Opened first = open_at(scratch.path());
    ASSERT_TRUE(first.ok());
    const Opened second = open_at(scratch.path());
    ASSERT_EQ(second.code(), Errc::kBusy);
    const std::string pid = "pid " + std::to_string(::getpid());
    EXPECT_NE(second.error().text.find(pid), std::string::npos) << second.error().text;
    EXPECT_NE(second.error().text.find("--ssd_path"), std::string::npos);
    EXPECT_EQ(run_in_child([&] { return static_cast<int>(open_at(scratch.path()).code()); }),
              static_cast<int>(Errc::kBusy));
    EXPECT_EQ((*first)->superblock().start_count, superblock_at(scratch.path()).start_count);
  }
  EXPECT_TRUE(open_at(scratch.path()).ok());
}

TEST(SsdDirectory, LockGoesWithItsKilledHolder) {
  const ScratchDirectory scratch;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // also when an expectation below fails
    const Opened held = open_at(scratch.path());
    const char answer = held.ok() ? 'y' : 'n';
    (void)!::write(ready[1], &answer, 1);
    while (true) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  const Opened refused = open_at(scratch.path());
  EXPECT_EQ(refused.code(), Errc::kBusy);
  if (!refused.ok()) {
    EXPECT_NE(refused.error().text.find("pid " + std::to_string(child)), std::string::npos);
  }
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const Opened after = open_at(scratch.path());
  ASSERT_TRUE(after.ok()) << after.error().text;
  EXPECT_EQ((*after)->superblock().start_count, 2u);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(SsdDirectory, Law14_LaterFormatIsRefusedAndNothingChanges) {
  const ScratchDirectory scratch;
  const std::vector<std::function<void(Superblock&)>> later = {
      [](Superblock& block) { block.format_major = kSsdFormatMajor + 1; },
      [](Superblock& block) { block.incompatible = 1ull << 63; },
      [](Superblock& block) {
        block.incompatible = kKnownIncompatible + 1, block.read_only_compatible = 1;
      },
  };
  for (const auto& change : later) {
    for (const bool has_lock : {true, false}) {
      const std::string path = scratch / "ssd";
      make_at(path);
      fs::create_directory(path + "/manifest");
      write_bytes(path + "/data.000000", "pages");
      write_bytes(path + "/superblock.new", "left over");
      if (!has_lock) fs::remove(path + "/lock");
      change_superblock(path, change);
      const auto before = contents_of(path);
      const Opened refused = open_at(path);
      ASSERT_EQ(refused.code(), Errc::kUnsupportedVersion);
      EXPECT_NE(refused.error().text.find(path), std::string::npos);
      EXPECT_NE(refused.error().text.find("later daemon"), std::string::npos);
      EXPECT_EQ(contents_of(path), before);
      fs::remove_all(path);
    }
  }
}

TEST(SsdDirectory, Law14_UnknownReadOnlyFeatureAllowsReadingOnly) {
  const ScratchDirectory scratch;
  const model::Layout layout = tests::small_hybrid_layout();
  const model::Hash256 digest = model::layout_digest(layout);
  {
    const Opened directory = open_at(scratch.path());
    ASSERT_TRUE((*directory)->layouts().store(digest, layout).ok());
    ASSERT_TRUE((*directory)->data_files().open(0, true).ok());
  }
  change_superblock(scratch.path(), [](Superblock& block) { block.read_only_compatible = 4; });
  const auto before = contents_of(scratch.path());
  const Opened opened = open_at(scratch.path());
  ASSERT_TRUE(opened.ok()) << opened.error().text;
  SsdDirectory& directory = **opened;
  EXPECT_TRUE(directory.read_only());
  EXPECT_EQ(directory.superblock().start_count, 1u);
  const Result<int> file = directory.data_files().open(0, true);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(::fcntl(*file, F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_EQ(directory.data_files().open(1, true).code(), Errc::kNotFound);
  EXPECT_TRUE(directory.layouts().load(digest).ok());
  const model::Layout other = tests::small_append_layout();
  EXPECT_EQ(directory.layouts().store(model::layout_digest(other), other).code(),
            Errc::kUnsupportedVersion);
  EXPECT_EQ(open_at(scratch.path()).code(), Errc::kBusy);
  EXPECT_EQ(contents_of(scratch.path()), before);
}

TEST(SsdDirectory, LookingChangesNothing) {
  const ScratchDirectory scratch;
  const SsdDirectoryOptions look{.path = scratch / "ssd", .look_only = true};
  EXPECT_FALSE(SsdDirectory::open(look).ok());
  EXPECT_TRUE(fs::is_empty(scratch.path()));
  fs::create_directory(look.path);
  EXPECT_EQ(SsdDirectory::open(look).code(), Errc::kNotFound);
  EXPECT_TRUE(fs::is_empty(look.path));
  make_at(look.path);
  for (const bool has_lock : {true, false}) {
    if (!has_lock) fs::remove(look.path + "/lock");
    const auto before = contents_of(look.path);
    const Opened directory = SsdDirectory::open(look);
    ASSERT_TRUE(directory.ok()) << directory.error().text;
    EXPECT_TRUE((*directory)->read_only());
    EXPECT_EQ((*directory)->superblock().start_count, 1u);
    EXPECT_FALSE((*directory)->data_files().open(0, true).ok());
    EXPECT_EQ(contents_of(look.path), before);
  }
  const Opened holder = open_at(look.path);
  EXPECT_EQ(SsdDirectory::open(look).code(), Errc::kBusy);
}

TEST(SsdDirectory, UnknownCompatibleFeatureAndLaterMinorAreKept) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  change_superblock(scratch.path(), [](Superblock& block) {
    block.compatible = 1ull << 40;
    block.format_minor = 9;
    block.zero[100] = 7;  // a field that this daemon does not know
  });
  make_at(scratch.path());
  const Superblock block = superblock_at(scratch.path());
  EXPECT_EQ(block.start_count, 2u);
  EXPECT_EQ(block.compatible, 1ull << 40);
  EXPECT_EQ(block.format_minor, 9);
  EXPECT_EQ(block.zero[100], 7);
}

TEST(SsdDirectory, DamagedSuperblockIsCorruptAndLeftAlone) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  const std::string good = read_bytes(scratch / "superblock");
  std::vector<std::string> damaged = {"", good.substr(0, 4095), good + "x",
                                      std::string(kSsdBlockBytes, '\0')};
  for (const size_t at : {0ul, 8ul, 12ul, 16ul, 32ul, 40ul, 56ul, 64ul, 80ul, 4095ul}) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    damaged.push_back(bytes);
  }
  for (const std::string& bytes : damaged) {
    write_bytes(scratch / "superblock", bytes);
    write_bytes(scratch / "superblock.2", bytes);
    const Opened refused = open_at(scratch.path());
    ASSERT_EQ(refused.code(), Errc::kCorrupt) << bytes.size();
    EXPECT_NE(refused.error().text.find("to start anew"), std::string::npos);
    EXPECT_EQ(read_bytes(scratch / "superblock"), bytes);
    EXPECT_EQ(read_bytes(scratch / "superblock.2"), bytes);
  }
  write_bytes(scratch / "superblock", good);
  EXPECT_TRUE(open_at(scratch.path()).ok());
}

TEST(SsdDirectory, SizesOutOfRangeInAWholeSuperblockAreCorrupt) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  for (const uint64_t bytes : {0ull, 4096ull, 1ull << 40}) {
    change_superblock(scratch.path(), [&](Superblock& block) { block.region_bytes = bytes; });
    EXPECT_EQ(open_at(scratch.path()).code(), Errc::kCorrupt);
  }
  change_superblock(scratch.path(), [](Superblock& block) {
    block.region_bytes = 1 << 20;
    block.regions_per_file = 0;
  });
  EXPECT_EQ(open_at(scratch.path()).code(), Errc::kCorrupt);
}

TEST(SsdDirectory, DataWithoutASuperblockIsCorrupt) {
  for (const bool manifest : {true, false}) {
    const ScratchDirectory scratch;
    if (manifest) {
      fs::create_directory(scratch / "manifest");
    } else {
      write_bytes(scratch / "data.000003", "pages");
      write_bytes(scratch / "lock", "4711\n");  // of the daemon that had the superblock
    }
    const Opened refused = open_at(scratch.path());
    ASSERT_EQ(refused.code(), Errc::kCorrupt);
    EXPECT_NE(refused.error().text.find(manifest ? "manifest" : "data.000003"), std::string::npos);
    EXPECT_FALSE(fs::exists(scratch / "superblock"));
  }
  const ScratchDirectory mount_point;
  fs::create_directory(mount_point / "lost+found");
  EXPECT_TRUE(open_at(mount_point.path()).ok());
}

// What a kill leaves: before the rename, superblock.new whole or in part.
TEST(SsdDirectory, KillBeforeTheRenameLeavesTheOldSuperblock) {
  const ScratchDirectory scratch;
  make_at(scratch.path());
  const std::string old = read_bytes(scratch / "superblock");
  Superblock next = superblock_at(scratch.path());
  next.start_count = 77;
  seal(next);
  const std::string whole(reinterpret_cast<const char*>(&next), sizeof(next));
  for (const size_t bytes : {0ul, 1ul, 512ul, 4095ul, 4096ul}) {
    write_bytes(scratch / "superblock", old);
    write_bytes(scratch / "superblock.2", old);
    write_bytes(scratch / "superblock.new", whole.substr(0, bytes));
    const Opened opened = open_at(scratch.path());
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    EXPECT_EQ((*opened)->superblock().start_count, 2u);
    EXPECT_FALSE(fs::exists(scratch / "superblock.new"));
  }
  // A first start killed there has no superblock at all, and no data either.
  const ScratchDirectory fresh;
  write_bytes(fresh / "superblock.new", whole.substr(0, 512));
  write_bytes(fresh / "lock", "");
  EXPECT_TRUE(open_at(fresh.path()).ok());
  EXPECT_EQ(superblock_at(fresh.path()).start_count, 1u);
}

// Each system call that makes a start durable fails once: the start is refused with a typed error,
// and the directory opens as before when the fault is gone.
TEST(SsdDirectory, Law09_FailedWritesRefuseTheStartAndLoseNothing) {
  const std::vector<std::pair<int, int>> faults = {
      {SYS_fsync, EIO},     {SYS_fsync, ENOSPC},    {SYS_write, EIO},
      {SYS_write, ENOSPC},  {SYS_renameat, EIO},    {SYS_renameat, ENOSPC},
      {SYS_ftruncate, EIO}, {SYS_pwrite64, ENOSPC}, {SYS_mkdirat, ENOSPC}};
  for (const auto& [call, error] : faults) {
    const ScratchDirectory scratch;
    make_at(scratch.path());
    if (call == SYS_mkdirat) fs::remove(scratch / "layouts");
    const std::string before = read_bytes(scratch / "superblock");
    const Errc expected = error == ENOSPC ? Errc::kResourceExhausted : Errc::kIoError;
    EXPECT_EQ(run_in_child([&, number = call, code = error] {
                if (!refuse_syscall(number, code)) return -1;
                return static_cast<int>(open_at(scratch.path()).code());
              }),
              static_cast<int>(expected))
        << call;
    if (call != SYS_mkdirat) {
      EXPECT_EQ(read_bytes(scratch / "superblock"), before) << call;
    }
    const Opened after = open_at(scratch.path());
    ASSERT_TRUE(after.ok()) << after.error().text;
    EXPECT_GE((*after)->superblock().start_count, 2u);
    EXPECT_LE((*after)->superblock().start_count, 3u);
  }
}

TEST(SsdDirectory, MakingADataFileSyncsNothing) {
  const ScratchDirectory scratch;
  EXPECT_EQ(run_in_child([&] {
              const Opened directory = open_at(scratch.path());
              for (const long call : {SYS_fsync, SYS_fdatasync, SYS_sync, SYS_syncfs}) {
                if (!directory.ok() || !tests::forbid_syscall(call)) return 1;
              }
              return (*directory)->data_files().open(0, true).ok() ? 0 : 2;
            }),
            0);
  EXPECT_TRUE(fs::exists(scratch / "data.000000"));
}

// What cannot be synced is told with the error's kind, and nothing that lies there is taken away.
TEST(SsdDirectory, Law09_FailedSyncsOfNamesAreErrors) {
  const model::Layout layout = tests::small_append_layout();
  const auto sync_names = [](SsdDirectory& directory) { return directory.sync_names().code(); };
  const auto store_layout = [&](SsdDirectory& directory) {
    return directory.layouts().store(model::layout_digest(layout), layout).code();
  };
  const std::vector<std::function<Errc(SsdDirectory&)>> calls = {sync_names, store_layout};
  for (const auto& call : calls) {
    for (const int error : {EIO, ENOSPC}) {
      for (const bool stored : {false, true}) {
        const ScratchDirectory scratch;
        {
          const Opened directory = open_at(scratch.path());
          ASSERT_TRUE((*directory)->data_files().open(0, true).ok());
          ASSERT_TRUE((*directory)->sync_names().ok());
          ASSERT_TRUE(!stored || store_layout(**directory) == Errc::kOk);
        }
        const auto before = contents_of(scratch / "layouts");
        EXPECT_EQ(run_in_child([&, code = error] {
                    const Opened directory = open_at(scratch.path());
                    if (!directory.ok() || !refuse_syscall(SYS_fsync, code)) return -1;
                    return static_cast<int>(call(**directory));
                  }),
                  static_cast<int>(error == ENOSPC ? Errc::kResourceExhausted : Errc::kIoError));
        EXPECT_TRUE(fs::exists(scratch / "data.000000"));
        EXPECT_EQ(contents_of(scratch / "layouts"), before);
        const Opened after = open_at(scratch.path());
        ASSERT_TRUE(after.ok());
        EXPECT_EQ(call(**after), Errc::kOk);
      }
    }
  }
}

TEST(SsdDirectory, DirectIoIsGivenUpWhereItIsRefused) {
  const ScratchDirectory scratch;
  const int outcome = run_in_child([&] {
    refuse_direct_io();
    const Opened opened = open_at(scratch.path());
    if (!opened.ok() || (*opened)->direct_io()) return 1;
    const Result<int> file = (*opened)->data_files().open(0, true);
    return file.ok() && (::fcntl(*file, F_GETFL) & O_DIRECT) == 0 ? 0 : 2;
  });
  EXPECT_EQ(outcome, 0);
}

TEST(SsdDirectory, DirectIoIsAsTheFileSystemHasIt) {
  const ScratchDirectory scratch(fs::current_path());
  const int probe = ::open((scratch / "probe").c_str(), O_CREAT | O_RDWR | O_DIRECT, 0600);
  for (const bool wanted : {true, false}) {
    const Opened opened = SsdDirectory::open({.path = scratch.path(), .direct_io = wanted});
    ASSERT_TRUE(opened.ok());
    const bool expected = wanted && probe >= 0;
    EXPECT_EQ((*opened)->direct_io(), expected);
    const Result<int> file = (*opened)->data_files().open(0, true);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ((::fcntl(*file, F_GETFL) & O_DIRECT) != 0, expected);
  }
  if (probe >= 0) ::close(probe);
}

TEST(SsdDirectory, DataFilesAreMadeListedAndMeasured) {
  const ScratchDirectory scratch;
  {
    const Opened opened = open_at(scratch.path());
    SsdDirectory& directory = **opened;
    EXPECT_EQ(directory.data_files().open(2, false).code(), Errc::kNotFound);
    EXPECT_FALSE(fs::exists(scratch / "data.000002"));
    const Result<int> file = directory.data_files().open(2, true);
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(directory.data_files().open(2, false).value(), *file);
    EXPECT_EQ(directory.data_files().open(2, true).value(), *file);
    EXPECT_EQ(::fcntl(*file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    EXPECT_EQ(directory.data_files().bytes(2), 0u);
    ASSERT_EQ(::ftruncate(*file, 5ll << 30), 0);
    EXPECT_EQ(directory.data_files().bytes(2), 5ull << 30);
    EXPECT_EQ(directory.data_files().bytes(0), 0u);
    EXPECT_EQ(directory.data_files().bytes(kMaxRegions), 0u);
    EXPECT_EQ(directory.data_files().open(kMaxRegions, true).code(), Errc::kInvalidArgument);
    ASSERT_TRUE(directory.data_files().open(0, true).ok());
    ASSERT_TRUE(directory.data_files().open(16, true).ok());
  }
  for (const char* stray : {"data.00001", "data.0000001", "data.00000x", "data.-00001", "data."}) {
    write_bytes(scratch / stray, "");
  }
  const Opened again = open_at(scratch.path());
  EXPECT_EQ((*again)->data_files().list().value(), (std::vector<uint32_t>{0, 2, 16}));
  EXPECT_EQ((*again)->data_files().bytes(2), 5ull << 30);
  EXPECT_TRUE((*again)->data_files().open(16, false).ok());
  fs::create_directory(scratch / "data.000005");
  EXPECT_FALSE((*again)->data_files().open(5, true).ok());
}

TEST(SsdDirectory, LayoutsRoundTripOverReopening) {
  const ScratchDirectory scratch;
  const std::vector<model::Layout> layouts = {
      tests::small_hybrid_layout(), tests::small_append_layout(), tests::small_sharded_layout()};
  {
    const Opened opened = open_at(scratch.path());
    EXPECT_TRUE((*opened)->layouts().list().empty());
    for (const model::Layout& layout : layouts) {
      const model::Hash256 digest = model::layout_digest(layout);
      EXPECT_EQ((*opened)->layouts().load(digest).code(), Errc::kNotFound);
      EXPECT_TRUE((*opened)->layouts().store(digest, layout).ok());
      EXPECT_TRUE((*opened)->layouts().store(digest, layout).ok());
    }
    EXPECT_EQ((*opened)->layouts().store(model::Hash256{}, layouts[0]).code(),
              Errc::kInvalidArgument);
  }
  write_bytes(scratch / "layouts/stray.new", "");
  write_bytes(scratch / ("layouts/" + std::string(64, 'A')), "");
  const Opened again = open_at(scratch.path());
  EXPECT_EQ((*again)->layouts().list().size(), layouts.size());
  for (const model::Hash256& digest : (*again)->layouts().list()) {
    const Result<model::Layout> layout = (*again)->layouts().load(digest);
    ASSERT_TRUE(layout.ok());
    EXPECT_EQ(model::layout_digest(*layout), digest);
  }
}

TEST(SsdDirectory, PresentLayoutIsNotWrittenAgain) {
  const ScratchDirectory scratch;
  const model::Layout layout = tests::small_append_layout();
  const Opened opened = open_at(scratch.path());
  ASSERT_TRUE((*opened)->layouts().store(model::layout_digest(layout), layout).ok());
  const fs::path file = fs::directory_iterator(scratch / "layouts")->path();
  struct stat before {};
  struct stat after {};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  ASSERT_TRUE((*opened)->layouts().store(model::layout_digest(layout), layout).ok());
  ASSERT_EQ(::stat(file.c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST(SsdDirectory, DamagedLayoutIsCorruptUntilStoredAgain) {
  const ScratchDirectory scratch;
  const model::Layout layout = tests::small_hybrid_layout();
  const model::Hash256 digest = model::layout_digest(layout);
  const Opened opened = open_at(scratch.path());
  ASSERT_TRUE((*opened)->layouts().store(digest, layout).ok());
  const fs::path file = fs::directory_iterator(scratch / "layouts")->path();
  const std::string good = read_bytes(file);
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write_bytes(file, bytes);
    ASSERT_EQ((*opened)->layouts().load(digest).code(), Errc::kCorrupt) << at;
  }
  for (const size_t bytes : {size_t{0}, good.size() - 1}) {
    write_bytes(file, good.substr(0, bytes));
    EXPECT_EQ((*opened)->layouts().load(digest).code(), Errc::kCorrupt);
  }
  EXPECT_TRUE((*opened)->layouts().store(digest, layout).ok());
  EXPECT_EQ((*opened)->layouts().load(digest).value(), layout);
}

}  // namespace
}  // namespace quire::tiering::ssd_directory_test
