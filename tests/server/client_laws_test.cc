// Laws 5, 6, 7, 10, 11 and 13: what a client can and cannot do. Laws 5 and 13 have process tests
// too.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "model/session_shm.h"
#include "model/wire.h"
#include "server/core.h"
#include "tests/support/patience.h"
#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::client_laws_test {

using client::Session;
using model::Errc;
using model::FillKind;

namespace {

constexpr uint32_t kTokens = 41;

std::unique_ptr<Session> filled_session(client::Client& client, uint64_t context) {
  auto session = open_session(client, session_options(small_hybrid_layout()));
  QUIRE_CHECK(session->append_tokens(context_tokens(kTokens, context)).ok());
  QUIRE_CHECK(commit_context(*session, kTokens).ok());
  return session;
}

// A session of another client goes through its life while the misbehaving one does its worst.
void expect_others_unharmed(TestDaemon& daemon, uint64_t context) {
  const auto client = daemon.connect("neighbour");
  const auto session = filled_session(*client, context);
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 40u);
  EXPECT_EQ(check_hit(*session, *match), 7);
}

}  // namespace

TEST(ClientNames, ControlCharactersAndBrokenUtf8AreRefused) {
  TestDaemon daemon;
  for (const char* name : {"x\n2026-11-29T12:00:00.000 error forged", "\x1b[2J", "\xff"}) {
    const auto refused =
        client::Client::connect({.socket_path = daemon.socket_path(), .client_name = name});
    ASSERT_EQ(refused.code(), Errc::kInvalidArgument);
    EXPECT_NE(refused.error().text.find("client_name"), std::string::npos);

    const auto client = daemon.connect("neighbour");
    client::SessionOptions options = session_options(small_hybrid_layout());
    options.tenant = name;
    EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);
    options.tenant = "tenant";
    options.namespace_name = name;
    EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);
    options.namespace_name = "\xe5\xbc\x95";
    options.salt = name;
    EXPECT_TRUE(client->open_session(options).ok()) << "a salt is bytes";
  }
}

TEST(Laws, Law05_EndOfAClientFreesEverythingItHeld) {
  TestDaemon daemon;
  {
    const auto client = daemon.connect();
    const auto session = filled_session(*client, 1);
    ASSERT_TRUE(session->match(kTokens).ok());
    ASSERT_TRUE(session->begin_fill(FillKind::kCheckpoint, 4).ok());
    daemon.on_core([](server::Daemon& d) {
      EXPECT_EQ(d.cache().lease_count(), 1u);
      EXPECT_EQ(d.cache().fill_count(), 1u);
    });
    // Destroyed without release, commit or abort.
  }
  EXPECT_TRUE(daemon.is_quiet());
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(inspect(d).counters().spans, 5u) << "what was committed stays";
    EXPECT_EQ(inspect(d).usage().slots, 7u);
  });
}

TEST(Laws, Law06_ClientThatNeverTakesCompletionsDelaysNobody) {
  TestDaemon daemon;
  RawClient raw(daemon.socket_path());
  RawSession session = raw.open_session(small_append_layout());
  for (int i = 0; i < 100; ++i) session.submit_noop(static_cast<uint64_t>(i));  // ring of 8
  expect_others_unharmed(daemon, 3);
  daemon.on_core([](server::Daemon& d) {
    EXPECT_EQ(d.core().registry().session_count(), 1u) << "a slow client is not ended";
  });
}

TEST(Laws, Law06_DoorbellThatIsFullBlocksNobody) {
  TestDaemon daemon;
  RawClient raw(daemon.socket_path());
  RawSession session = raw.open_session(small_append_layout());
  const int doorbell = session.fd(model::SessionDescriptor::kDoorbell);
  const uint64_t almost_full = ~uint64_t{0} - 1;
  ASSERT_EQ(::write(doorbell, &almost_full, 8), 8);
  ASSERT_EQ(::fcntl(doorbell, F_SETFL, 0), 0);  // blocking, for whoever shares the description
  expect_others_unharmed(daemon, 4);
}

// Nor does a client wait while memory is found for another one's staging: its own library does
// that.
TEST(Laws, Law06_StagingIsAllocatedByItsClient) {
  const auto allocated_bytes = [](int fd) {
    struct stat file {};
    EXPECT_EQ(::fstat(fd, &file), 0);
    return static_cast<uint64_t>(file.st_blocks) * 512;
  };
  TestDaemon daemon;
  RawClient raw(daemon.socket_path());
  const RawSession session = raw.open_session(small_append_layout());
  EXPECT_EQ(allocated_bytes(session.staging_fd()), 0u);
  EXPECT_GT(allocated_bytes(session.fd(model::SessionDescriptor::kReply)), 0u);
}

