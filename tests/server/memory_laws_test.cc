// Who waits for memory, and for whom: requests of one client, and segments that were asked back.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/support/raw_client.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::memory_laws_test {

using client::Session;
using model::Errc;
using model::FillKind;

namespace {

constexpr uint64_t kBigPage = 15 << 20;  // four fill a segment
constexpr uint32_t kSpansOfSegment = 4;
constexpr uint64_t kSegmentBytes = 64ull << 20;
constexpr uint32_t kBlock = 4;  // tokens

model::Layout big_layout() {
  model::Layout layout = small_append_layout();
  layout.name = "big-append";
  layout.groups[0].page_bytes = kBigPage;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = kBigPage}};
  return layout;
}

std::unique_ptr<Session> big_session(client::Client& client, uint64_t context) {
  auto options = session_options(big_layout());
  options.staging_bytes = 2 * kBigPage;
  auto session = open_session(client, options);
  QUIRE_CHECK(
      session->append_tokens(context_tokens(kBlock * (kSpansOfSegment + 1) + 1, context)).ok());
  return session;
}

// Four segments: the client's domain has one, full; another domain has three, and a process keeps
// their memory for as long as the test wants. So whatever the client is to get waits for that.
class WaitForMemory : public testing::Test {
 protected:
  WaitForMemory()
      : daemon_([] {
          auto options = small_options();
          options.ram_bytes = 4 * kSegmentBytes;
          return options;
        }()),
        client_(daemon_.connect()) {}

  void SetUp() override {
    reader_ = big_session(*client_, 1);
    for (uint32_t i = 1; i <= kSpansOfSegment; ++i) {
      ASSERT_TRUE(commit_object(*reader_, FillKind::kSpan, i * kBlock).ok());
    }
    const auto match = reader_->match(kBlock * kSpansOfSegment + 1);
    ASSERT_TRUE(match.ok());
    ASSERT_EQ(match->exact_tokens, kBlock * kSpansOfSegment);
    lease_ = match->lease;
    give_the_rest_away();
  }

  void give_the_rest_away() {
    model::DomainId other;
    daemon_.on_core([&](server::Daemon& d) { other = *d.cache().add_domain("uid:another"); });
    const auto grown = [&](server::Daemon& d) {
      meddle(d).grow(other);
      return inspect(d).usage(other).segment_bytes == 3 * kSegmentBytes;
    };
    ASSERT_TRUE(daemon_.eventually(grown));
    daemon_.on_core([&](server::Daemon& d) {
      for (const auto& view : inspect(d).segments(other)) {
        kept_.emplace_back(::fcntl(view.segment->read_only_fd(), F_DUPFD_CLOEXEC, 0));
      }
    });
  }
  // The next completion.
  model::Completion completion(Session& session) {
    model::Completion one{};
    EXPECT_TRUE(daemon_.eventually([&](server::Daemon&) {
      return session.poll_completions(std::span(&one, 1)).value() == 1;
    }));
    return one;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Session> reader_;
  uint64_t lease_ = 0;
  std::vector<model::FdGuard> kept_;
};

}  // namespace

TEST_F(WaitForMemory, ReleaseIsNotBehindTheFillThatWaits) {
  const auto writer = big_session(*client_, 2);
  const auto fill = writer->submit_begin_fill(FillKind::kSpan, kBlock);
  const auto second = writer->submit_begin_fill(FillKind::kSpan, 2 * kBlock);
  const auto noop = writer->submit_noop();
  ASSERT_TRUE(fill.ok() && second.ok() && noop.ok());
  writer->flush();
  EXPECT_EQ(completion(*writer).user_data, *noop) << "it needs no memory";
  EXPECT_TRUE(reader_->release(lease_).ok());
  // The tip of its session holds the path.
  EXPECT_TRUE(reader_->close().ok());
  const auto first_done = completion(*writer);
  EXPECT_EQ(first_done.user_data, *fill) << "fills keep their order";
  EXPECT_EQ(first_done.code, 0) << "its own domain's memory came free, although nobody unmapped";
  EXPECT_EQ(completion(*writer).user_data, *second);
}

TEST_F(WaitForMemory, ReleaseOfTheSameFlushFreesWhatTheFillWaitsFor) {
  const auto session = big_session(*client_, 1);
  const auto match = session->match(kBlock * kSpansOfSegment + 1);
  ASSERT_TRUE(match.ok());
  ASSERT_TRUE(reader_->release(lease_).ok());
  ASSERT_TRUE(reader_->close().ok());  // now only the lease of `session` holds the path
  const auto fill = session->submit_begin_fill(FillKind::kSpan, kBlock * (kSpansOfSegment + 1));
  const auto release = session->submit_release(match->lease);
  ASSERT_TRUE(fill.ok() && release.ok());
  session->flush();
  EXPECT_EQ(completion(*session).user_data, *release);
  const auto filled = completion(*session);
  EXPECT_EQ(filled.user_data, *fill);
  EXPECT_EQ(filled.code, 0);
}

TEST_F(WaitForMemory, WhatIsKeptIsChargedAndComesWhenItIsGone) {
  const auto writer = big_session(*client_, 2);
  const auto fill = writer->submit_begin_fill(FillKind::kSpan, kBlock);
  ASSERT_TRUE(fill.ok());
  writer->flush();
  ASSERT_TRUE(daemon_.eventually([](server::Daemon& d) {
    return inspect(d).usage(model::DomainId{1}).retiring_bytes == kSegmentBytes;
  }));
  daemon_.on_core([](server::Daemon& d) {
    EXPECT_EQ(inspect(d).usage().segment_bytes, kSegmentBytes);
    EXPECT_EQ(inspect(d).usage(model::DomainId{1}).segment_bytes, 2 * kSegmentBytes);
  });
  kept_.clear();
  const auto done = completion(*writer);
  EXPECT_EQ(done.user_data, *fill);
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(reader_->release(lease_).ok());
}

TEST_F(WaitForMemory, ObjectThatCanNeverFitEvictsNothing) {
  ASSERT_TRUE(reader_->release(lease_).ok());
  ASSERT_TRUE(reader_->close().ok());  // all of it could go
  model::Layout layout = big_layout();
  layout.name = "too-big";
  layout.groups[0].page_bytes = 60 << 20;
  layout.groups[0].layers = {{.layer = 0, .offset = 0, .bytes = 60 << 20}};
  for (uint32_t i = 1; i < 3; ++i) {
    layout.groups.push_back(layout.groups[0]);
    layout.groups[i].name += std::to_string(i);
  }
  RawClient raw(daemon_.socket_path());  // no library would reserve staging memory for it
  RawSession session = raw.open_session(layout);
  model::Submission begin{};
  begin.verb = static_cast<uint16_t>(model::Verb::kBeginFill);
  begin.args.begin_fill.end_units = 1;
  for (int attempt = 0; attempt < 10; ++attempt) {
    session.submit(begin);
    EXPECT_EQ(session.wait_completion().code, static_cast<int>(Errc::kResourceExhausted));
  }
  daemon_.on_core([](server::Daemon& d) {
    EXPECT_EQ(inspect(d).counters().evictions, 0u);
    EXPECT_EQ(inspect(d).usage(model::DomainId{1}).segment_bytes, 3 * kSegmentBytes)
        << "three pages of 60 MiB are more than half of four segments";
  });
}

}  // namespace quire::tests::memory_laws_test
