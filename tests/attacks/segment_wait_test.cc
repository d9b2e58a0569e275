// A user whose process does not answer when a segment is asked back, one who wants that memory, and
// one who has nothing to do with it.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/attacks/neighbour.h"
#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/patient_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::segment_wait_test {

using client::Client;
using client::Session;
using model::FillKind;

namespace {

constexpr uid_t kBystanderUid = 20003;
constexpr uid_t kAskerUid = 20004;
constexpr uint64_t kPageBytes = 6 << 20;
constexpr uint32_t kPagesOfSegment = 10;  // of 64 MiB
constexpr uint32_t kBlock = 4;            // tokens

// How many of the blocks could be committed. The session is closed: they may be evicted.
uint32_t commit_pages(Client& client, uint64_t context, uint32_t blocks, bool map_them = false) {
  model::Layout layout = small_append_layout();
  layout.groups[0].page_bytes = kPageBytes;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kPageBytes}};
  auto options = session_options(layout);
  options.staging_bytes = 2 * kPageBytes;
  const auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(blocks * kBlock + 1, context)).ok());
  uint32_t committed = 0;
  for (uint32_t block = 1; block <= blocks; ++block) {
    committed += commit_object(*session, FillKind::kSpan, block * kBlock).ok();
  }
  if (map_them) {
    const auto match = session->match(blocks * kBlock + 1);
    QUIRE_CHECK(match.ok() && session->load(match->lease).ok());
    QUIRE_CHECK(session->release(match->lease).ok());
  }
  return committed;
}

std::unique_ptr<Client> connect_as(uid_t uid, const std::string& socket_path) {
  become(uid);
  auto client = Client::connect(patient_client(socket_path, "uid " + std::to_string(uid)));
  QUIRE_CHECK(client.ok());
  return std::move(client).value();
}

}  // namespace

TEST(SegmentWait, Law06_OnlyWhoWantsItWaitsForAClientThatDoesNotUnmap) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be three users";
  DaemonProcess daemon({.ram_mib = 192});  // three segments
  const auto slow = daemon.connect("slow");
  ASSERT_EQ(commit_pages(*slow, 1, kPagesOfSegment + 5, true), kPagesOfSegment + 5);
  ASSERT_EQ(slow->mapped_bytes(), 128ull << 20);
  TestProcess bystander = TestProcess::call([&](Channel& channel) {
    const auto client = connect_as(kBystanderUid, daemon.socket_path());
    ChildChecks checks;
    checks.expect(commit_pages(*client, 2, kPagesOfSegment) == kPagesOfSegment, "its segment");
    channel.send("f");
    QUIRE_CHECK(channel.receive() == "g");
    checks.expect(commit_pages(*client, 3, kPagesOfSegment) == kPagesOfSegment,
                  "it writes on over what it wrote before");
    return checks.failures();
  });
  ASSERT_EQ(bystander.channel().receive(), "f");
  TestProcess asker = TestProcess::call([&](Channel& channel) {
    const auto client = connect_as(kAskerUid, daemon.socket_path());
    channel.send("a");
    while (commit_pages(*client, 4, 1) == 0) {
    }
    return 0;
  });
  ASSERT_EQ(asker.channel().receive(), "a");
  ASSERT_TRUE(eventually(
      [&] { return daemon.status_json().find("\"segments_retiring\":1") != std::string::npos; }));
  bystander.channel().send("g");
  EXPECT_EQ(bystander.wait(), 0);
  EXPECT_EQ(slow->mapped_bytes(), 128ull << 20) << "it has not answered yet";
  EXPECT_TRUE(asker.running()) << "it waits for its share";
  EXPECT_TRUE(eventually([&] {
    EXPECT_TRUE(slow->progress().ok());
    return slow->mapped_bytes() == 64ull << 20;
  }));
  EXPECT_EQ(asker.wait(), 0);
}

}  // namespace quire::tests::segment_wait_test
