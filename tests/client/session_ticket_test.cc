// Sessions that wait to be admitted, against a daemon that lets them wait so many times.
#include "tests/client/client_fixture.h"

namespace quire::client::session_ticket_test {
namespace {

using model::Errc;

class SessionTicketTest : public ClientFixture {
 protected:
  void connect_to(uint32_t queued_answers) {
    start({.queued_answers = queued_answers});
    connect();
  }
  SessionOptions reserving() {
    SessionOptions options = session_options();
    options.reserve_bytes = 1 << 20;
    options.admission_wait_ms = 5000;
    return options;
  }
};

TEST_F(SessionTicketTest, GivesItsSessionOnceAndTellsItsPlaceUntilThen) {
  connect_to(2);
  const auto ticket = client_->request_session(reserving()).value();
  EXPECT_EQ(ticket->position(), 2u);
  EXPECT_FALSE(ticket->estimate_ms().has_value());
  EXPECT_EQ(daemon_->last_open().ticket, 0u);
  EXPECT_FALSE(ticket->poll().value());
  EXPECT_EQ(ticket->position(), 1u);
  EXPECT_EQ(ticket->estimate_ms(), 40u);
  EXPECT_EQ(daemon_->last_open().ticket, 77u);
  const auto session = ticket->poll().value();
  ASSERT_TRUE(session);
  EXPECT_EQ(ticket->position(), 0u);
  EXPECT_EQ(ticket->poll().code(), Errc::kClosed);
  EXPECT_TRUE(session->noop().ok());
}

TEST_F(SessionTicketTest, WhatIsAdmittedAtOnceNeedsNoOtherCall) {
  connect_to(0);
  const auto ticket = client_->request_session(reserving()).value();
  EXPECT_EQ(daemon_->session_count(), 1u);
  EXPECT_EQ(ticket->position(), 0u);
  EXPECT_TRUE(ticket->poll().value());
}

TEST_F(SessionTicketTest, WhoGoesGivesItsPlaceUp) {
  connect_to(9);
  client_->request_session(reserving()).value().reset();
  EXPECT_EQ(daemon_->last_open().give_up, 1u);
  EXPECT_EQ(daemon_->last_open().ticket, 77u);
  EXPECT_TRUE(client_->ping().ok());
}

TEST_F(SessionTicketTest, OpenSessionAsksUntilItIsAdmitted) {
  connect_to(3);
  const auto session = client_->open_session(reserving());
  ASSERT_TRUE(session.ok()) << session.error().text;
  EXPECT_EQ(daemon_->last_open().reserve_bytes, 1u << 20);
  EXPECT_EQ(daemon_->last_open().admission_wait_ms, 5000u);
  EXPECT_EQ(daemon_->last_open().give_up, 0u);
  EXPECT_EQ(daemon_->session_count(), 1u);
}

TEST_F(SessionTicketTest, ADaemonThatDiesEndsIt) {
  connect_to(9);
  const auto ticket = client_->request_session(reserving()).value();
  daemon_.reset();
  EXPECT_EQ(ticket->poll().code(), Errc::kUnavailable);
  EXPECT_EQ(ticket->poll().code(), Errc::kClosed);
}

}  // namespace
}  // namespace quire::client::session_ticket_test
