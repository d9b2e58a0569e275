// Shares of RAM between domains: what one of them may cost the others.
#include "cache/eviction/segment_taker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/allocator/machine_limits.h"
#include "tests/cache/store_rig.h"
#include "tests/support/patience.h"

namespace quire::cache::segment_taker_test {
namespace {

using allocator::SegmentSupply;
using model::DomainId;
using model::NodeId;
using tests::Room;

constexpr uint64_t kSegmentBytes = 2 << 20;
constexpr uint32_t kSpansOfSegment = kSegmentBytes / 4096;

struct User {
  CacheSession session;
  DomainId domain;
  std::vector<NodeId> spans;
};

// Domains over a pool of a few segments, and the server's part of a retired segment's way.
class Domains {
 public:
  explicit Domains(uint32_t segments)
      : supply_({.budget_bytes = segments * kSegmentBytes,
                 .segment_bytes = kSegmentBytes,
                 .huge_pages = allocator::HugePages::kOff,
                 .population = allocator::Population::kLazy}),
        pool_(allocator::Pool::create(&supply_, 1 << 18).value()) {
    cache_ = tests::make_cache(*pool_, {.max_nodes = StoreRig::kMaxNodes});
  }
  ~Domains() {
    cache_->check_invariants();
    for (auto& user : users_) {
      if (user->session.root.valid()) cache_->close_session(user->session);
    }
  }

  SegmentTaker& taker() { return cache_->room().taker(); }
  tests::Inspector inspect() { return tests::Inspector(*cache_); }
  tests::Meddler meddle() { return tests::Meddler(*cache_); }
  Cache& cache() { return *cache_; }
  User& add_user() {
    auto user = std::make_unique<User>();
    user->domain = *cache_->add_domain("uid:" + std::to_string(users_.size() + 1));
    RootKey key;
    key.domain = user->domain;
    key.namespace_name = "model";
    key.layout = *cache_->layouts().add(rig_layout(false));
    QUIRE_CHECK(cache_->open_session(key, 1, user->session).ok());
    users_.push_back(std::move(user));
    return *users_.back();
  }
  const Root& root(const User& user) { return cache_->names().root(user.session.root); }
  uint64_t held(const User& user) {
    return inspect().usage(user.domain).segment_bytes / kSegmentBytes;
  }
  uint64_t evictions() { return inspect().counters().evictions; }

  // A turn of the core; clients unmap at once unless they were told not to.
  void turn() {
    if (taker().is_busy()) taker().step();
    for (RetiredFrom& from : taker().take_retired()) {
      unmapped_.push_back(std::move(from));
    }
    if (clients_answer) give_back_all();
    taker().settle();
  }
  void give_back_all() {
    for (RetiredFrom& from : unmapped_) {
      pool_->give_back(from.donor, std::move(from.retired.segment));
    }
    unmapped_.clear();
  }
  // One attempt to add a span below `parent`.
  Room try_add(User& user, NodeId parent) {
    const tests::NewObject span{.root = user.session.root,
                                .parent = parent,
                                .hash = StoreRig::key(next_key_),
                                .units = inspect().object(parent).units + 2};
    NodeId node;
    const Room room = tests::ObjectMaker(*cache_).make(span, node);
    if (room == Room::kHave) {
      user.spans.push_back(node);
      ++next_key_;
    }
    return room;
  }
  // Turns until there is an answer.
  Room add(User& user, NodeId parent) {
    const auto end = std::chrono::steady_clock::now() + tests::kPatience;
    Room room = Room::kPending;
    while (room == Room::kPending && std::chrono::steady_clock::now() < end) {
      room = try_add(user, parent);
      turn();
    }
    return room;
  }
  Room add(User& user) { return add(user, root(user).node); }
  // Spans that depend on nothing, in so many segments; used in another order than they lie in.
  void fill(User& user, uint32_t segments) {
    for (uint32_t i = 0; i < segments * kSpansOfSegment; ++i) QUIRE_CHECK(add(user) == Room::kHave);
    std::vector<NodeId> order = user.spans;
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (const NodeId span : order) meddle().use(span);
  }
  // Until no more comes.
  uint32_t add_pinned(User& user) {
    uint32_t added = 0;
    for (; add(user) == Room::kHave; ++added) meddle().pin(user.spans.back());
    return added;
  }
  void unpin_all(User& user) {
    for (const NodeId span : user.spans) {
      if (inspect().object(span).pins > 0) meddle().unpin(span);
    }
  }

