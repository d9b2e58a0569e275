// What a recording tells of requests, and what it costs those who ask: nothing but what is left
// out.
#include "server/runtime/trace_recorder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/support/manual_clock.h"

namespace quire::server::trace_recorder_test {
namespace {

using model::Errc;
using model::FdGuard;
using model::TraceRecord;
using model::TraceRecordKind;
using tests::ManualClock;

constexpr uint32_t kBlockTokens = 8;
constexpr uint32_t kUnitsPerBlock = 2;

struct Told {
  TraceRecord head;
  std::vector<uint64_t> keys;
  TraceRecordKind kind() const { return static_cast<TraceRecordKind>(head.kind); }
};

// A recording's reader: what it read, as records.
class Reader {
 public:
  FdGuard open() {
    int ends[2];
    QUIRE_CHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    fd_ = FdGuard(ends[0]);
    return FdGuard(ends[1]);
  }
  // Everything that is there; whether there was anything. at_end(): the writer is gone.
  bool read() {
    std::string part(1 << 16, '\0');
    ssize_t got;
    const size_t before = bytes_.size();
    while ((got = ::read(fd_.get(), part.data(), part.size())) > 0) {
      bytes_.append(part, 0, static_cast<size_t>(got));
    }
    at_end_ = got == 0;
    return bytes_.size() > before;
  }
  std::vector<Told> records() {
    std::vector<Told> all;
    size_t at = 0;
    while (at + sizeof(TraceRecord) <= bytes_.size()) {
      Told& one = all.emplace_back();
      std::memcpy(&one.head, bytes_.data() + at, sizeof(one.head));
      at += sizeof(one.head);
      one.keys.resize(one.head.key_count);
      QUIRE_CHECK(at + one.keys.size() * sizeof(uint64_t) <= bytes_.size());
      std::memcpy(one.keys.data(), bytes_.data() + at, one.keys.size() * sizeof(uint64_t));
      at += one.keys.size() * sizeof(uint64_t);
    }
    QUIRE_CHECK(at == bytes_.size());
    return all;
  }
  bool at_end() const { return at_end_; }
  void close() { fd_.reset(); }

 private:
  FdGuard fd_;
  std::string bytes_;
  bool at_end_ = false;
};

std::vector<model::Hash256> chain_of(uint8_t first, size_t blocks) {
  std::vector<model::Hash256> hashes(blocks * kUnitsPerBlock);
  for (size_t i = 0; i < hashes.size(); ++i) {
    const uint64_t word = first * 1'000'000ull + i;
    std::memcpy(hashes[i].bytes.data() + 8, &word, sizeof(word));
  }
  return hashes;
}

class TraceRecorderTest : public testing::Test {
 protected:
  TraceRecorderTest() { std::signal(SIGPIPE, SIG_IGN); }
  model::Result<void> start(Reader& reader, const TraceFilter& filter = {}, int64_t for_ns = 0) {
    return recorder_.start(
        {.owner = &reader, .write_end = reader.open(), .for_ns = for_ns, .filter = filter});
  }
  void match(const std::vector<model::Hash256>& hashes, uint32_t turn, uint32_t uid = 1,
             std::string_view tenant = "acme") {
    recorder_.matched(
        {.turn = {.session = 3, .turn = turn, .uid = uid, .tenant = tenant},
         .conversation = 5,
         .chain = {hashes.data(), static_cast<uint32_t>(hashes.size())},
         .units_per_block = kUnitsPerBlock,
         .block_tokens = kBlockTokens,
         .prompt_tokens = static_cast<uint32_t>(hashes.size()) * kBlockTokens / kUnitsPerBlock + 1,
         .hit_tokens = 0});
  }
  // Until nothing moves, with a reader that reads.
  void drain(Reader& reader) {
    bool more = true;
    while (more) {
      const bool at_once = recorder_.run_once() == model::HelperThread::kAtOnce;
      more = reader.read() || at_once;
    }
  }

