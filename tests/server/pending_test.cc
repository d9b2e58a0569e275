// The table of requests that wait, alone and against a plain model of it.
#include "server/rings/pending.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>

namespace quire::server::pending_test {
namespace {

using model::DomainId;
using model::FillId;
using model::Verb;

constexpr uint32_t kMaxRecords = 256;

// Attachments are not looked into: numbers stand for them.
Attachment* attachment(size_t number) { return reinterpret_cast<Attachment*>(number + 1); }

struct Ring {
  PendingLists lists;
  size_t number = 0;
};

class PendingTableTest : public testing::Test {
 protected:
  static PendingRequest request(const Ring& ring, Verb verb, uint64_t user_data,
                                int64_t deadline = kNoDeadline) {
    PendingRequest made{.attachment = attachment(ring.number),
                        .domain = DomainId{static_cast<uint16_t>(ring.number % 2)},
                        .deadline_ns = deadline,
                        .submission = {}};
    made.submission.verb = static_cast<uint16_t>(verb);
    made.submission.user_data = user_data;
    return made;
  }
  PendingId add(Ring& ring, Verb verb, const Wait& wait, int64_t deadline = kNoDeadline) {
    return table_.add(ring.lists, request(ring, verb, ++last_, deadline), wait);
  }
  bool is_ready(const Ring& ring, Verb verb) const {
    return (ring.lists.ready_verbs >> static_cast<uint32_t>(verb) & 1) != 0;
  }
  PendingId take(Ring& ring, Verb verb) {
    return table_.take_ready(ring.lists, static_cast<uint16_t>(verb));
  }

