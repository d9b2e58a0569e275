// Whose path the socket is, and what is never removed.
#include "server/sessions/listener.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "tests/support/io_rig.h"

namespace quire::server::listener_test {
namespace {

using model::Errc;

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    std::string pattern = testing::TempDir() + "quire-listener-XXXXXX";
    QUIRE_CHECK(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    path_ = directory_ + "/quired.sock";
    auto loop = EventLoop::create();
    QUIRE_CHECK(loop.ok());
    loop_ = std::make_unique<EventLoop>(std::move(loop).value());
  }
  ~ListenerTest() override { std::filesystem::remove_all(directory_); }

  model::Result<std::unique_ptr<Listener>> listen() {
    return Listener::create(path_, 0600, loop_.get(), [this](model::FdGuard) {
      ++accepted_;
      return !refuses_;
    });
  }
  model::FdGuard connected() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    model::FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
  // Somebody else's socket of this name; it listens while the guard lives, the file stays.
  model::FdGuard foreign_socket() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    model::FdGuard fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    QUIRE_CHECK(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    QUIRE_CHECK(::listen(fd.get(), 1) == 0);
    return fd;
  }
  model::Result<std::unique_ptr<Listener>> adopt(int fd) {
    return Listener::adopt(fd, loop_.get(), [this](model::FdGuard) {
      ++accepted_;
      return true;
    });
  }
  void expect_refused_as_no_socket() {
    const auto refused = listen();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
    EXPECT_NE(refused.error().text.find(path_ + " is not a socket"), std::string::npos)
        << refused.error().text;
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory_), {}));
  }

  std::string directory_;
  std::string path_;
  std::unique_ptr<EventLoop> loop_;
  int accepted_ = 0;
  bool refuses_ = false;
};

TEST_F(ListenerTest, Law06_RefusalsOfATurnAreFew) {
  const auto listener = listen();
  ASSERT_TRUE(listener.ok());
  std::vector<model::FdGuard> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(connected());
  loop_->turn(0);
  EXPECT_EQ(accepted_, 16);
  refuses_ = true;
  loop_->turn(0);
  EXPECT_EQ(accepted_, 16 + 2) << "the others wait in the backlog";
  for (int turn = 0; turn < 11; ++turn) loop_->turn(0);
  EXPECT_EQ(accepted_, 40) << "and none is forgotten";
}

// A filter of this thread alone stands for a machine whose table of files is full.
TEST_F(ListenerTest, ShortageOfTheMachineIsWaitedForAndNotSpunOn) {
  if (!tests::has_filters()) GTEST_SKIP() << "no seccomp filters here";
  const auto listener = listen();
  ASSERT_TRUE(listener.ok());
  int expected = 0;
  for (const int error : {ENFILE, EMFILE, ENOMEM, ENOBUFS}) {
    const model::FdGuard client = connected();
    std::thread([&] {
      QUIRE_CHECK(tests::refuse_syscall(SYS_accept4, error));
      EXPECT_GT(loop_->turn(0), 0) << error;
      EXPECT_EQ(loop_->turn(0), 0) << "whoever waits in the backlog wakes nobody: " << error;
    }).join();
    EXPECT_EQ(accepted_, expected);
    (*listener)->resume();
    loop_->turn(0);
    EXPECT_EQ(accepted_, ++expected) << "and is taken when there is room again: " << error;
  }
}

TEST_F(ListenerTest, RegularFileIsRefusedAndKept) {
  std::ofstream(path_) << "a user's own";
  expect_refused_as_no_socket();
  std::ifstream file(path_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "a user's own");
  EXPECT_EQ(files(), 1u) << "and nothing else stays";
}

TEST_F(ListenerTest, DirectoryIsRefusedAndKept) {
  std::filesystem::create_directory(path_);
  expect_refused_as_no_socket();
  EXPECT_TRUE(std::filesystem::is_directory(path_));
}

