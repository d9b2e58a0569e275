// Sessions that reserve RAM: admitted, queued or refused, by a real daemon to the real library.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/patience.h"
#include "tests/support/small_layout.h"
#include "tests/support/test_daemon.h"
#include "tests/support/writer.h"

namespace quire::tests::reservation_test {
namespace {

using model::Errc;

constexpr model::DomainId kUser{0};

class ReservationTest : public testing::Test {
 protected:
  client::SessionOptions options(uint64_t reserve_bytes, uint32_t wait_ms = kPatienceMs,
                                 const std::string& tenant = "") {
    client::SessionOptions options = session_options(small_append_layout(), "model", tenant);
    options.reserve_bytes = reserve_bytes;
    options.admission_wait_ms = wait_ms;
    return options;
  }
  std::unique_ptr<client::Session> open(uint64_t reserve_bytes) {
    return open_session(*client_, options(reserve_bytes));
  }
  std::unique_ptr<client::SessionTicket> request(uint64_t reserve_bytes,
                                                 const std::string& tenant = "") {
    auto ticket = client_->request_session(options(reserve_bytes, kPatienceMs, tenant));
    EXPECT_TRUE(ticket.ok());
    return ticket.ok() ? std::move(ticket).value() : nullptr;
  }
  std::unique_ptr<client::Session> until_admitted(client::SessionTicket& ticket) {
    for (int i = 0; i < 1000; ++i) {
      auto session = ticket.poll(100);
      EXPECT_TRUE(session.ok());
      if (!session.ok() || *session) return session.ok() ? std::move(*session) : nullptr;
    }
    return nullptr;
  }
  uint64_t figure(uint64_t (cache::Reservations::*of)(model::DomainId) const) {
    uint64_t value = 0;
    daemon_.on_core([&](server::Daemon& d) { value = (d.cache().reservations().*of)(kUser); });
    return value;
  }
  uint64_t admitted() { return figure(&cache::Reservations::admitted_bytes); }
  uint64_t unspent() { return figure(&cache::Reservations::unspent_bytes); }
  uint64_t share() {
    uint64_t bytes = 0;
    daemon_.on_core(
        [&](server::Daemon& d) { bytes = d.cache().room().taker().share_bytes(kUser); });
    return bytes;
  }

