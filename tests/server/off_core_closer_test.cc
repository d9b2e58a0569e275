#include "server/off_core_closer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/support/patience.h"

namespace quire::server {
namespace {

using model::FdGuard;

// Collects until `count` sockets are closed; false when they never are.
bool collects(OffCoreCloser& closer, size_t count, std::vector<uint32_t>* uids) {
  const auto start = std::chrono::steady_clock::now();
  while (uids->size() < count) {
    closer.collect([&](uint32_t uid) { uids->push_back(uid); });
    if (std::chrono::steady_clock::now() - start > tests::kPatience) return false;
    std::this_thread::yield();
  }
  return true;
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
    closer->close(FdGuard(pair[1]), i);
  }
  EXPECT_EQ(closer->open_count(), peers.size());
  std::vector<uint32_t> uids;
  ASSERT_TRUE(collects(*closer, peers.size(), &uids));
  for (uint32_t i = 0; i < uids.size(); ++i) EXPECT_EQ(uids[i], i);
  EXPECT_EQ(closer->open_count(), 0u);
  char byte;
  for (const FdGuard& peer : peers) EXPECT_EQ(::read(peer.get(), &byte, 1), 0) << "the end";
}

TEST(OffCoreCloser, UnmapsMemory) {
  auto closer = OffCoreCloser::create();
  ASSERT_TRUE(closer.ok());
  const FdGuard fd(::memfd_create("closer-test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  auto mapping = model::Mapping::map_shared(fd.get(), 4096, true);
  ASSERT_TRUE(mapping.ok());
  void* const address = mapping->data();
  closer->unmap(std::move(mapping).value());
  // What is handed over later is done later.
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const FdGuard peer(pair[0]);
  closer->close(FdGuard(pair[1]), 7);
  std::vector<uint32_t> uids;
  ASSERT_TRUE(collects(*closer, 1, &uids));
  unsigned char present;
  EXPECT_NE(::mincore(address, 4096, &present), 0) << "nothing is mapped there";
}

}  // namespace
}  // namespace quire::server
