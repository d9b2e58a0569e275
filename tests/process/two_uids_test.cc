// Law 13 with two real uids: what one user stored does not exist for the other, whatever it knows
// about it. Without root there is one uid only: then the stranger is another tenant.
#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "tests/process/client_life.h"
#include "tests/process/daemon_process.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/writer.h"

namespace quire::tests::two_uids_test {

using client::Client;
using client::Session;
using model::Errc;
using model::FillKind;

namespace {

constexpr uid_t kStranger = 65534;
constexpr uint32_t kSegmentIdsTried = 64;
constexpr uint64_t kContext = 1;

// What the stranger came to know of the owner.
struct Secrets {
  std::string socket_path;
  client::SessionToken token;
  std::string tenant;  // the stranger speaks for it
};

std::unique_ptr<Client> connect_to(const std::string& socket_path) {
  auto connected = Client::connect({.socket_path = socket_path, .client_name = "stranger"});
  QUIRE_CHECK(connected.ok());
  return std::move(connected).value();
}

std::vector<uint32_t> segments_to_be_had(const std::string& socket_path) {
  RawClient raw(socket_path);
  std::vector<uint32_t> had;
  for (uint32_t id = 0; id < kSegmentIdsTried; ++id) {
    raw.send(model::FrameType::kMapSegment, model::struct_bytes(model::MapSegmentRequest{id, 0}));
    std::vector<model::FdGuard> descriptors;
    const auto reply = model::read_struct<model::ReplyStatus>(raw.receive(&descriptors));
    QUIRE_CHECK(reply.ok());
    const bool refused =
        reply->code == static_cast<int32_t>(Errc::kNotFound) && descriptors.empty();
    if (!refused) had.push_back(id);
  }
  return had;
}

void check_nothing_is_found(const Secrets& secrets, ChildChecks& checks) {
  const auto client = connect_to(secrets.socket_path);
  const auto options = session_options(small_hybrid_layout(), "model", secrets.tenant);
  const auto session = open_session(*client, options);
  checks.expect(session->append_tokens(context_tokens(kPromptTokens, kContext)).ok(), "append");
  const auto match = session->match(kPromptTokens);
  checks.expect(match.ok() && match->lease == 0 && match->exact_tokens == 0 &&
                    match->span_tokens == 0 && match->branch_tokens == 0,
                "a match finds nothing");
  const auto committed = commit_object(*session, FillKind::kSpan, 8);
  checks.expect(committed.ok() && committed->visible == 1 && committed->duplicate == 0,
                "a commit of the same content is no duplicate");
  checks.expect(session->progress().committed_tokens == 8, "only its own span follows");
  const auto own = session->match(kPromptTokens);
  checks.expect(own.ok() && own->span_tokens == 8, "its own span is there");
}

// What holds between users, beyond what holds between tenants.
void check_nothing_is_lent(const Secrets& secrets, ChildChecks& checks) {
  checks.expect(segments_to_be_had(secrets.socket_path).empty(), "no segment can be mapped");
  const auto client = connect_to(secrets.socket_path);
  checks.expect(client->domain() == "uid:" + std::to_string(kStranger), "a domain of its own");
  checks.expect(client->mapped_bytes() == 0, "nothing was mapped");
  const auto options = session_options(small_hybrid_layout());
  checks.expect(client->join_session(secrets.token, options).code() == Errc::kNotFound,
                "the token opens nothing");
  checks.expect(client->evict(0).code() == Errc::kPermissionDenied, "evict is for administrators");
}

void become_stranger(ChildChecks& checks) {
  const bool changed = ::setgroups(0, nullptr) == 0 && ::setgid(kStranger) == 0 &&
                       ::setuid(kStranger) == 0 && ::geteuid() == kStranger;
  checks.expect(changed, "the uid changes");
}

// An idle client looks at its news: that is when it unmaps a segment and says so.
bool gives_its_segments_back(Client& client) {
  return eventually([&] {
    EXPECT_TRUE(client.progress().ok());
    return client.mapped_bytes() == 0;
  });
}

constexpr uint64_t kSecret = 0x5ec2e7'0f'a5712345;
constexpr uint64_t kSecretPageBytes = 6 << 20;
constexpr uint64_t kSecretBytes = 8 * kSecretPageBytes;  // of 64 MiB

// Pages without slack, full of the secret; none of them is left when it returns.
void write_secret_everywhere(Client& client) {
  model::Layout layout = small_append_layout();
  layout.groups[0].page_bytes = kSecretPageBytes;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kSecretPageBytes}};
  auto options = session_options(layout);
  options.staging_bytes = kSecretPageBytes;
  const auto session = open_session(client, options);
  QUIRE_CHECK(session->append_tokens(context_tokens(kPromptTokens, kContext)).ok());
  const uint32_t block = layout.block_tokens;
  for (uint32_t i = 1; i * kSecretPageBytes <= kSecretBytes; ++i) {
    const auto fill = session->begin_fill(FillKind::kSpan, i * block);
    QUIRE_CHECK(fill.ok());
    auto* words = reinterpret_cast<uint64_t*>(fill->staging);
    std::fill(words, words + kSecretPageBytes / sizeof(uint64_t), kSecret);
    QUIRE_CHECK(session->commit(*fill).ok());
  }
  // It reads some of it, so that it has the segment mapped.
  const auto match = session->match(kPromptTokens);
  QUIRE_CHECK(match.ok() && session->load(match->lease).ok());
  QUIRE_CHECK(client.mapped_bytes() > 0 && session->close().ok());
}

