// Closes and unmaps on a thread of its own what may take long, so that the core never does.
//
// Closing a client's socket closes the descriptors that wait in it, too, and those may be anything:
// a TCP socket with SO_LINGER keeps whoever closes it for as long as its owner wishes. Unmapping a
// session frees its memory, and interrupts every processor that runs a thread of the daemon: of
// sessions that go together, memory that lies together is unmapped by one call.
//
// Threads: core only. Bound: what is on its way is held by clients' connections and sessions, whose
// uids stay charged until collect() says that it is gone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include "model/fd_guard.h"
#include "model/result.h"
#include "server/runtime/off_core_line.h"

namespace quire::server {

// What a uid is charged for until it is really gone.
struct Charge {
  uint32_t uid = 0;
  uint32_t connections = 0;
  uint32_t descriptors = 0;
  uint64_t session_bytes = 0;
};

// What an attachment or a session leaves; empty places are skipped.
struct Remains {
  std::array<model::FdGuard, 4> descriptors;
  std::array<model::Mapping, 2> mappings;
};

class OffCoreCloser {
 public:
  // at_once: so many may go together. More than one where a close waits for nobody.
  static model::Result<OffCoreCloser> create(size_t at_once = 1);

  // collect() names `charge` when it is done.
  void close(model::FdGuard fd, const Charge& charge);
  void close(Remains remains, const Charge& charge);
  // Calls visit(charge) for each that is gone by now. Hands over what found the pipe full.
  void collect(const std::function<void(const Charge& charge)>& visit);
  // Ends the wait of a close under way, if there is one. What a client wants to linger for is not
  // worth a descriptor of the daemon.
  void hurry() { line_.hurry(); }
  // Readable when there is something to collect.
  int done_fd() const { return line_.done_fd(); }
  // What was given and not yet collected.
  size_t open_count() const { return line_.open_count(); }

 private:
  struct Span {
    uint64_t address = 0;
    uint64_t bytes = 0;
  };
  struct Task {
    Charge charge;
    std::array<int32_t, 4> descriptors{-1, -1, -1, -1};
    std::array<Span, 2> mappings{};
  };
  using Line = OffCoreLine<Task, Charge>;
  explicit OffCoreCloser(Line line) : line_(std::move(line)) {}
  static void unmap_runs(std::span<Span> spans);
  static void close_all(std::span<const Task> tasks, std::span<Charge> charges);

  Line line_;
};

}  // namespace quire::server