TEST_F(ListenerTest, SymlinkIsRefusedAndKeptAlsoWhenItPointsToASocket) {
  std::filesystem::create_symlink(directory_ + "/nowhere", path_);
  expect_refused_as_no_socket();
  EXPECT_TRUE(std::filesystem::is_symlink(path_));

  std::filesystem::rename(path_, directory_ + "/link");
  foreign_socket();
  std::filesystem::rename(path_, directory_ + "/nowhere");
  std::filesystem::rename(directory_ + "/link", path_);
  expect_refused_as_no_socket();
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_TRUE(std::filesystem::is_socket(directory_ + "/nowhere"));
}

TEST_F(ListenerTest, FifoIsRefusedWithoutWaitingForAWriter) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  expect_refused_as_no_socket();
  std::filesystem::remove(path_);
  ASSERT_EQ(::mkfifo((path_ + ".lock").c_str(), 0600), 0);
  const auto refused = listen();
  EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
  EXPECT_TRUE(std::filesystem::is_fifo(path_ + ".lock"));
}

TEST_F(ListenerTest, StaleSocketIsReplaced) {
  foreign_socket();
  ASSERT_TRUE(std::filesystem::is_socket(path_));
  const auto listener = listen();
  ASSERT_TRUE(listener.ok()) << listener.error().text;
}

TEST_F(ListenerTest, LiveSocketOfADaemonWithoutALockIsRefused) {
  const model::FdGuard other = foreign_socket();
  EXPECT_EQ(listen().code(), Errc::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_socket(path_));
}

TEST_F(ListenerTest, SecondOneIsRefusedAlsoWhenTheSocketFileIsGone) {
  const auto first = listen();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(listen().code(), Errc::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  std::filesystem::remove(path_);
  EXPECT_EQ(listen().code(), Errc::kAlreadyExists) << "the lock says whose path it is";
}

TEST_F(ListenerTest, StopRemovesWhatItMadeAndNothingElse) {
  auto listener = listen();
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(files(), 2u) << "the socket and its lock";
  listener->reset();
  EXPECT_EQ(files(), 0u);
}

TEST_F(ListenerTest, StopLeavesASuccessorsSocketAndLock) {
  auto first = listen();
  ASSERT_TRUE(first.ok());
  std::filesystem::remove(path_);  // somebody cleans up behind its back
  std::filesystem::remove(path_ + ".lock");
  auto successor = listen();
  ASSERT_TRUE(successor.ok()) << successor.error().text;
  first->reset();
  EXPECT_TRUE(std::filesystem::is_socket(path_));
  EXPECT_TRUE(std::filesystem::exists(path_ + ".lock"));
  EXPECT_EQ(listen().code(), Errc::kAlreadyExists);
}

TEST_F(ListenerTest, StopLeavesAFileThatTookTheSocketsPlace) {
  auto listener = listen();
  ASSERT_TRUE(listener.ok());
  std::filesystem::remove(path_);
  std::ofstream(path_) << "a user's own";
  listener->reset();
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(ListenerTest, AdoptedSocketServesWhoWaitedAndStaysWithItsOwner) {
  const model::FdGuard manager = foreign_socket();
  const model::FdGuard early = connected();
  auto listener = adopt(manager.get());
  ASSERT_TRUE(listener.ok()) << listener.error().text;
  EXPECT_EQ((*listener)->path(), path_);
  loop_->turn(0);
  EXPECT_EQ(accepted_, 1);
  EXPECT_EQ(files(), 1u) << "no lock";
  listener->reset();
  EXPECT_TRUE(std::filesystem::is_socket(path_)) << "the next daemon gets it";
  const model::FdGuard between = connected();
  const auto next = adopt(manager.get());
  ASSERT_TRUE(next.ok());
  loop_->turn(0);
  EXPECT_EQ(accepted_, 2) << "who connected between two daemons is served";
}

TEST_F(ListenerTest, WhatDoesNotListenIsNotAdopted) {
  const model::FdGuard idle(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const model::FdGuard datagrams(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const model::FdGuard file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {idle.get(), datagrams.get(), file.get(), -1}) {
    const auto refused = adopt(fd);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.code(), Errc::kInvalidArgument);
    EXPECT_NE(refused.error().text.find("no listening unix stream socket"), std::string::npos);
  }
}

}  // namespace
}  // namespace quire::server::listener_test
