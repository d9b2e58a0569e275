#include "server/sessions/session_queue.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "tests/support/inspector.h"
#include "tests/support/manual_clock.h"
#include "tests/support/object_maker.h"

namespace quire::server::session_queue_test {
namespace {

using model::Errc;

constexpr uint32_t kUid = 4001;
constexpr uint64_t kSegmentBytes = 4 << 20;  // all there is: the share of one domain

class Process final : public ClientProcess {
 public:
  uint32_t uid() const override { return kUid; }
  bool ended() const override { return false; }
  void tell(model::FrameType, std::string_view) override {}
};

class SessionQueueTest : public testing::Test {
 protected:
  SessionQueueTest() { process_.domain = other_.domain = cache_->add_domain("uid:4001").value(); }
  ~SessionQueueTest() override {
    all_ = {};
    queue_.reset();
    EXPECT_EQ(shares_.used(Shared::kSessions), 0u);
    EXPECT_EQ(cache_->names().tenants().count(), 0u) << "who pays is held for nobody";
    cache_->check_invariants();
  }

  model::Result<AdmissionAnswer> ask(uint64_t bytes, uint32_t wait_ms = 60'000) {
    return queue_->ask(process_, {.payer = "acme", .bytes = bytes, .wait_ms = wait_ms});
  }
  cache::TicketId queued() {
    if (!all_.reservation.valid()) all_ = ask(kSegmentBytes).value();
    return ask(1).value().ticket;
  }
  size_t waiting() { return cache_->reservations().queued_count(process_.domain); }
  void pass(std::chrono::milliseconds time) {
    clock_.advance(time);
    queue_->step();
  }

  allocator::SegmentSupply supply_{{.budget_bytes = kSegmentBytes,
                                    .segment_bytes = kSegmentBytes,
                                    .huge_pages = allocator::HugePages::kOff,
                                    .population = allocator::Population::kLazy}};
  std::unique_ptr<allocator::Pool> pool_ = allocator::Pool::create(&supply_, 1 << 12).value();
  std::unique_ptr<cache::Cache> cache_ = tests::make_cache(*pool_);
  tests::ManualClock clock_;
  UidShares shares_{{160, 4, 1 << 30, 1000, 512}, 75};  // three sessions of one uid
  std::optional<SessionQueue> queue_{
      SessionQueue::Parts{.cache = cache_.get(), .shares = &shares_, .clock = &clock_}};
  Process process_;
  Process other_;
  AdmissionAnswer all_;
};

TEST_F(SessionQueueTest, ATicketIsTheConnectionsOwn) {
  const cache::TicketId ticket = queued();
  EXPECT_EQ(queue_->ask_again(other_, ticket, "acme").code(), Errc::kNotFound);
  EXPECT_EQ(queue_->ask_again(process_, ticket + 1, "acme").code(), Errc::kNotFound);
  queue_->leave(other_, ticket);
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme")->place.position, 1u);
  queue_->forget(process_);
  EXPECT_EQ(waiting(), 0u);
}

// It would be paid for by one tenant and reserved for another, whose id may be a stranger's by
// then.
TEST_F(SessionQueueTest, ATicketIsItsTenantsAlone) {
  const cache::TicketId ticket = queued();
  EXPECT_EQ(queue_->ask_again(process_, ticket, "other").code(), Errc::kInvalidArgument);
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme")->place.position, 1u) << "it stays";
}

TEST_F(SessionQueueTest, OneWhoseTimeIsOverStandsInNobodysWay) {
  all_ = ask(kSegmentBytes).value();
  const cache::TicketId late = ask(kSegmentBytes, 500)->ticket;
  const cache::TicketId next = ask(1)->ticket;
  pass(std::chrono::seconds(1));
  EXPECT_EQ(queue_->ask_again(process_, next, "acme")->place.position, 1u);
  EXPECT_EQ(queue_->ask_again(process_, late, "acme").code(), Errc::kDeadlineExceeded);
}

// Law 15.
TEST_F(SessionQueueTest, ItWaitsAsLongAsItWants) {
  all_ = ask(kSegmentBytes).value();
  EXPECT_EQ(ask(1, 0).code(), Errc::kResourceExhausted);
  const cache::TicketId ticket = ask(1, 500)->ticket;
  pass(std::chrono::milliseconds(499));
  EXPECT_FALSE(queue_->ask_again(process_, ticket, "acme")->reservation.valid());
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme").code(), Errc::kDeadlineExceeded);
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme").code(), Errc::kNotFound);
}

TEST_F(SessionQueueTest, WhatNobodyAsksForIsGivenUp) {
  const cache::TicketId asked = queued();
  queued();
  for (int second = 0; second < 11; ++second) {
    pass(std::chrono::seconds(1));
    ASSERT_TRUE(queue_->ask_again(process_, asked, "acme").ok());
  }
  EXPECT_EQ(waiting(), 1u);
  EXPECT_EQ(shares_.used(Shared::kSessions), 1u);
}

// Its turn came, and nobody noticed: others have it again.
TEST_F(SessionQueueTest, WhatIsGrantedAndNotFetchedComesFree) {
  const cache::TicketId ticket = queued();
  all_ = {};
  queue_->step();
  EXPECT_EQ(waiting(), 0u);
  EXPECT_EQ(cache_->reservations().admitted_bytes(process_.domain), 1u);
  pass(std::chrono::seconds(11));
  EXPECT_EQ(cache_->reservations().admitted_bytes(process_.domain), 0u);
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme").code(), Errc::kNotFound);
}

TEST_F(SessionQueueTest, WhatIsGrantedIsFetchedOnceAlsoWhenItsTimeIsOver) {
  all_ = ask(kSegmentBytes).value();
  const cache::TicketId ticket = ask(1, 500)->ticket;
  all_ = {};
  pass(std::chrono::seconds(2));
  {
    const auto got = queue_->ask_again(process_, ticket, "acme");
    EXPECT_EQ(got->reservation.bytes(), 1u);
    EXPECT_EQ(cache_->names().tenants().name_of(got->payer.tenant()), "acme");
  }
  EXPECT_EQ(queue_->ask_again(process_, ticket, "acme").code(), Errc::kNotFound);
}

// Law 10: each is a session of its uid.
TEST_F(SessionQueueTest, TicketsAreBoundedByTheUidsShare) {
  for (int i = 0; i < 3; ++i) queued();
  EXPECT_EQ(ask(1).code(), Errc::kBusy);
  EXPECT_EQ(waiting(), 3u);
}

}  // namespace
}  // namespace quire::server::session_queue_test