  bool clients_answer = true;

 private:
  SegmentSupply supply_;
  std::unique_ptr<allocator::Pool> pool_;
  std::unique_ptr<Cache> cache_;
  std::vector<std::unique_ptr<User>> users_;
  std::vector<RetiredFrom> unmapped_;
  uint64_t next_key_ = 1;
};

}  // namespace

TEST(SegmentTaker, OneSpanOfAnotherDomainCostsTheObjectsOfOneSegment) {
  Domains domains(8);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 8);
  EXPECT_EQ(domains.add(second), Room::kHave);
  EXPECT_EQ(domains.evictions(), kSpansOfSegment);
  EXPECT_EQ(domains.held(first), 7u);
  EXPECT_EQ(domains.held(second), 1u);
}

// Six of eight segments: others have equal parts of what is left.
TEST(SegmentTaker, NobodyIsBroughtBelowWhatItsOwnersAreGuaranteed) {
  Domains domains(8);
  User& first = domains.add_user();
  User& second = domains.add_user();
  const ScopeName name{model::TierId::kRam, "uid:1", std::nullopt};
  const Quota quota{.guaranteed_bytes = 6 * kSegmentBytes};
  ASSERT_TRUE(domains.cache().rules().set_quota(name, quota).ok());
  domains.fill(first, 8);
  for (uint32_t i = 0; i < 4 * kSpansOfSegment; ++i) {
    ASSERT_EQ(domains.add(second), Room::kHave) << "then it makes room by its own";
  }
  EXPECT_EQ(domains.held(first), 7u) << "six, and one of the two that are left";
  EXPECT_EQ(domains.held(second), 1u);
}

// Below its share a user gets a segment of who is above, before what it pinned goes.
TEST(SegmentTaker, WhatIsPinnedByNameWaitsForASegmentThatComes) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 4);
  const NamespacePin pin{.name = {"uid:2", std::nullopt, "model"},
                         .budget_bytes = 4 * kSegmentBytes};
  ASSERT_TRUE(domains.cache().pins().set(pin).ok());
  for (uint32_t i = 0; i < 2 * kSpansOfSegment; ++i) {
    ASSERT_EQ(domains.add(second), Room::kHave) << i;
  }
  EXPECT_EQ(domains.held(second), 2u);
  for (const NodeId span : second.spans) EXPECT_TRUE(domains.inspect().in_ram(span));
  EXPECT_EQ(domains.add(second), Room::kHave) << "at its share it makes room by its own";
  EXPECT_EQ(domains.held(second), 2u);
}

TEST(SegmentTaker, WhatIsPinnedByNameWaitsForNoClientThatIsLate) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 4);
  const NamespacePin pin{.name = {"uid:2", std::nullopt, "model"},
                         .budget_bytes = 4 * kSegmentBytes};
  ASSERT_TRUE(domains.cache().pins().set(pin).ok());
  for (uint32_t i = 0; i < kSpansOfSegment; ++i) ASSERT_EQ(domains.add(second), Room::kHave);
  domains.clients_answer = false;
  for (uint32_t i = 0; i < 100; ++i) {
    ASSERT_EQ(domains.try_add(second, domains.root(second).node), Room::kPending)
        << "for the clients of the other one";
    domains.turn();
  }
  domains.taker().note_late(second.domain);
  EXPECT_EQ(domains.add(second), Room::kHave);
  EXPECT_EQ(domains.held(second), 1u);
  domains.give_back_all();
}

TEST(SegmentTaker, EmptiestSegmentIsTaken) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 4);
  constexpr uint32_t kLeft = 10;  // of the third segment
  for (uint32_t i = 2 * kSpansOfSegment; i < 3 * kSpansOfSegment - kLeft; ++i) {
    ASSERT_TRUE(domains.meddle().drop(first.spans[i]));
  }
  const uint64_t before = domains.evictions();
  EXPECT_EQ(domains.add(second), Room::kHave);
  EXPECT_EQ(domains.evictions() - before, kLeft);
}

