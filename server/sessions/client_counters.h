// What became of clients, counted by the core.
#pragma once

#include "model/metrics.h"

namespace quire::server {

struct ClientCounters {
  model::Counter connections_accepted{"accepted", "Connections accepted"};
  model::Counter connections_refused{"refused", "Connections for which there was no room"};
  // Law 5.
  model::Counter clients_reaped{"reaped", "Clients that left or died, and were cleaned up after"};
  // Law 11.
  model::Counter sessions_ended_by_fault{"sessions_ended_by_fault",
                                         "Sessions ended for what stood in their rings"};
};

}  // namespace quire::server
