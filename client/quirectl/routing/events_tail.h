// `quirectl events tail`: what is stored and removed on a host, as it happens, a line each.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "client/quire.h"
#include "model/result.h"

namespace quire::client {

struct EventsTailOptions {
  bool json = false;
  bool snapshot = false;        // first what is held, and again after each gap
  bool own = false;             // of the own domain, also for readers
  bool full = false;            // whole hashes, in a table
  std::string after;            // "EPOCH:SEQUENCE", as a line said; empty: from now on
  uint64_t count = 0;           // ends after so many events; 0: does not
  bool until_snapshot = false;  // ends with the snapshot
};

// Everybody's events where its user may hear them, else its own. kExitDegraded: it ended by itself,
// and there was a gap.
model::Result<int> run_events_tail(const ClientOptions& daemon, const EventsTailOptions& options,
                                   std::ostream& out);

}  // namespace quire::client