TEST(SegmentTaker, PathsLoseWhatDependsOnTheSegmentAndNothingElse) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  constexpr uint32_t kPaths = 16;
  std::vector<NodeId> tips(kPaths, domains.root(first).node);
  for (uint32_t i = 0; i < 4 * kSpansOfSegment; ++i) {
    ASSERT_EQ(domains.add(first, tips[i % kPaths]), Room::kHave);
    tips[i % kPaths] = first.spans.back();
  }
  EXPECT_EQ(domains.add(second), Room::kHave);
  EXPECT_EQ(domains.evictions(), kSpansOfSegment) << "the ends lie in the last segment";
}

TEST(SegmentTaker, NothingIsEvictedWhereSomethingIsPinned) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 4);
  for (uint32_t i = 7; i < 4 * kSpansOfSegment; i += kSpansOfSegment) {
    domains.meddle().pin(first.spans[i]);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(domains.add(second), Room::kNone);
  EXPECT_EQ(domains.evictions(), 0u);
  domains.meddle().unpin(first.spans[7 + 2 * kSpansOfSegment]);
  EXPECT_EQ(domains.add(second), Room::kHave) << "it is asked again once something was let go";
  EXPECT_EQ(domains.evictions(), kSpansOfSegment);
  domains.unpin_all(first);
}

// Nothing may leave more than before; but no page of the segment is being written any more.
TEST(SegmentTaker, FillThatIsGivenUpLetsItsSegmentGo) {
  Domains domains(4);
  User& first = domains.add_user();
  User& second = domains.add_user();
  const Root& root = domains.root(first);
  std::vector<model::SlotId> written;
  for (int segment = 0; segment < 4; ++segment) {
    model::SlotId slot;
    do {  // a segment is made by another thread
      domains.turn();
    } while (domains.cache().room().reserve(
                 {.size_class = root.classes[0], .tenant = root.tenant, .after = {}}, slot) !=
             Room::kHave);
    written.push_back(slot);
    for (uint32_t i = 1; i < kSpansOfSegment; ++i) ASSERT_EQ(domains.add(first), Room::kHave);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(domains.add(second), Room::kNone);
  allocator::Pool& pool = domains.cache().store().pool();
  pool.free(written[2]);
  EXPECT_EQ(domains.add(second), Room::kHave);
  for (const int i : {0, 1, 3}) pool.free(written[i]);
}

TEST(SegmentTaker, WhatIsUnpinnedBehindTheLookIsLookedForAgain) {
  constexpr int kSegments = 4;
  Domains domains(kSegments);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, kSegments);
  for (uint32_t i = 7; i < kSegments * kSpansOfSegment; i += kSpansOfSegment) {
    domains.meddle().pin(first.spans[i]);
  }
  const auto ask = [&] { return domains.try_add(second, domains.root(second).node); };
  ASSERT_EQ(ask(), Room::kPending);
  int turns = 0;
  for (; domains.taker().is_busy(); ++turns) domains.turn();
  ASSERT_EQ(domains.add(second), Room::kNone);
  domains.meddle().pin(first.spans[0]);
  domains.meddle().unpin(first.spans[0]);  // so that it is worth another look
  ASSERT_EQ(ask(), Room::kPending);
  for (int i = 1; i < turns; ++i) domains.turn();  // the pin of each segment was seen
  domains.unpin_all(first);
  domains.turn();
  ASSERT_FALSE(domains.taker().is_busy()) << "it came to nothing";
  EXPECT_EQ(domains.add(second), Room::kHave);
}

TEST(SegmentTaker, NobodyIsBroughtBelowItsShare) {
  Domains domains(9);
  User& first = domains.add_user();
  User& second = domains.add_user();
  User& third = domains.add_user();
  domains.fill(first, 5);
  domains.fill(second, 4);
  EXPECT_EQ(domains.add_pinned(third), 3 * kSpansOfSegment);
  EXPECT_EQ(domains.held(first), 3u);
  EXPECT_EQ(domains.held(second), 3u);
  EXPECT_LE(domains.evictions(), 3 * kSpansOfSegment);
  domains.unpin_all(third);
}