  PendingTable table_ = PendingTable::create(kMaxRecords).value();
  Ring ring_;
  uint64_t last_ = 0;
};

constexpr Wait kForTurn{WaitsFor::kTurn, {}};
constexpr Wait kForJob{WaitsFor::kCopyJob, {}};
constexpr Wait kForCopy{WaitsFor::kCopy, {}};
constexpr FillId kFill{7};
constexpr Wait kForMemory{WaitsFor::kMemory, kFill};

TEST_F(PendingTableTest, OthersOfItsVerbStandBehindTheFirstAndOtherVerbsDoNot) {
  const PendingId first = add(ring_, Verb::kBeginFill, kForMemory);
  const PendingId second = add(ring_, Verb::kBeginFill, kForMemory);
  const PendingId load = add(ring_, Verb::kLoad, kForTurn);
  EXPECT_EQ(table_.waits(second).what, WaitsFor::kBehind);
  EXPECT_FALSE(is_ready(ring_, Verb::kBeginFill));
  EXPECT_TRUE(is_ready(ring_, Verb::kLoad));
  EXPECT_EQ(take(ring_, Verb::kLoad), load);
  EXPECT_EQ(table_.end(first).submission.user_data, 1u);
  EXPECT_EQ(table_.waits(second).what, WaitsFor::kTurn);
  EXPECT_TRUE(is_ready(ring_, Verb::kBeginFill));
  EXPECT_EQ(take(ring_, Verb::kBeginFill), second);
  table_.check_invariants(ring_.lists);
}

// Loads: those behind go on at once, and its tier keeps its deadline.
TEST_F(PendingTableTest, WhatATierBringsHoldsUpNothingAndIsLateElsewhere) {
  const PendingId first = add(ring_, Verb::kLoad, kForJob, 100);
  const PendingId second = add(ring_, Verb::kLoad, kForTurn, 100);
  table_.wait(first, {WaitsFor::kTier, {}});
  EXPECT_TRUE(table_.is_under_way(first));
  EXPECT_EQ(table_.waits(second).what, WaitsFor::kTurn) << "the first of its verb now";
  EXPECT_FALSE(table_.due(1'000).valid());
  table_.wait(first, {WaitsFor::kCheck, {}});
  EXPECT_TRUE(table_.is_under_way(first));
  EXPECT_EQ(table_.count(WaitsFor::kTier), 0u);
  EXPECT_EQ(take(ring_, Verb::kLoad), second);
  table_.end(second);
  table_.check_invariants(ring_.lists);
  table_.detach(first);  // workers read its pages still
  EXPECT_FALSE(table_.first_of(ring_.lists).valid());
  EXPECT_EQ(table_.end(first).attachment, nullptr);
  EXPECT_EQ(table_.count(), 0u);
}

TEST_F(PendingTableTest, EventFindsThoseThatItIsForInOrder) {
  Ring other{.number = 2};
  const PendingId first = add(ring_, Verb::kBeginFill, kForMemory);
  const PendingId second = add(other, Verb::kBeginFill, kForMemory);
  EXPECT_EQ(table_.first_for(kFill), first);
  EXPECT_FALSE(table_.first_for(FillId{uint64_t{1} << 32 | 7}).valid()) << "an older fill's";
  table_.end(first);
  EXPECT_EQ(table_.first_for(kFill), second);
  table_.end(second);
  EXPECT_FALSE(table_.first_for(kFill).valid());
}

TEST_F(PendingTableTest, WhoGetsNoJobKeepsItsPlaceAndItsDomainsOnly) {
  Ring mine{.number = 2};
  Ring stranger{.number = 1};
  const PendingId first = add(ring_, Verb::kCommit, kForJob);
  add(mine, Verb::kCommit, kForJob);
  const PendingId foreign = add(stranger, Verb::kCommit, kForJob);
  table_.make_ready(first);
  EXPECT_EQ(take(ring_, Verb::kCommit), first);
  table_.wait(first, kForJob);
  EXPECT_EQ(table_.first_for_copy_job(DomainId{0}), first);
  EXPECT_EQ(table_.first_for_copy_job(DomainId{1}), foreign);
}

TEST_F(PendingTableTest, WhatIsUnderWayHoldsUpNobody) {
  const PendingId copied = add(ring_, Verb::kCommit, kForJob);
  const PendingId next = add(ring_, Verb::kCommit, kForJob);
  table_.wait(copied, kForCopy);
  EXPECT_EQ(take(ring_, Verb::kCommit), next);
  const PendingId third = add(ring_, Verb::kCommit, kForCopy);
  EXPECT_EQ(table_.waits(third).what, WaitsFor::kCopy) << "it is not behind the second";
  table_.wait(copied, {WaitsFor::kParent, kFill});
  EXPECT_EQ(table_.first_for(kFill), copied);
  table_.check_invariants(ring_.lists);
}

TEST_F(PendingTableTest, DeadlinesOfAllKindsStandInOneOrder) {
  const PendingId memory = add(ring_, Verb::kBeginFill, kForMemory, 30);
  const PendingId behind = add(ring_, Verb::kBeginFill, kForMemory, 10);
  const PendingId commit = add(ring_, Verb::kCommit, kForCopy, 5);
  EXPECT_EQ(table_.next_deadline_ns(), 10) << "a copy ends by itself";
  table_.wait(commit, {WaitsFor::kParent, FillId{9}});
  EXPECT_EQ(table_.next_deadline_ns(), 5);
  EXPECT_FALSE(table_.due(4).valid());
  EXPECT_EQ(table_.due(5), commit);
  table_.end(commit);
  EXPECT_EQ(table_.due(30), behind);
  table_.end(behind);
  EXPECT_EQ(table_.due(30), memory);
  table_.drop_deadline(memory);
  EXPECT_EQ(table_.next_deadline_ns(), kNoDeadline);
}

TEST_F(PendingTableTest, ASearchEndsAtTheEarlierOfTwoTimes) {
  const PendingId match = add(ring_, Verb::kMatch, {WaitsFor::kSearch, {}, 20}, 30);
  EXPECT_EQ(table_.next_deadline_ns(), 20);
  const PendingId behind = add(ring_, Verb::kMatch, {WaitsFor::kSearch, {}, 10}, 40);
  EXPECT_EQ(table_.waits(behind).what, WaitsFor::kBehind);
  EXPECT_EQ(table_.due(20), match);
  table_.drop_deadline(match);
  EXPECT_EQ(table_.next_deadline_ns(), 40) << "who is behind asks in its own turn";
  table_.check_invariants(ring_.lists);
  table_.end(match);
  table_.wait(behind, {WaitsFor::kSearch, {}, 60});
  EXPECT_EQ(table_.next_deadline_ns(), 40) << "its own deadline";
  table_.check_invariants(ring_.lists);
}

TEST_F(PendingTableTest, WhatIsUnderWayOutlivesItsAttachment) {
  {
    Ring ending{.number = 4};
    const PendingId commit = add(ending, Verb::kCommit, {WaitsFor::kParent, kFill}, 10);
    table_.detach(commit);
    EXPECT_FALSE(table_.first_of(ending.lists).valid());
  }
  EXPECT_EQ(table_.due(10), table_.first_for(kFill)) << "its deadline stays";
  EXPECT_EQ(table_.end(table_.first_for(kFill)).attachment, nullptr);
  EXPECT_EQ(table_.count(), 0u);
}

TEST_F(PendingTableTest, Law10_DomainKeepsNoMoreThanItLeavesFree) {
  uint32_t kept = 0;
  for (; table_.has_room(DomainId{0}); ++kept) add(ring_, Verb::kLoad, kForTurn);
  EXPECT_EQ(kept, kMaxRecords / 4);
  EXPECT_TRUE(table_.has_room(DomainId{1}));
  for (; !table_.is_full(); ++kept) add(ring_, Verb::kRelease, kForTurn);
  EXPECT_EQ(kept, kMaxRecords) << "what cannot be refused has room beyond";
}

TEST_F(PendingTableTest, AnEndedOneIsNotFoundByItsOldName) {
  const PendingId first = add(ring_, Verb::kLoad, kForTurn);
  table_.end(first);
  const PendingId second = add(ring_, Verb::kLoad, kForTurn);
  EXPECT_FALSE(table_.is_live(first));
  EXPECT_TRUE(table_.is_live(second));
  EXPECT_EQ(static_cast<uint32_t>(first.value), static_cast<uint32_t>(second.value));
  EXPECT_DEATH(table_.end(first), "check failed");
}

// What a test would keep in their place: queues of user_data.
struct Model {
  struct One {
    size_t ring = 0;
    uint16_t verb = 0;
    int64_t deadline = kNoDeadline;
    Wait wait;
    PendingId id;
  };
  std::map<uint64_t, One> open;  // by user_data, which grows: in order of arrival
  std::map<uint64_t, uint32_t> ends;

  uint64_t head(size_t ring, uint16_t verb) const {
    for (const auto& [user_data, one] : open) {
      if (one.ring == ring && one.verb == verb && !is_under_way(one)) return user_data;
    }
    return 0;
  }
  static bool is_under_way(const One& one) {
    return one.wait.what == WaitsFor::kCopy || one.wait.what == WaitsFor::kParent;
  }
};

class PendingModelTest : public PendingTableTest {
 protected:
  static constexpr size_t kRings = 6;
  PendingModelTest() {
    for (size_t i = 0; i < kRings; ++i) rings_[i].number = i;
  }
  Wait some_wait() {
    constexpr std::array kKinds{WaitsFor::kTurn, WaitsFor::kMemory, WaitsFor::kCopyJob};
    const WaitsFor what = kKinds[random_() % kKinds.size()];
    return {what, what == WaitsFor::kMemory ? FillId{random_() % 8} : FillId{}};
  }
  void add_one() {
    if (table_.is_full()) return;
    Ring& ring = rings_[random_() % kRings];
    const auto verb = static_cast<Verb>(random_() % 5 + 2);
    const bool copy = verb == Verb::kCommit && random_() % 2 == 0;
    const Wait wait = copy ? kForCopy : some_wait();
    const int64_t deadline = random_() % 4 == 0 ? kNoDeadline : now_ + int64_t(random_() % 100);
    const bool behind = !copy && model_.head(ring.number, static_cast<uint16_t>(verb)) != 0;
    const PendingId id = add(ring, verb, wait, deadline);
    model_.open[last_] = {.ring = ring.number,
                          .verb = static_cast<uint16_t>(verb),
                          .deadline = deadline,
                          .wait = behind ? Wait{WaitsFor::kBehind, {}} : wait,
                          .id = id};
  }
  // It was answered: once, and the next of its verb has its turn.
  void ended(const PendingRequest& request) {
    const uint64_t user_data = request.submission.user_data;
    ++model_.ends[user_data];
    const auto found = model_.open.find(user_data);
    ASSERT_NE(found, model_.open.end()) << "it ended twice";
    const Model::One one = found->second;
    model_.open.erase(found);
    promote(one);
  }
  void promote(const Model::One& gone) {
    if (Model::is_under_way(gone)) return;
    const uint64_t next = model_.head(gone.ring, gone.verb);
    if (next == 0 || model_.open[next].wait.what != WaitsFor::kBehind) return;
    model_.open[next].wait = kForTurn;
    EXPECT_TRUE(is_ready(rings_[gone.ring], static_cast<Verb>(gone.verb)));
  }
  // A ready one is answered, starts its copy, or waits on.
  void run_one() {
    Ring& ring = rings_[random_() % kRings];
    for (uint16_t verb = 0; verb < model::kVerbCount; ++verb) {
      if (!is_ready(ring, static_cast<Verb>(verb))) continue;
      const PendingId id = take(ring, static_cast<Verb>(verb));
      const uint64_t user_data = table_.request(id).submission.user_data;
      ASSERT_EQ(user_data, model_.head(ring.number, verb)) << "in order";
      if (random_() % 3 == 0) return ended(table_.end(id));
      Model::One& one = model_.open[user_data];
      const Model::One before = one;
      const bool starts = verb == static_cast<uint16_t>(Verb::kCommit) && random_() % 2 == 0;
      one.wait = starts ? kForCopy : some_wait();
      table_.wait(id, one.wait);
      if (starts) promote(before);
      return;
    }
  }
  void event() {
    const FillId fill{random_() % 8};
    if (const PendingId id = table_.first_for(fill); id.valid()) {
      if (table_.waits(id).what == WaitsFor::kMemory) return table_.make_ready(id);
      return ended(table_.end(id));  // its parent came
    }
    const PendingId id = table_.first_for_copy_job(DomainId{static_cast<uint16_t>(random_() % 2)});
    if (id.valid()) table_.make_ready(id);
  }
  // A copy ends: visible, or the parent is still being written.
  void finish_copy() {
    for (auto& [user_data, one] : model_.open) {
      if (one.wait.what != WaitsFor::kCopy) continue;
      if (random_() % 2 == 0) return ended(table_.end(one.id));
      one.wait = {WaitsFor::kParent, FillId{100 + user_data % 1000}};
      return table_.wait(one.id, one.wait);
    }
  }
  void expire() {
    now_ += random_() % 20;
    for (PendingId id = table_.due(now_); id.valid(); id = table_.due(now_)) {
      EXPECT_LE(table_.request(id).deadline_ns, now_);
      ended(table_.end(id));
    }
    for (const auto& [user_data, one] : model_.open) {
      const bool kept = one.wait.what != WaitsFor::kTurn && one.wait.what != WaitsFor::kCopy;
      EXPECT_FALSE(kept && one.deadline <= now_) << user_data;
    }
  }
  void die() {
    Ring& ring = rings_[random_() % kRings];
    for (PendingId id = table_.first_of(ring.lists); id.valid(); id = table_.first_of(ring.lists)) {
      Model::One& one = model_.open.at(table_.request(id).submission.user_data);
      if (!Model::is_under_way(one)) {
        ended(table_.end(id));
        continue;
      }
      table_.detach(id);
      EXPECT_EQ(table_.request(id).attachment, nullptr);
      one.ring = kRings;  // nobody's
    }
  }
  void check() {
    ASSERT_EQ(table_.count(), model_.open.size());
    for (Ring& ring : rings_) table_.check_invariants(ring.lists);
    std::array<uint32_t, kWaitKinds> counted{};
    for (const auto& [user_data, one] : model_.open) {
      ASSERT_EQ(table_.waits(one.id).what, one.wait.what) << user_data;
      ++counted[static_cast<size_t>(one.wait.what)];
    }
    for (size_t kind = 0; kind < kWaitKinds; ++kind) {
      EXPECT_EQ(table_.count(static_cast<WaitsFor>(kind)), counted[kind]);
    }
  }

  std::array<Ring, kRings> rings_;
  Model model_;
  std::mt19937 random_{11};
  int64_t now_ = 0;
};

TEST_F(PendingModelTest, EachEndsExactlyOnceWhateverHappens) {
  for (int step = 0; step < 60000 && !HasFatalFailure(); ++step) {
    switch (random_() % 16) {
      case 0:
        expire();
        break;
      case 1:
        if (random_() % 8 == 0) die();
        break;
      case 2:
      case 3:
        finish_copy();
        break;
      case 4:
      case 5:
      case 6:
        event();
        break;
      case 7:
      case 8:
      case 9:
      case 10:
        run_one();
        break;
      default:
        add_one();
    }
    if (step % 50 == 0) check();
  }
  EXPECT_GT(model_.ends.size(), 10000u);
  for (const auto& [user_data, count] : model_.ends) EXPECT_EQ(count, 1u) << user_data;
}

}  // namespace
}  // namespace quire::server::pending_test