  ManualClock clock_;
  TraceRecorder recorder_{&clock_, /*with_thread=*/false};
};

TEST_F(TraceRecorderTest, RecordsComeInTheOrderOfWhatHappened) {
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  clock_.advance(std::chrono::milliseconds(7));
  const auto hashes = chain_of(1, 3);
  match(hashes, 1);
  recorder_.wrote({.session = 3, .turn = 1, .uid = 1, .tenant = "acme"}, 2, hashes[5]);
  recorder_.ended({.session = 3, .turn = 1, .uid = 1, .tenant = "acme"}, 42);
  match(hashes, 2);
  drain(reader);
  const auto told = reader.records();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].kind(), TraceRecordKind::kRequest);
  EXPECT_EQ(told[0].head.time_us, 7000);
  EXPECT_EQ(told[0].head.session, told[2].head.session);
  EXPECT_EQ(told[0].head.turn, 1u);
  EXPECT_EQ(told[0].head.tokens, 25u);
  EXPECT_EQ(told[0].head.block_tokens, kBlockTokens);
  EXPECT_EQ(told[0].keys.size(), 3u);
  EXPECT_EQ(told[1].kind(), TraceRecordKind::kWritten);
  EXPECT_EQ(told[1].head.blocks, 2u);
  EXPECT_EQ(told[1].head.count, 0u);
  ASSERT_EQ(told[1].keys.size(), 1u);
  EXPECT_EQ(told[1].keys[0], told[0].keys[2]) << "one block, one key";
  EXPECT_EQ(told[2].kind(), TraceRecordKind::kTurnEnd);
  EXPECT_EQ(told[2].head.tokens, 42u);
  EXPECT_EQ(told[3].head.turn, 2u);
  EXPECT_EQ(told[3].keys, told[0].keys);
  EXPECT_EQ(told[3].head.conversation, told[0].head.conversation);
}

TEST_F(TraceRecorderTest, KeysAreOfTheRecordingAlone) {
  Reader one;
  Reader other;
  ASSERT_TRUE(start(one).ok());
  ASSERT_TRUE(start(other).ok());
  const auto hashes = chain_of(1, 3);
  match(hashes, 1);
  drain(one);
  drain(other);
  const Told first = one.records().at(0);
  const Told second = other.records().at(0);
  std::set<uint64_t> seen;
  for (const Told* told : {&first, &second}) {
    for (const uint64_t key : told->keys) EXPECT_TRUE(seen.insert(key).second);
    for (const uint64_t key : {told->head.session, told->head.tenant, told->head.conversation}) {
      EXPECT_TRUE(seen.insert(key).second);
    }
  }
  for (const model::Hash256& hash : hashes) EXPECT_FALSE(seen.contains(hash.word(1)));
}

TEST_F(TraceRecorderTest, LongPromptIsCutAndSaysByHowMuch) {
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  match(chain_of(1, model::kMaxTraceKeys + 10), 1);
  drain(reader);
  const Told told = reader.records().at(0);
  EXPECT_EQ(told.keys.size(), model::kMaxTraceKeys);
  EXPECT_EQ(told.head.blocks, 10u);
  EXPECT_EQ(told.head.tokens, (model::kMaxTraceKeys + 10) * kBlockTokens + 1);
}

TEST_F(TraceRecorderTest, BlocksBehindThePromptAreNotItsOwn) {
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  const auto hashes = chain_of(1, 4);  // the client hashed more than it asks for
  recorder_.matched({.chain = {hashes.data(), static_cast<uint32_t>(hashes.size())},
                     .units_per_block = kUnitsPerBlock,
                     .block_tokens = kBlockTokens,
                     .prompt_tokens = 2 * kBlockTokens + 3});
  drain(reader);
  EXPECT_EQ(reader.records().at(0).keys.size(), 2u);
}

TEST_F(TraceRecorderTest, WhatAReaderLeavesInThePipeIsLostCountedAndToldWhereItWas) {
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  const auto hashes = chain_of(1, 1000);
  constexpr uint32_t kRequests = 1000;  // some MiB: more than queue and pipe hold
  for (uint32_t turn = 1; turn <= kRequests; ++turn) {
    match(hashes, turn);
    recorder_.run_once();
  }
  drain(reader);
  match(hashes, kRequests + 1);
  recorder_.forget(&reader);
  drain(reader);
  const auto told = reader.records();
  uint64_t requests = 0;
  uint64_t lost = 0;
  uint32_t last_turn = 0;
  for (const Told& one : told) {
    if (one.kind() == TraceRecordKind::kLost) lost += one.head.count;
    if (one.kind() != TraceRecordKind::kRequest) continue;
    ++requests;
    EXPECT_EQ(one.head.turn, last_turn + 1 + (one.head.turn == kRequests + 1 ? lost : 0));
    last_turn = one.head.turn;
  }
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(requests + lost, kRequests + 1) << "each one is told, or counted";
  ASSERT_EQ(told.back().kind(), TraceRecordKind::kEnd);
  EXPECT_EQ(told.back().head.count, lost);
  EXPECT_TRUE(reader.at_end());
}

