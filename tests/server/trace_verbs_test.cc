// The verb that records requests, through the daemon's own thread for it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "model/trace_wire.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::trace_verbs_test {
namespace {

using model::Errc;
using model::TraceRecord;
using model::TraceRecordKind;

constexpr uint32_t kTokens = 33;  // eight spans and a token

class TraceVerbsTest : public testing::Test {
 protected:
  static void ask(client::Client& client, uint64_t context, const std::string& tenant) {
    const auto session =
        open_session(client, session_options(small_append_layout(), "model", tenant));
    ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, context)).ok());
    ASSERT_TRUE(session->match(kTokens).ok());
    ASSERT_TRUE(commit_context(*session, kTokens).ok());
  }
  // To its end.
  static std::vector<TraceRecord> read(const model::FdGuard& pipe) {
    std::string bytes(1 << 20, '\0');
    size_t done = 0;
    for (ssize_t got; (got = ::read(pipe.get(), bytes.data() + done, bytes.size() - done)) > 0;) {
      done += static_cast<size_t>(got);
    }
    std::vector<TraceRecord> records;
    for (size_t at = 0; at + sizeof(TraceRecord) <= done;) {
      TraceRecord& record = records.emplace_back();
      std::memcpy(&record, bytes.data() + at, sizeof(record));
      at += sizeof(record) + record.key_count * sizeof(uint64_t);
    }
    return records;
  }
  static size_t count(const std::vector<TraceRecord>& records, TraceRecordKind kind) {
    size_t found = 0;
    for (const TraceRecord& one : records) found += one.kind == static_cast<uint32_t>(kind) ? 1 : 0;
    return found;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(TraceVerbsTest, RecordsUntilItsConnectionEndsAndLosesNothing) {
  auto recorder = daemon_.connect("recorder");
  const auto pipe = recorder->record_trace();
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  ask(*client_, 1, "tenant");
  ask(*client_, 1, "tenant");
  ASSERT_TRUE(daemon_.is_quiet()) << "both turns are closed";
  recorder.reset();
  const auto records = read(*pipe);
  EXPECT_EQ(count(records, TraceRecordKind::kRequest), 2u);
  EXPECT_EQ(count(records, TraceRecordKind::kWritten), 8u) << "once";
  EXPECT_EQ(count(records, TraceRecordKind::kTurnEnd), 2u);
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.front().kind, static_cast<uint32_t>(TraceRecordKind::kRequest));
  EXPECT_EQ(records.front().hit_tokens, 0u);
  EXPECT_EQ(records.front().key_count, 8u);
  EXPECT_EQ(records.back().kind, static_cast<uint32_t>(TraceRecordKind::kEnd));
  EXPECT_EQ(records.back().count, 0u);
}

TEST_F(TraceVerbsTest, RequestThatMatchesTwiceIsOne) {
  auto recorder = daemon_.connect("recorder");
  const auto pipe = recorder->record_trace();
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  const auto session = open_session(*client_, session_options(small_append_layout()));
  ASSERT_TRUE(session->append_tokens(context_tokens(kTokens, 1)).ok());
  for (const uint64_t request : {7, 7, 8})
    ASSERT_TRUE(session->match(kTokens, 0, {}, request).ok());
  recorder.reset();
  const auto records = read(*pipe);
  EXPECT_EQ(count(records, TraceRecordKind::kRequest), 2u);
  EXPECT_EQ(count(records, TraceRecordKind::kTurnEnd), 1u) << "the first one's";
}

TEST_F(TraceVerbsTest, RecordsOneTenantAlone) {
  auto recorder = daemon_.connect("recorder");
  const std::string own(recorder->domain());
  const auto pipe = recorder->record_trace({.scope = {.domain = own, .tenant = "b"}});
  ASSERT_TRUE(pipe.ok()) << pipe.error().text;
  ask(*client_, 1, "a");
  ask(*client_, 2, "b");
  ask(*client_, 3, "c");
  recorder.reset();
  EXPECT_EQ(count(read(*pipe), TraceRecordKind::kRequest), 1u);
}

TEST_F(TraceVerbsTest, DaemonThatStopsEndsTheStream) {
  const auto recorder = daemon_.connect("recorder");
  const auto pipe = recorder->record_trace();
  ASSERT_TRUE(pipe.ok());
  ask(*client_, 1, "tenant");
  daemon_.stop();
  const auto records = read(*pipe);
  EXPECT_EQ(count(records, TraceRecordKind::kRequest), 1u);
  EXPECT_EQ(count(records, TraceRecordKind::kEnd), 1u) << "it says that this was all";
  daemon_.start();
}

TEST_F(TraceVerbsTest, RefusesWhatMakesNoSense) {
  const auto code = [&](const client::ScopeOptions& scope) {
    return client_->record_trace({.scope = scope}).code();
  };
  EXPECT_EQ(code({.domain = "somebody", .tenant = {}}), Errc::kInvalidArgument);
  EXPECT_EQ(code({.domain = "uid:", .tenant = {}}), Errc::kInvalidArgument);
  EXPECT_EQ(code({.domain = "uid:7x", .tenant = {}}), Errc::kInvalidArgument);
  EXPECT_EQ(code({.domain = "", .tenant = "t"}), Errc::kInvalidArgument) << "whose?";
  EXPECT_EQ(code({.domain = "uid:7", .tenant = "a\nb"}), Errc::kInvalidArgument)
      << "it would be in the log";
}

}  // namespace
}  // namespace quire::tests::trace_verbs_test