TEST(SegmentTaker, LastSegmentOfADomainStaysWhileItHasSessions) {
  Domains domains(1);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 1);
  EXPECT_EQ(domains.add(second), Room::kNone);
  EXPECT_EQ(domains.evictions(), 0u);
  domains.cache().close_session(first.session);
  EXPECT_EQ(domains.add(second), Room::kHave);
  EXPECT_EQ(domains.held(first), 0u);
  EXPECT_EQ(domains.add(second), Room::kHave);
  first.session.root = {};
}

TEST(SegmentTaker, ClientThatDoesNotUnmapDelaysOnlyWhoAskedForIt) {
  Domains domains(8);
  User& slow = domains.add_user();
  User& other = domains.add_user();
  User& asker = domains.add_user();
  domains.fill(slow, 6);
  domains.fill(other, 2);
  domains.clients_answer = false;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(domains.try_add(asker, domains.root(asker).node), Room::kPending);
    domains.turn();
  }
  EXPECT_EQ(domains.held(slow), 5u) << "no more than what was asked for";
  EXPECT_EQ(domains.inspect().usage(slow.domain).retiring_bytes, kSegmentBytes);
  EXPECT_EQ(domains.try_add(other, domains.root(other).node), Room::kHave);
  for (uint32_t i = 0; i < kSpansOfSegment + 1; ++i) {
    ASSERT_EQ(domains.try_add(slow, domains.root(slow).node), Room::kHave) << i;
  }
  domains.clients_answer = true;
  EXPECT_EQ(domains.add(asker), Room::kHave);
  EXPECT_EQ(domains.inspect().usage(slow.domain).retiring_bytes, 0u);
}

TEST(SegmentTaker, WhatIsLateIsTakenFromAnotherDomain) {
  Domains domains(8);
  User& slow = domains.add_user();
  User& other = domains.add_user();
  User& asker = domains.add_user();
  domains.fill(slow, 5);
  domains.fill(other, 3);
  domains.clients_answer = false;
  while (domains.held(slow) == 5) {
    EXPECT_EQ(domains.try_add(asker, domains.root(asker).node), Room::kPending);
    domains.turn();
  }
  domains.taker().note_late(asker.domain);
  while (domains.held(other) == 3) {
    EXPECT_EQ(domains.try_add(asker, domains.root(asker).node), Room::kPending);
    domains.turn();
  }
  EXPECT_EQ(domains.held(slow), 4u);
  domains.clients_answer = true;
  EXPECT_EQ(domains.add(asker), Room::kHave);
}

// The donor, which writes on, would take back what it gave.
TEST(SegmentTaker, WhatComesGoesToWhoAskedForIt) {
  Domains domains(4);
  User& donor = domains.add_user();
  User& asker = domains.add_user();
  domains.fill(donor, 4);
  while (domains.held(donor) == 4) {
    domains.try_add(asker, domains.root(asker).node);
    domains.turn();
  }
  for (int i = 0; i < 100'000 && domains.held(asker) == 0; ++i) {
    ASSERT_EQ(domains.try_add(donor, domains.root(donor).node), Room::kHave);
    ASSERT_EQ(domains.held(donor), 3u);
    domains.turn();
  }
  EXPECT_EQ(domains.held(asker), 1u) << "although it did not ask again";
}

TEST(SegmentTaker, WhereNoneCanBeMadeNoneIsTaken) {
  Domains domains(8);
  User& first = domains.add_user();
  User& second = domains.add_user();
  domains.fill(first, 8);
  {
    const allocator::NoFileSizes none;  // what is given back is not made again
    while (!domains.inspect().supply().has_failed()) {
      EXPECT_EQ(domains.try_add(second, domains.root(second).node), Room::kPending);
      domains.turn();
    }
    for (int i = 0; i < 1000; ++i) {
      EXPECT_NE(domains.try_add(second, domains.root(second).node), Room::kHave);
      domains.turn();
    }
  }
  EXPECT_EQ(domains.held(first), 7u);
  EXPECT_LE(domains.evictions(), kSpansOfSegment);
}

}  // namespace quire::cache::segment_taker_test