  TestDaemon daemon_;
  std::unique_ptr<client::Client> client_ = daemon_.connect();
};

TEST_F(ReservationTest, IsHeldWhileItsSessionIsOpen) {
  auto session = open(1 << 20);
  EXPECT_EQ(admitted(), 1u << 20);
  const std::string status = client_->status_json().value();
  EXPECT_NE(status.find("\"admitted_bytes\":1048576"), std::string::npos) << status;
  EXPECT_NE(status.find("\"unspent_bytes\":1048576"), std::string::npos);
  EXPECT_NE(status.find("\"sessions_queued\":0"), std::string::npos);
  ASSERT_TRUE(session->close().ok());
  EXPECT_TRUE(daemon_.is_quiet());
  EXPECT_EQ(admitted(), 0u);
}

TEST_F(ReservationTest, WhatFillsHoldAndLeasesPinUsesItUp) {
  constexpr uint64_t kSpan = 4096;
  const auto session = open(10 * kSpan);
  ASSERT_TRUE(session->append_tokens(context_tokens(9, 1)).ok());
  const auto fill = session->begin_fill(model::FillKind::kSpan, 4);
  ASSERT_TRUE(fill.ok());
  EXPECT_EQ(unspent(), 9 * kSpan);
  ASSERT_TRUE(session->commit(*fill).ok());
  EXPECT_EQ(unspent(), 10 * kSpan) << "it may be evicted from now on";
  const auto match = session->match(9);
  ASSERT_TRUE(match.ok());
  ASSERT_EQ(match->exact_tokens, 4u);
  EXPECT_EQ(unspent(), 10 * kSpan);
  ASSERT_TRUE(session->load(match->lease).ok());
  EXPECT_EQ(unspent(), 9 * kSpan);
  ASSERT_TRUE(session->release(match->lease).ok());
  EXPECT_EQ(unspent(), 10 * kSpan);
}

TEST_F(ReservationTest, MoreThanTheShareIsRefusedWithItsBound) {
  const auto refused = client_->open_session(options(share() + 1));
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("share of --ram_bytes"), std::string::npos);
  EXPECT_EQ(admitted(), 0u);
}

TEST_F(ReservationTest, WhoDoesNotWaitIsRefusedAtOnce) {
  const auto all = open(share());
  const auto refused = client_->open_session(options(1 << 20, 0));
  EXPECT_EQ(refused.code(), Errc::kResourceExhausted);
  EXPECT_NE(refused.error().text.find("admission_wait_ms"), std::string::npos);
}

TEST_F(ReservationTest, TheQueueTellsPositionsAndAdmitsInTurn) {
  auto all = open(share());
  const auto first = request(1 << 20);
  const auto second = request(1 << 20);
  const auto other = request(1 << 20, "other");
  EXPECT_EQ(first->position(), 1u);
  EXPECT_EQ(other->position(), 2u) << "tenants take turns";
  EXPECT_EQ(second->position(), 2u) << "as it was told before the other one came";
  EXPECT_FALSE(second->poll().value());
  EXPECT_EQ(second->position(), 3u);
  EXPECT_FALSE(first->estimate_ms().has_value()) << "nothing came free yet";
  ASSERT_TRUE(all->close().ok());
  for (const auto& ticket : {first.get(), second.get(), other.get()}) {
    EXPECT_TRUE(until_admitted(*ticket));
    EXPECT_EQ(ticket->position(), 0u);
    EXPECT_EQ(ticket->poll().code(), Errc::kClosed);
  }
}

TEST_F(ReservationTest, ABlockingOpenIsWokenByTheEndOfAnother) {
  auto all = open(share());
  const auto waiting = daemon_.connect();
  std::thread ends([&] {
    EXPECT_TRUE(daemon_.eventually(
        [](server::Daemon& d) { return d.cache().reservations().queued_count(kUser) == 1; }));
    EXPECT_TRUE(all->close().ok());
  });
  const auto session = waiting->open_session(options(1 << 20));
  ends.join();
  ASSERT_TRUE(session.ok()) << session.error().text;
  EXPECT_EQ(admitted(), 1u << 20);
}

TEST_F(ReservationTest, ItsTimeEnds) {
  const auto all = open(share());
  const auto late = client_->open_session(options(1 << 20, 1));
  EXPECT_EQ(late.code(), Errc::kDeadlineExceeded);
  EXPECT_TRUE(daemon_.eventually(
      [](server::Daemon& d) { return d.cache().reservations().queued_count(kUser) == 0; }));
}

TEST_F(ReservationTest, WhoGoesLeavesTheQueue) {
  const auto all = open(share());
  auto given_up = request(1 << 20);
  auto dies = daemon_.connect();
  auto of_dead = dies->request_session(options(1 << 20)).value();
  const auto stays = request(1 << 20);
  EXPECT_EQ(stays->position(), 3u);
  given_up.reset();
  EXPECT_FALSE(stays->poll().value());
  EXPECT_EQ(stays->position(), 2u);
  of_dead.reset();
  dies.reset();
  EXPECT_TRUE(daemon_.eventually(
      [](server::Daemon& d) { return d.cache().reservations().queued_count(kUser) == 1; }));
}

// What it waits for is set aside when its turn comes: a slow one keeps nobody else waiting.
TEST_F(ReservationTest, WhoAsksLateIsGrantedAllTheSame) {
  auto all = open(share());
  const auto slow = request(1 << 20);
  const auto quick = request(1 << 20);
  ASSERT_TRUE(all->close().ok());
  EXPECT_TRUE(until_admitted(*quick));
  EXPECT_TRUE(until_admitted(*slow));
}

// Processes of a session share it.
TEST_F(ReservationTest, AJoinedProcessUsesItUpToo) {
  constexpr uint64_t kSpan = 4096;
  auto first = open(10 * kSpan);
  const auto other = daemon_.connect();
  auto second = other->join_session(first->token(), options(0)).value();
  ASSERT_TRUE(second->append_tokens(context_tokens(9, 1)).ok());
  ASSERT_TRUE(second->begin_fill(model::FillKind::kSpan, 4).ok());
  EXPECT_EQ(unspent(), 9 * kSpan);
  ASSERT_TRUE(first->close().ok());
  EXPECT_EQ(admitted(), 10 * kSpan) << "the session goes on";
  second.reset();
  EXPECT_TRUE(daemon_.is_quiet());
  EXPECT_EQ(admitted(), 0u);
}

}  // namespace
}  // namespace quire::tests::reservation_test