TEST_F(TraceRecorderTest, EndsWhenItsTimeIsOverWithAllThatCameBefore) {
  Reader reader;
  ASSERT_TRUE(start(reader, {}, 1'000'000).ok());
  match(chain_of(1, 2), 1);
  clock_.advance(std::chrono::milliseconds(2));
  drain(reader);
  const auto told = reader.records();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1].kind(), TraceRecordKind::kEnd);
  EXPECT_EQ(told[1].head.time_us, 2000);
  EXPECT_TRUE(reader.at_end());
  recorder_.reclaim();
  EXPECT_FALSE(recorder_.is_active());
}

TEST_F(TraceRecorderTest, ReaderThatIsGoneEndsItsRecordingAlone) {
  Reader gone;
  Reader other;
  ASSERT_TRUE(start(gone).ok());
  ASSERT_TRUE(start(other).ok());
  EXPECT_EQ(start(gone).code(), Errc::kBusy) << "two at a time";
  gone.close();
  recorder_.run_once();
  match(chain_of(1, 2), 1);
  drain(other);
  EXPECT_EQ(other.records().size(), 1u);
  Reader next;
  EXPECT_TRUE(start(next).ok()) << "its place is free";
  match(chain_of(2, 2), 2);
  drain(next);
  EXPECT_EQ(next.records().size(), 1u) << "nothing of the one before";
}

TEST_F(TraceRecorderTest, ReaderThatNeverReadsIsGivenUpSomeTimeAfterTheEnd) {
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  const auto hashes = chain_of(1, 8000);
  for (uint32_t turn = 1; turn <= 40; ++turn) {
    match(hashes, turn);
    recorder_.run_once();
  }
  recorder_.forget(&reader);
  recorder_.run_once();
  recorder_.reclaim();
  EXPECT_TRUE(recorder_.is_active()) << "it may still read what came";
  clock_.advance(std::chrono::nanoseconds(TraceRecorder::kDrainNs));
  recorder_.run_once();
  recorder_.reclaim();
  EXPECT_FALSE(recorder_.is_active());
}

TEST_F(TraceRecorderTest, FilterLeavesOutOtherUsersAndTenants) {
  Reader of_user;
  Reader of_tenant;
  ASSERT_TRUE(start(of_user, {.uid = 7, .tenant = {}}).ok());
  ASSERT_TRUE(start(of_tenant, {.uid = {}, .tenant = "a"}).ok());
  match(chain_of(1, 1), 1, 7, "a");
  match(chain_of(1, 1), 2, 7, "b");
  match(chain_of(1, 1), 3, 8, "a");
  recorder_.ended({.session = 3, .turn = 3, .uid = 8, .tenant = "a"}, 1);
  drain(of_user);
  drain(of_tenant);
  std::vector<uint32_t> turns;
  for (const Told& one : of_user.records()) turns.push_back(one.head.turn);
  EXPECT_EQ(turns, (std::vector<uint32_t>{1, 2}));
  turns.clear();
  for (const Told& one : of_tenant.records()) turns.push_back(one.head.turn);
  EXPECT_EQ(turns, (std::vector<uint32_t>{1, 3, 3}));
  EXPECT_NE(of_tenant.records()[0].head.tenant, of_tenant.records()[1].head.tenant)
      << "a name of another user is another tenant";
}

TEST_F(TraceRecorderTest, NobodyRecordsNothing) {
  EXPECT_FALSE(recorder_.is_active());
  match(chain_of(1, 2), 1);
  EXPECT_EQ(recorder_.run_once(), model::HelperThread::kUntilWoken);
  Reader reader;
  ASSERT_TRUE(start(reader).ok());
  EXPECT_TRUE(recorder_.is_active());
  drain(reader);
  EXPECT_TRUE(reader.records().empty());
}

}  // namespace
}  // namespace quire::server::trace_recorder_test
