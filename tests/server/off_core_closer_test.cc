#include "server/runtime/off_core_closer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/patience.h"

namespace quire::server::off_core_closer_test {
namespace {

using model::FdGuard;

// Collects until `count` are gone; fewer when they never are.
std::vector<Charge> collected(OffCoreCloser& closer, size_t count) {
  std::vector<Charge> gone;
  const auto start = std::chrono::steady_clock::now();
  while (gone.size() < count && std::chrono::steady_clock::now() - start < tests::kPatience) {
    closer.collect([&](const Charge& charge) { gone.push_back(charge); });
    std::this_thread::yield();
  }
  return gone;
}

TEST(OffCoreCloser, ClosesEachSocketOnceAndNamesItsUid) {
  auto closer = OffCoreCloser::create();
  ASSERT_TRUE(closer.ok());
  constexpr int kSockets = 3000;  // more than the pipe holds at once
  std::vector<FdGuard> peers;
  for (uint32_t i = 0; i < kSockets; ++i) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) break;
    peers.emplace_back(pair[0]);
    closer->close(FdGuard(pair[1]), {.uid = i});
  }
  EXPECT_EQ(closer->open_count(), peers.size());
  const std::vector<Charge> gone = collected(*closer, peers.size());
  ASSERT_EQ(gone.size(), peers.size());
  for (uint32_t i = 0; i < gone.size(); ++i) EXPECT_EQ(gone[i].uid, i);
  EXPECT_EQ(closer->open_count(), 0u);
  char byte;
  for (const FdGuard& peer : peers) EXPECT_EQ(::read(peer.get(), &byte, 1), 0) << "the end";
}

TEST(OffCoreCloser, ChargesASessionUntilItsMemoryIsGone) {
  auto closer = OffCoreCloser::create();
  ASSERT_TRUE(closer.ok());
  Remains remains;
  remains.descriptors.back() = FdGuard(::memfd_create("closer-test", MFD_CLOEXEC));
  const int fd = remains.descriptors.back().get();
  ASSERT_EQ(::ftruncate(fd, 4096), 0);
  auto mapping = model::Mapping::map_shared(fd, 4096, true);
  ASSERT_TRUE(mapping.ok());
  void* const address = mapping->data();
  remains.mappings.back() = std::move(mapping).value();
  closer->close(std::move(remains), {.uid = 7, .descriptors = 2, .session_bytes = 4096});
  const std::vector<Charge> gone = collected(*closer, 1);
  ASSERT_EQ(gone.size(), 1u);
  unsigned char present;
  EXPECT_NE(::mincore(address, 4096, &present), 0) << "nothing is mapped there";
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << "and the descriptor is closed";
  EXPECT_EQ(gone[0].uid, 7u);
  EXPECT_EQ(gone[0].descriptors, 2u);
  EXPECT_EQ(gone[0].session_bytes, 4096u);
  EXPECT_EQ(closer->open_count(), 0u);
}

// Adjacent mappings and descriptors in a row, with somebody else's in between.
TEST(OffCoreCloser, OfManyThatGoTogetherNothingElseIsTouched) {
  auto closer = OffCoreCloser::create(kMostTasksAtOnce);
  ASSERT_TRUE(closer.ok());
  constexpr size_t kTasks = 200;
  constexpr size_t kBytes = 4096;
  const FdGuard file(::memfd_create("closer-test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), kBytes), 0);
  std::vector<Remains> given(kTasks);
  std::vector<FdGuard> kept_files;
  std::vector<model::Mapping> kept_mappings;
  std::vector<int> closed;
  std::vector<void*> unmapped;
  for (size_t i = 0; i < kTasks; ++i) {
    auto mapping = model::Mapping::map_shared(file.get(), kBytes, true);
    ASSERT_TRUE(mapping.ok());
    FdGuard copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
    if (i % 5 == 0) {
      kept_mappings.push_back(std::move(mapping).value());
      kept_files.push_back(std::move(copy));
      continue;
    }
    closed.push_back(copy.get());
    unmapped.push_back(mapping->data());
    given[i].descriptors[i % given[i].descriptors.size()] = std::move(copy);
    given[i].mappings[i % given[i].mappings.size()] = std::move(mapping).value();
  }
  for (uint32_t i = 0; i < kTasks; ++i) closer->close(std::move(given[i]), {.uid = i});
  const std::vector<Charge> gone = collected(*closer, kTasks);
  ASSERT_EQ(gone.size(), kTasks);
  for (uint32_t i = 0; i < gone.size(); ++i) EXPECT_EQ(gone[i].uid, i);
  unsigned char present;
  for (const int fd : closed) EXPECT_EQ(::fcntl(fd, F_GETFD), -1) << fd;
  for (void* address : unmapped) EXPECT_NE(::mincore(address, kBytes, &present), 0);
  for (const FdGuard& kept : kept_files) EXPECT_NE(::fcntl(kept.get(), F_GETFD), -1);
  for (const model::Mapping& kept : kept_mappings) {
    EXPECT_EQ(::mincore(kept.data(), kBytes, &present), 0);
  }
}

}  // namespace
}  // namespace quire::server::off_core_closer_test