TEST(Laws, Law06_EvictionOfEverythingGoesInSteps) {
  constexpr uint32_t kSpans = 700;
  TestDaemon daemon;
  const auto client = daemon.connect();
  {
    auto options = session_options(small_append_layout());
    const auto session = open_session(*client, options);
    ASSERT_TRUE(session->append_tokens(context_tokens(4 * kSpans, 1)).ok());
    ASSERT_TRUE(commit_context(*session, 4 * kSpans).ok());
  }
  ASSERT_TRUE(daemon.is_quiet());
  RawClient raw(daemon.socket_path());
  raw.send(model::FrameType::kEvict, model::struct_bytes(model::EvictRequest{}));
  const auto reply = model::read_struct<model::EvictReply>(raw.receive());
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->evicted, model::kMaxEvictedPerFrame);
  const auto rest = client->evict(0);
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(*rest, kSpans - model::kMaxEvictedPerFrame);
}

TEST(Laws, Law07_EndOfTheDaemonNeverCrashesAClient) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto session = filled_session(*client, 1);
  const auto match = session->match(kTokens);
  ASSERT_TRUE(match.ok());
  const auto loaded = session->load(match->lease);
  ASSERT_TRUE(loaded.ok());
  const uint64_t old_epoch = client->daemon_epoch();

  daemon.restart();
  EXPECT_EQ(session->match(kTokens).code(), Errc::kUnavailable);
  for (const client::PageView& page : loaded->pages) {
    EXPECT_TRUE(client::verify_page(page)) << "mapped pages stay readable";
  }
  ASSERT_TRUE(client->reconnect(kPatienceMs).ok());
  EXPECT_NE(client->daemon_epoch(), old_epoch);
  EXPECT_EQ(session->match(kTokens).code(), Errc::kStaleHandle) << "an old handle is a miss";
  const auto fresh = open_session(*client, session_options(small_hybrid_layout()));
  ASSERT_TRUE(fresh->append_tokens(context_tokens(kTokens, 1)).ok());
  EXPECT_EQ(fresh->match(kTokens)->exact_tokens, 0u);
}

TEST(Laws, Law10_EveryBoundIsATypedError) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  auto options = session_options(small_hybrid_layout());
  options.ring_entries = 7;
  EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);
  options = session_options(small_hybrid_layout());
  options.ring_entries = 1 << 20;
  EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);
  options = session_options(small_hybrid_layout());
  options.staging_bytes = 1ull << 40;
  EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);
  options = session_options(small_hybrid_layout());
  options.namespace_name = std::string(64, 'n');
  EXPECT_EQ(client->open_session(options).code(), Errc::kInvalidArgument);

  const auto session = filled_session(*client, 1);
  EXPECT_EQ(session->append_tokens(context_tokens(5000, 1)).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session->begin_fill(FillKind::kSpan, 12).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session->begin_fill(FillKind::kSpan, 4096 + 8).code(), Errc::kInvalidArgument);
  EXPECT_EQ(session->release(0xdead).code(), Errc::kNotFound);
  EXPECT_EQ(session->load(0xdead).code(), Errc::kNotFound);
  // Leases are bounded per process; the bound is an error and nothing is lost.
  std::vector<uint64_t> leases;
  model::Result<model::MatchResult> match = session->match(kTokens);
  for (; match.ok(); match = session->match(kTokens)) leases.push_back(match->lease);
  EXPECT_EQ(match.code(), Errc::kBusy);
  EXPECT_EQ(leases.size(), model::kMaxLeasesPerAttachment);
  for (const uint64_t lease : leases) ASSERT_TRUE(session->release(lease).ok());
  EXPECT_TRUE(session->match(kTokens).ok());
}

