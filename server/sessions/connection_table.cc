#include "server/sessions/connection_table.h"

#include <algorithm>

#include "server/runtime/log.h"

namespace quire::server {

namespace {

constexpr size_t kConnectionsPerTurn = 4;  // one frame of each

}  // namespace

bool ConnectionTable::accept(model::FdGuard fd) {
  auto created = Connection::create(std::move(fd), parts_.loop, parts_.clock, this);
  if (!created.ok()) {
    log(LogKind::kConnectionRefused, LogLevel::kWarning,
        "connection refused: " + created.error().text);
    return false;
  }
  Connection& connection = **created;
  // Also one that is refused stands in the list: it is told why, and goes as others do.
  connections_.push_back(std::move(created).value());
  ++parts_.counters->connections_accepted;
  const model::Result<void> charged = charge(connection);
  if (charged.ok()) return true;
  ++parts_.counters->connections_refused;
  connection.send_error(model::FrameType::kHello, 0, charged.error());
  connection.end(charged.error());
  return false;
}

model::Result<void> ConnectionTable::charge(Connection& connection) {
  UidShares& shares = *parts_.shares;
  const uint32_t uid = connection.peer().uid;
  QUIRE_TRY(shares.check(uid, Shared::kConnections, 1));
  QUIRE_TRY(shares.check(uid, Shared::kDescriptors, kDescriptorsOfAConnection));
  connection.charged = true;  // until its socket is closed
  shares.take(uid, Shared::kConnections, 1);
  shares.take(uid, Shared::kDescriptors, kDescriptorsOfAConnection);
  return {};
}

void ConnectionTable::on_input(Connection& connection) {
  if (connection.ended() || connection.in_turn || connection.suspended()) return;
  connection.in_turn = true;
  to_serve_.push_back(&connection);
}

// What a client sends without end costs it its own turns: the next one comes when all others that
// sent something had theirs.
bool ConnectionTable::serve(int64_t now_ns) {
  resume_paced(now_ns);
  const size_t turns = std::min(to_serve_.size(), kConnectionsPerTurn);
  for (size_t i = 0; i < turns && !to_serve_.empty(); ++i) {
    Connection& connection = *to_serve_.front();
    to_serve_.pop_front();
    // Before it is served, which may put it back or end it.
    connection.in_turn = false;
    // It is not watched meanwhile: a client that sends without end would keep the core from
    // sleeping.
    if (!connection.may_take_turn(now_ns)) {
      connection.suspend();
      paced_.push_back(&connection);
    } else if (connection.serve()) {
      on_input(connection);
    }
  }
  return turns > 0;
}

// The first of them has waited longest, and all wait for the same time.
void ConnectionTable::resume_paced(int64_t now_ns) {
  while (!paced_.empty() && paced_.front()->pace_is_over(now_ns)) {
    Connection& connection = *paced_.front();
    paced_.pop_front();
    connection.resume();
  }
}

void ConnectionTable::on_end(Connection& connection, const model::Error& reason) {
  if (connection.in_turn) std::erase(to_serve_, &connection);
  if (connection.suspended()) std::erase(paced_, &connection);
  has_ended_ = true;
  parts_.server->on_end(connection, reason);
}

// By index, as in end_all(): ending one may not invalidate the walk.
void ConnectionTable::check_deadlines(int64_t now_ns) {
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (!connections_[i]->ended()) connections_[i]->check_deadline(now_ns);
  }
}

void ConnectionTable::end_all(const model::Error& reason) {
  for (size_t i = 0; i < connections_.size(); ++i) connections_[i]->end(reason);
}

bool ConnectionTable::let_ended_go(uint32_t budget) {
  std::erase_if(connections_, [&](const auto& connection) {
    if (!connection->ended() || !parts_.server->let_go(*connection, budget)) return false;
    Charge charge{.uid = connection->peer().uid};
    if (connection->charged) {
      charge.connections = 1;
      charge.descriptors = kDescriptorsOfAConnection;
    }
    parts_.closing->close(connection->take_socket(), charge);
    return true;
  });
  has_ended_ = budget == 0;
  return has_ended_;
}

}  // namespace quire::server
