#include "server/sessions/closing_lines.h"

namespace quire::server {

model::Result<ClosingLines> ClosingLines::create() {
  auto sockets = QUIRE_TRY(OffCoreCloser::create());
  auto sockets_with_descriptors = QUIRE_TRY(OffCoreCloser::create());
  // Thousands of them may end with their client.
  auto sessions = QUIRE_TRY(OffCoreCloser::create(kMostTasksAtOnce));
  return ClosingLines(std::move(sockets), std::move(sockets_with_descriptors), std::move(sessions));
}

void ClosingLines::close(Connection::ClosedSocket socket, const Charge& charge) {
  OffCoreCloser& line = socket.may_hold_descriptors ? sockets_with_descriptors_ : sockets_;
  line.close(std::move(socket.fd), charge);
}

void ClosingLines::collect(UidShares& shares, int64_t now_ns) {
  const auto closed = [&shares](const Charge& charge) {
    shares.give_back(charge.uid, Shared::kConnections, charge.connections);
    shares.give_back(charge.uid, Shared::kDescriptors, charge.descriptors);
    shares.give_back(charge.uid, Shared::kSessionBytes, charge.session_bytes);
  };
  sockets_.collect(closed);
  sessions_.collect(closed);
  // Each is a signal, and the core comes here thousands of times while one close lingers.
  if (now_ns - last_hurry_ns_ >= kHurryNs) {
    last_hurry_ns_ = now_ns;
    sockets_with_descriptors_.hurry();
  }
  sockets_with_descriptors_.collect(closed);
}

}  // namespace quire::server