// More than a layout may have is the caller's mistake, not a broken frame: the connection lives.
TEST(Laws, Law10_LayoutAboveABoundKeepsItsConnection) {
  TestDaemon daemon;
  RawClient client(daemon.socket_path());
  model::Layout layout = small_hybrid_layout();
  while (layout.groups.size() <= model::kMaxGroups) layout.groups.push_back(layout.groups[0]);
  const std::vector<std::byte> encoded = model::encode(layout);
  client.send(model::FrameType::kRegisterLayout,
              {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  const std::string refused = client.receive();
  model::ReplyStatus status;
  ASSERT_GE(refused.size(), sizeof(status));
  std::memcpy(&status, refused.data(), sizeof(status));
  EXPECT_EQ(status.code, static_cast<int32_t>(Errc::kInvalidLayout));
  EXPECT_NE(std::string_view(status.text.data()).find("at most 64"), std::string_view::npos)
      << status.text.data();
  RawSession session = client.open_session(small_hybrid_layout());
  session.submit_noop(7);
  EXPECT_EQ(session.wait_completion().user_data, 7u);
}

TEST(Laws, Law10_MemoryThatCannotBeHadIsATypedError) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  auto options = session_options(small_append_layout());
  options.layout.groups[0].page_bytes = 8 << 20;  // eight of them fill the pool
  options.layout.groups[0].layers.clear();
  options.staging_bytes = 8 << 20;
  const auto session = open_session(*client, options);
  ASSERT_TRUE(session->append_tokens(context_tokens(64, 1)).ok());
  uint32_t end = 4;
  model::Result<model::CommitResult> committed = commit_object(*session, FillKind::kSpan, end);
  for (; committed.ok(); committed = commit_object(*session, FillKind::kSpan, end)) end += 4;
  EXPECT_EQ(committed.code(), Errc::kResourceExhausted) << "its own path is pinned";
  EXPECT_EQ(session->progress().committed_tokens, end - 4);
  EXPECT_EQ(end, 36u);
}

TEST(Laws, Law11_ScribbledRingEndsOnlyThatSession) {
  TestDaemon daemon;
  RawClient raw(daemon.socket_path());
  RawSession doomed = raw.open_session(small_append_layout());
  RawSession healthy = raw.open_session(small_append_layout());
  doomed.scribble(42);
  EXPECT_TRUE(doomed.wait_closed());
  healthy.submit_noop(7);
  EXPECT_EQ(healthy.wait_completion().user_data, 7u) << "another session of the same client";
  expect_others_unharmed(daemon, 5);
}

TEST(Laws, Law11_MalformedFramesEndOnlyThatConnection) {
  TestDaemon daemon;
  const auto witness = daemon.connect("witness");
  const std::string wrong_version = frame_bytes(1, 99, "");
  const std::string no_hello = frame_bytes(8, model::kProtocolVersion, "");
  const std::string short_hello = frame_bytes(1, model::kProtocolVersion, "x");
  std::string too_large = frame_bytes(1, model::kProtocolVersion, "");
  const uint32_t huge = 0xffffffff;
  std::memcpy(too_large.data() + 8, &huge, 4);
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), "GET / HTTP/1.1\r\n\r\n"),
            Errc::kMalformedFrame);
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), wrong_version), Errc::kUnsupportedVersion);
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), too_large), Errc::kFrameTooLarge);
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), no_hello), Errc::kMalformedFrame);
  EXPECT_EQ(send_and_read_error(daemon.socket_path(), short_hello), Errc::kMalformedFrame);
  EXPECT_EQ(send_descriptors(daemon.socket_path(), 1), Errc::kUnexpectedDescriptors);
  EXPECT_EQ(send_descriptors(daemon.socket_path(), 64), Errc::kUnexpectedDescriptors);
  EXPECT_TRUE(witness->ping().ok());
  expect_others_unharmed(daemon, 6);
}

// A client of the release before gets an answer that it can read, and that says what to do.
TEST(Laws, AnOlderClientIsToldInItsOwnVersionToUpdate) {
  TestDaemon daemon;
  const model::FdGuard fd = connect_raw(daemon.socket_path());
  const std::string hello = frame_bytes(1, 1, model::struct_bytes(model::HelloRequest{}));
  ASSERT_EQ(::send(fd.get(), hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
  struct {
    model::FrameHeader header;
    model::ReplyStatus status;
  } reply;
  ASSERT_EQ(::recv(fd.get(), &reply, sizeof reply, MSG_WAITALL),
            static_cast<ssize_t>(sizeof reply));
  EXPECT_EQ(reply.header.version, 1);
  EXPECT_EQ(reply.header.type & model::kReplyBit, model::kReplyBit);
  const auto refused = model::check_status(reply.status);
  EXPECT_EQ(refused.code(), Errc::kUnsupportedVersion);
  EXPECT_NE(refused.error().text.find("update libquire"), std::string::npos)
      << refused.error().text;
  expect_others_unharmed(daemon, 7);
}

TEST(Laws, Law13_NothingCrossesATenant) {
  TestDaemon daemon;
  const auto client = daemon.connect();
  const auto writer = filled_session(*client, 1);
  auto options = session_options(small_hybrid_layout());
  options.tenant = "another";
  const auto other = open_session(*client, options);
  ASSERT_TRUE(other->append_tokens(context_tokens(kTokens, 1)).ok());
  const auto match = other->match(kTokens);
  ASSERT_TRUE(match.ok());
  EXPECT_EQ(match->exact_tokens, 0u);
  EXPECT_EQ(match->span_tokens, 0u);
  EXPECT_EQ(match->branch_tokens, 0u);
  // Committing what the other tenant has is no duplicate either.
  const auto committed = commit_object(*other, FillKind::kSpan, 8);
  ASSERT_TRUE(committed.ok());
  EXPECT_EQ(committed->duplicate, 0);
}

TEST(Laws, Law13_SharedNamespaceIsTheOperatorsChoice) {
  auto daemon_options = small_options();
  daemon_options.shared_namespaces = "model";
  daemon_options.tenants = std::to_string(::getuid()) + "=tenant|another";
  TestDaemon daemon(daemon_options);
  const auto client = daemon.connect();
  const auto writer = filled_session(*client, 1);
  auto options = session_options(small_hybrid_layout());
  options.tenant = "another";
  const auto other = open_session(*client, options);
  ASSERT_TRUE(other->append_tokens(context_tokens(kTokens, 1)).ok());
  EXPECT_EQ(other->match(kTokens)->exact_tokens, 40u);
  options.tenant = "a-stranger";
  EXPECT_EQ(client->open_session(options).code(), Errc::kPermissionDenied);
}

}  // namespace quire::tests::client_laws_test
