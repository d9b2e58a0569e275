#include "tiering/io/flight_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <vector>

namespace quire::tiering::flight_table_test {
namespace {

using Verdict = FlightTable::Verdict;

IoOp read_of(uint64_t bytes) { return {.kind = IoKind::kRead, .bytes = bytes}; }

TEST(FlightTable, WholeTransferIsSuccess) {
  FlightTable table(4);
  IoOp op = read_of(8192);
  const uint64_t id = table.add(&op);
  EXPECT_EQ(table.size(), 1u);
  const FlightTable::Outcome outcome = table.complete(id, 8192);
  EXPECT_EQ(outcome.verdict, Verdict::kDone);
  EXPECT_EQ(outcome.op, &op);
  EXPECT_EQ(op.error, 0);
  EXPECT_EQ(op.transferred, 8192u);
  EXPECT_EQ(table.size(), 0u);
}

TEST(FlightTable, FewerOrMoreBytesAreNoSuccess) {
  FlightTable table(4);
  IoOp op = read_of(8192);
  for (const int64_t result : {0, 1, 4096, 8191, 8193}) {
    EXPECT_EQ(table.complete(table.add(&op), result).verdict, Verdict::kDone);
    EXPECT_EQ(op.error, ENODATA) << result;
    EXPECT_EQ(op.transferred, std::min<uint64_t>(static_cast<uint64_t>(result), 8192));
  }
}

TEST(FlightTable, SyncAndAllocateTransferNothing) {
  FlightTable table(4);
  IoOp op = {.kind = IoKind::kAllocate, .bytes = 8192};
  EXPECT_EQ(table.complete(table.add(&op), 0).verdict, Verdict::kDone);
  EXPECT_EQ(op.error, 0);
  EXPECT_EQ(op.transferred, 0u);
}

TEST(FlightTable, CompletionOfAnEarlierOperationIsStale) {
  FlightTable table(1);
  IoOp first = read_of(4096);
  IoOp second = read_of(4096);
  const uint64_t first_id = table.add(&first);
  EXPECT_EQ(table.complete(first_id, -EIO).verdict, Verdict::kDone);
  EXPECT_EQ(table.complete(first_id, 4096).verdict, Verdict::kStale) << "twice";
  EXPECT_EQ(first.error, EIO);

  const uint64_t second_id = table.add(&second);
  ASSERT_NE(first_id, second_id) << "the same place, another operation";
  EXPECT_EQ(table.complete(first_id, 4096).verdict, Verdict::kStale);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.complete(second_id, 4096).op, &second);
  EXPECT_EQ(table.stale_count(), 2u);
}

TEST(FlightTable, IdsItNeverGaveAreStale) {
  FlightTable table(2);
  IoOp op = read_of(4096);
  const uint64_t id = table.add(&op);
  const std::array<uint64_t, 5> strange = {0, id + 1, id + (1ull << 32), UINT64_MAX, id | 2};
  for (const uint64_t other : strange) {
    EXPECT_EQ(table.complete(other, 4096).verdict, Verdict::kStale);
  }
  EXPECT_EQ(table.stale_count(), strange.size());
  EXPECT_EQ(table.size(), 1u);
}

TEST(FlightTable, PassingErrorsAskForAnotherAttemptSoManyTimes) {
  FlightTable table(1);
  IoOp op = read_of(4096);
  std::set<uint64_t> ids = {table.add(&op)};
  uint64_t id = *ids.begin();
  for (uint32_t i = 0; i < FlightTable::kMaxRetries; ++i) {
    const FlightTable::Outcome again = table.complete(id, i % 2 == 0 ? -EAGAIN : -EINTR);
    ASSERT_EQ(again.verdict, Verdict::kRetry);
    EXPECT_EQ(again.op, &op);
    EXPECT_TRUE(ids.insert(again.id).second) << "an attempt's id is its own";
    id = again.id;
  }
  EXPECT_EQ(table.complete(id, -EAGAIN).verdict, Verdict::kDone);
  EXPECT_EQ(op.error, EAGAIN);
  EXPECT_EQ(table.complete(table.add(&op), -EAGAIN).verdict, Verdict::kRetry) << "counts anew";
}

// A ring that returns any result, in any order, some of them twice.
RC_GTEST_PROP(FlightTable, AnyCompletionsEndEachOperationOnce, ()) {
  constexpr uint32_t kPlaces = 8;
  FlightTable table(kPlaces);
  std::array<IoOp, kPlaces> ops;
  std::map<uint64_t, IoOp*> outstanding;  // attempts, by id
  std::set<IoOp*> idle;
  std::vector<uint64_t> used;
  for (IoOp& op : ops) idle.insert(&op);
  uint64_t stale = 0;
  const auto steps = *rc::gen::container<std::vector<uint32_t>>(rc::gen::arbitrary<uint32_t>());
  for (const uint32_t step : steps) {
    if (step % 3 == 0 && !idle.empty()) {
      IoOp* op = *idle.begin();
      *op = read_of(4096);
      RC_ASSERT(outstanding.emplace(table.add(op), op).second);
      idle.erase(op);
    } else if (step % 3 == 1 && !outstanding.empty()) {
      auto at = outstanding.begin();
      std::advance(at, (step >> 8) % outstanding.size());
      const auto [id, op] = *at;
      outstanding.erase(at);
      used.push_back(id);
      const int64_t result =
          std::array<int64_t, 6>{4096, 512, 0, -EIO, -EAGAIN, -ECANCELED}[(step >> 2) % 6];
      const FlightTable::Outcome outcome = table.complete(id, result);
      RC_ASSERT(outcome.op == op);
      if (outcome.verdict == Verdict::kRetry) {
        RC_ASSERT(result == -EAGAIN);
        RC_ASSERT(outstanding.emplace(outcome.id, op).second);
      } else {
        RC_ASSERT((op->error == 0) == (result == 4096));
        idle.insert(op);
      }
    } else if (!used.empty()) {
      ++stale;
      RC_ASSERT(table.complete(used[(step >> 8) % used.size()], 4096).verdict == Verdict::kStale);
    }
    RC_ASSERT(table.size() == outstanding.size());
    RC_ASSERT(table.full() == idle.empty());
    RC_ASSERT(table.stale_count() == stale);
  }
}

}  // namespace
}  // namespace quire::tiering::flight_table_test