// How often a word stands in a segment of the caller's domain.
uint64_t count_in_segment(const std::string& socket_path, uint32_t id, uint64_t word) {
  RawClient raw(socket_path);
  raw.send(model::FrameType::kMapSegment, model::struct_bytes(model::MapSegmentRequest{id, 0}));
  std::vector<model::FdGuard> descriptors;
  const auto reply = model::read_struct<model::MapSegmentReply>(raw.receive(&descriptors));
  QUIRE_CHECK(reply.ok() && descriptors.size() == 1);
  const auto mapped = model::Mapping::map_shared(descriptors[0].get(), reply->info.bytes, false);
  QUIRE_CHECK(mapped.ok());
  const auto* words = reinterpret_cast<const uint64_t*>(mapped->data());
  return static_cast<uint64_t>(std::count(words, words + mapped->bytes() / sizeof(word), word));
}

}  // namespace

TEST(TwoUids, Law13_NothingCrossesADomain) {
  DaemonProcess daemon({.ram_mib = 128});  // each domain has segments of its own
  const auto client = daemon.connect("owner");
  const auto session = committed_session(*client, kContext);
  ASSERT_FALSE(segments_to_be_had(daemon.socket_path()).empty()) << "the owner's can be mapped";
  const bool root = ::geteuid() == 0;
  const Secrets secrets{daemon.socket_path(), session->token(), root ? "tenant" : "another"};
  TestProcess stranger = TestProcess::call([&](Channel&) {
    ChildChecks checks;
    if (root) {
      become_stranger(checks);
      check_nothing_is_lent(secrets, checks);
    }
    check_nothing_is_found(secrets, checks);
    return checks.failures();
  });
  EXPECT_EQ(stranger.wait(), 0);
  EXPECT_TRUE(hits_bit_exactly(*session));
  EXPECT_EQ(daemon.status().spans, 6u) << "five of the owner, one of the stranger";
}

// The daemon has one segment. The owner writes its secret over nearly all of it, then goes; the
// stranger gets the memory that was the owner's and looks at every byte of it.
TEST(TwoUids, Law13_PageOfAnotherDomainIsNotFreedMemoryOfTheFirst) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: tenants of one uid share their segments";
  DaemonProcess daemon({.ram_mib = 64});
  const auto client = daemon.connect("owner");
  write_secret_everywhere(*client);
  TestProcess stranger = TestProcess::call([&](Channel&) {
    ChildChecks checks;
    become_stranger(checks);
    const auto stranger_client = connect_to(daemon.socket_path());
    const auto session = committed_session(*stranger_client, 2);  // waits for the segment
    checks.expect(hits_bit_exactly(*session), "its own context is served");
    const auto segments = segments_to_be_had(daemon.socket_path());
    checks.expect(segments.size() == 1, "it has the one segment");
    checks.expect(count_in_segment(daemon.socket_path(), segments.at(0), kSecret) == 0,
                  "nothing of the owner's is in it");
    checks.expect(count_in_segment(daemon.socket_path(), segments.at(0), 0) > kSecretBytes / 8,
                  "where the secret was there are zeroes");
    return checks.failures();
  });
  ASSERT_TRUE(gives_its_segments_back(*client)) << "the owner never heard that it was wanted";
  EXPECT_EQ(stranger.wait(), 0);
}

TEST(TwoUids, SegmentServesAnotherDomainOnceItsClientsUnmappedIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be a second uid";
  DaemonProcess daemon({.ram_mib = 64});  // one segment, and the owner has it
  const auto client = daemon.connect("owner");
  {
    const auto session = committed_session(*client, kContext);
    ASSERT_TRUE(hits_bit_exactly(*session));
    ASSERT_TRUE(session->close().ok());
  }
  ASSERT_GT(client->mapped_bytes(), 0u);
  TestProcess stranger = TestProcess::call([&](Channel&) {
    ChildChecks checks;
    become_stranger(checks);
    const auto stranger_client = connect_to(daemon.socket_path());
    const auto session = committed_session(*stranger_client, 2);  // waits for the segment
    checks.expect(hits_bit_exactly(*session), "its own context is served");
    return checks.failures();
  });
  EXPECT_TRUE(gives_its_segments_back(*client)) << "the owner never heard that it was wanted";
  EXPECT_EQ(stranger.wait(), 0);
  EXPECT_EQ(daemon.status().spans, 5u) << "the owner's were evicted, the stranger's are there";
}

}  // namespace quire::tests::two_uids_test
