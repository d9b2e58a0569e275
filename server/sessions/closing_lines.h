// What clients leave on its way to be closed and unmapped beside the core, and charged until then.
//
// A line for sockets, one for sockets in which descriptors may wait (the last close of what a
// stranger sent may take as long as he likes: such delay only each other), one for the memory and
// descriptors of sessions. Threads: core only. Bound: what is charged to uids.
#pragma once

#include <array>
#include <cstdint>

#include "model/result.h"
#include "server/runtime/off_core_closer.h"
#include "server/sessions/connection.h"
#include "server/sessions/uid_shares.h"

namespace quire::server {

class ClosingLines {
 public:
  static model::Result<ClosingLines> create();

  void close(Connection::ClosedSocket socket, const Charge& charge);
  OffCoreCloser& sessions() { return sessions_; }
  // What is closed by now is not charged any more. Ends the waits of closes that linger, at most
  // once in kHurryNs.
  void collect(UidShares& shares, int64_t now_ns);
  // Whether somebody must collect() soon although nothing wakes him.
  bool lingers() const { return sockets_with_descriptors_.open_count() > 0; }
  // Readable when there is something to collect.
  std::array<int, 3> done_fds() const {
    return {sockets_.done_fd(), sockets_with_descriptors_.done_fd(), sessions_.done_fd()};
  }

  struct Depths {
    size_t sockets = 0;
    size_t sockets_with_descriptors = 0;
    size_t sessions = 0;
  };
  Depths depths() const {
    return {sockets_.open_count(), sockets_with_descriptors_.open_count(), sessions_.open_count()};
  }

 private:
  static constexpr int64_t kHurryNs = 200'000;  // a close may linger for so long

  ClosingLines(OffCoreCloser sockets, OffCoreCloser sockets_with_descriptors,
               OffCoreCloser sessions)
      : sockets_(std::move(sockets)),
        sockets_with_descriptors_(std::move(sockets_with_descriptors)),
        sessions_(std::move(sessions)) {}

  OffCoreCloser sockets_;
  OffCoreCloser sockets_with_descriptors_;
  OffCoreCloser sessions_;
  int64_t last_hurry_ns_ = 0;
};

}  // namespace quire::server
