// What the library does when the daemon is slow, gone, replaced, wrong, or this process forked.
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <thread>

#include "client/attachment.h"
#include "tests/client/client_fixture.h"
#include "tests/support/patience.h"

namespace quire::client::client_failure_test {
namespace {

using model::Completion;
using model::Errc;
using model::FillKind;

class ClientFailure : public ClientFixture {
 protected:
  size_t mapped_segments() {
    std::ifstream maps("/proc/self/maps");
    size_t count = 0;
    for (std::string line; std::getline(maps, line);) {
      count +=
          line.find("memfd:fake") != std::string::npos && line.find(" r--s ") != std::string::npos;
    }
    return count;
  }
  // Runs `body` in a forked child and returns its exit code.
  template <typename Body>
  int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
};

TEST_F(ClientFailure, NoDaemonIsUnavailable) {
  EXPECT_EQ(Client::connect({.socket_path = path_}).code(), Errc::kUnavailable);
}

// Whoever waited would wait until the successor is there, and get a session.
TEST_F(ClientFailure, OpeningASessionWithoutADaemonFailsAtOnce) {
  start();
  const auto options = session_options();
  auto client =
      Client::connect({.socket_path = path_, .connect_timeout_ms = 2 * tests::kPatienceMs});
  ASSERT_TRUE(client.ok());
  daemon_.reset();
  std::promise<void> answered;
  std::thread successor([&, answer = answered.get_future()] {
    if (answer.wait_for(tests::kPatience) == std::future_status::timeout) start({.epoch = 2});
  });
  const auto session = (*client)->open_session(options);
  const auto joined = (*client)->join_session({}, options);
  answered.set_value();
  successor.join();
  EXPECT_EQ(session.code(), Errc::kUnavailable);
  EXPECT_EQ(joined.code(), Errc::kUnavailable);
}

TEST_F(ClientFailure, DaemonWaitCoversConnectingAndOpening) {
  std::thread late([&] { start(); });  // before or during the wait, as it comes
  auto client = Client::connect({.socket_path = path_, .daemon_wait_ms = tests::kPatienceMs});
  late.join();
  ASSERT_TRUE(client.ok()) << client.error().text;
  daemon_.reset();
  ASSERT_EQ((*client)->progress().code(), Errc::kUnavailable);
  std::thread later([&] { start({.epoch = 2}); });
  const auto session = (*client)->open_session(session_options());
  later.join();
  EXPECT_TRUE(session.ok()) << session.error().text;
}

TEST_F(ClientFailure, AnotherProtocolVersionIsRefused) {
  start({.hello_version = model::kProtocolVersion + 1});
  const auto refused = Client::connect({.socket_path = path_});
  EXPECT_EQ(refused.code(), Errc::kUnsupportedVersion);
  EXPECT_NE(refused.error().text.find("of one release"), std::string::npos) << "says what to do";
}

TEST_F(ClientFailure, OneConnectionTooManyIsBusyAndSaysWhy) {
  start({.max_connections = 1});
  connect();
  for (int i = 0; i < 50; ++i) {  // the daemon hangs up before the hello, or after it
    const auto second = Client::connect({.socket_path = path_});
    ASSERT_EQ(second.code(), Errc::kBusy) << i << ": " << second.error().text;
    EXPECT_EQ(second.error().text, "the daemon has --max_connections clients");
  }
  EXPECT_TRUE(client_->ping().ok());
}

TEST_F(ClientFailure, ReconnectWaitsForRoomForAConnection) {
  start_all();
  start({.epoch = 2, .max_connections = 0});
  EXPECT_EQ(client_->reconnect(30).code(), Errc::kBusy);
  start({.epoch = 3, .refuse_connections = 2});
  EXPECT_TRUE(client_->reconnect(60'000).ok());
  EXPECT_EQ(client_->daemon_epoch(), 3u);
}

// The refusal lies in the socket and the daemon has hung up: sending fails first.
TEST_F(ClientFailure, AHangUpThatWasExplainedIsThatError) {
  for (const Errc code : {Errc::kBusy, Errc::kOk}) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const model::ReplyStatus status = model::make_status(code, "full");
    model::FrameHeader header;
    header.type = static_cast<uint16_t>(model::FrameType::kHello) | model::kReplyBit;
    header.payload_bytes = sizeof status;
    const std::string bytes =
        std::string(model::struct_bytes(header)).append(model::struct_bytes(status));
    ASSERT_EQ(::write(pair[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ::close(pair[1]);
    Attachment attachment(ForkGuard::create().value(), FrameSocket(model::FdGuard(pair[0])), {});
    EXPECT_EQ(attachment.hello().code(), code == Errc::kBusy ? Errc::kBusy : Errc::kUnavailable);
    EXPECT_FALSE(attachment.alive());
  }
}

TEST_F(ClientFailure, Law07_DaemonDeathFailsCallsAndLeavesPagesReadable) {
  start_all();
  store(FillKind::kSpan, 32);
  const auto hit = session_->match(100);
  const auto pages = session_->load(hit->lease);
  daemon_.reset();
  EXPECT_EQ(session_->match(100).code(), Errc::kUnavailable);
  EXPECT_EQ(session_->noop().code(), Errc::kUnavailable);
  EXPECT_EQ(client_->progress().code(), Errc::kUnavailable);
  EXPECT_EQ(client_->ping().code(), Errc::kUnavailable);
  EXPECT_FALSE(client_->connected());
  expect_page(pages->pages[0], FillKind::kSpan, 32);
}

TEST_F(ClientFailure, Law07_OldHandlesAreStaleAfterReconnect) {
  start_all();
  store(FillKind::kSpan, 32);
  const auto hit = session_->match(100);
  const auto pages = session_->load(hit->lease);
  start({.epoch = 2});
  ASSERT_TRUE(client_->reconnect(5000).ok());
  EXPECT_EQ(client_->daemon_epoch(), 2u);
  EXPECT_EQ(session_->noop().code(), Errc::kStaleHandle);
  EXPECT_EQ(session_->release(hit->lease).code(), Errc::kStaleHandle);
  expect_page(pages->pages[0], FillKind::kSpan, 32);
  session_.reset();
  EXPECT_EQ(mapped_segments(), 0u);
  open();
  EXPECT_TRUE(session_->noop().ok());
}

TEST_F(ClientFailure, OpeningASessionReconnectsByItself) {
  start_all();
  start({.epoch = 2});
  open();
  EXPECT_TRUE(session_->noop().ok());
}

TEST_F(ClientFailure, ReconnectGivesUpAtItsTimeOut) {
  start_all();
  daemon_.reset();
  EXPECT_EQ(client_->reconnect(30).code(), Errc::kUnavailable);
}

TEST_F(ClientFailure, RequestsInFlightCompleteWithUnavailableEachOnce) {
  start_all();
  daemon_->hold_ring(true);
  const auto fill = session_->submit_begin_fill(FillKind::kSpan, 32);
  const auto noop = session_->submit_noop();
  session_->flush();
  pollfd entry{session_->fd(), POLLIN, 0};
  daemon_.reset();
  ASSERT_EQ(::poll(&entry, 1, 5000), 1);
  ASSERT_TRUE(session_->wait(tests::kPatienceMs).ok());
  std::array<Completion, 8> completions;
  ASSERT_EQ(*session_->poll_completions(completions), 2u);
  EXPECT_EQ(completions[0].user_data, *fill);
  EXPECT_EQ(completions[1].user_data, *noop);
  EXPECT_EQ(completions[1].code, static_cast<int32_t>(Errc::kUnavailable));
  EXPECT_EQ(session_->take_fill(*fill, completions[0]).code(), Errc::kUnavailable);
  EXPECT_EQ(session_->poll_completions(completions).code(), Errc::kUnavailable);
  EXPECT_EQ(session_->wait(1).code(), Errc::kUnavailable);
}

TEST_F(ClientFailure, AnEndedSessionTellsWhy) {
  start_all();
  daemon_->end_sessions(Errc::kMalformedFrame, "scribbled");
  const auto failed = session_->noop();
  ASSERT_EQ(failed.code(), Errc::kMalformedFrame);
  EXPECT_EQ(failed.error().text, "scribbled");
  EXPECT_TRUE(client_->ping().ok());
}

TEST_F(ClientFailure, AnImpossibleCompletionIndexEndsTheSession) {
  start_all();
  daemon_->hold_ring(true);
  daemon_->scribble_completion_indexes();
  EXPECT_EQ(session_->noop().code(), Errc::kMalformedFrame);
  EXPECT_EQ(session_->noop().code(), Errc::kMalformedFrame);
  EXPECT_TRUE(client_->ping().ok());
}

// Of a client in a hurry, what need not be late: a busy machine may make it so.
template <typename Call>
auto again_while_late(Call call) {
  auto result = call();
  while (result.code() == Errc::kDeadlineExceeded) result = call();
  return result;
}

TEST_F(ClientFailure, ACallThatTookTooLongIsUndoneWhenItCompletes) {
  start_all();
  store(FillKind::kSpan, 32);
  session_.reset();
  ClientOptions hasty;  // from here on: nothing but what is to be late has so little time
  hasty.call_timeout_ms = 30;
  connect(hasty);
  open();
  daemon_->hold_ring(true);
  EXPECT_EQ(session_->match(100).code(), Errc::kDeadlineExceeded);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 64).code(), Errc::kDeadlineExceeded);
  daemon_->hold_ring(false);
  // The first call takes the late completions in and undoes them; the second comes after that.
  for (int call = 0; call < 2; ++call) {
    ASSERT_TRUE(again_while_late([&] { return session_->noop(); }).ok());
  }
  EXPECT_EQ(daemon_->lease_count(), 0u);
  EXPECT_EQ(daemon_->fill_count(), 0u);
}

// Behind another fill's part of the staging area.
TEST_F(ClientFailure, AFillThatCameTooLateLeavesNoStagingBehind) {
  start_all();
  session_.reset();
  ClientOptions hasty;
  hasty.call_timeout_ms = 30;
  connect(hasty);
  open();
  ASSERT_TRUE(again_while_late([&] { return session_->begin_fill(FillKind::kSpan, 32); }).ok());
  daemon_->hold_ring(true);
  EXPECT_EQ(session_->begin_fill(FillKind::kSpan, 64).code(), Errc::kDeadlineExceeded);
  daemon_->hold_ring(false);
  // Takes the late completion in, which sends the abort, and then that one's.
  const auto come = [&](const auto& what) {
    const auto end = std::chrono::steady_clock::now() + tests::kPatience;
    while (!what() && std::chrono::steady_clock::now() < end) (void)session_->noop();
    return what();
  };
  ASSERT_TRUE(come([&] { return daemon_->fill_count() == 1; }));
  size_t fits = 1;
  EXPECT_TRUE(come([&] {
    const auto end = 32 * static_cast<uint32_t>(fits + 1);
    fits += session_->submit_begin_fill(FillKind::kSpan, end).ok() ? 1 : 0;
    return fits == 65536u / (4096 + 1024);
  })) << fits;
}

TEST_F(ClientFailure, ALateSocketReplyIsDroppedAndItsSessionClosed) {
  start();
  ClientOptions hasty;
  hasty.socket_path = path_;
  hasty.connect_timeout_ms = 30;
  client_ = again_while_late([&] { return Client::connect(hasty); }).value();
  const auto known = [&] { return client_->register_layout(test_layout()); };
  ASSERT_TRUE(again_while_late(known).ok());
  daemon_->hold_replies(true);
  EXPECT_EQ(client_->open_session(session_options()).code(), Errc::kDeadlineExceeded);
  EXPECT_EQ(client_->status_json().code(), Errc::kDeadlineExceeded);
  daemon_->hold_replies(false);
  for (int call = 0; call < 2; ++call) {
    ASSERT_TRUE(again_while_late([&] { return client_->ping(); }).ok());
  }
  EXPECT_EQ(daemon_->session_count(), 0u);
}

TEST_F(ClientFailure, ARetiredSegmentIsUnmappedWhenItsLastLeaseGoes) {
  start_all();
  store(FillKind::kSpan, 32);
  const auto hit = session_->match(100);
  const auto pages = session_->load(hit->lease);
  EXPECT_EQ(mapped_segments(), 1u + 2);  // and the session's reply and progress memory
  daemon_->retire_segment(0);
  ASSERT_TRUE(client_->progress().ok());
  expect_page(pages->pages[0], FillKind::kSpan, 32);
  ASSERT_TRUE(session_->release(hit->lease).ok());
  EXPECT_EQ(mapped_segments(), 2u);
  ASSERT_TRUE(client_->ping().ok());  // the acknowledgement went first
  EXPECT_EQ(daemon_->acknowledged(), std::vector<uint32_t>{0});
}

TEST_F(ClientFailure, SegmentsThatAppearLaterAreMappedOnFirstSight) {
  start({.segment_bytes = 8192});
  connect();
  open();
  for (uint32_t end = 32; end <= 256; end += 32) store(FillKind::kSpan, end);
  const auto hit = session_->match(300);
  const auto pages = session_->load(hit->lease);
  ASSERT_TRUE(pages.ok());
  ASSERT_EQ(pages->pages.size(), 16u);
  for (uint32_t i = 0; i < 16; ++i) {
    expect_page(pages->pages[i], FillKind::kSpan, 32 * (i / 2 + 1));
  }
  EXPECT_EQ(client_->mapped_bytes(), 8u * 8192);
}

TEST_F(ClientFailure, SegmentsOfTheHelloAreMapped) {
  start_all();
  store(FillKind::kSpan, 32);
  connect();
  EXPECT_EQ(client_->mapped_bytes(), 1u << 20);
}

TEST_F(ClientFailure, AForkedChildGetsForkedAndLeavesTheParentAlone) {
  start_all();
  store(FillKind::kSpan, 32);
  const int code = in_child([this] {
    bool forked = true;
    forked &= session_->match(100).code() == Errc::kForked;
    forked &= session_->append_tokens({}).code() == Errc::kForked;
    forked &= session_->wait(1).code() == Errc::kForked;
    forked &= session_->close().code() == Errc::kForked;
    forked &= client_->ping().code() == Errc::kForked;
    forked &= client_->reconnect(1).code() == Errc::kForked;
    session_->flush();
    session_.reset();
    client_.reset();
    return forked ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(session_->noop().ok());
  EXPECT_EQ(daemon_->session_count(), 1u);
}

}  // namespace
}  // namespace quire::client::client_failure_test
