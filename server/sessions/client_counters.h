// What became of clients, counted by the core.
#pragma once

#include "model/metrics.h"

namespace quire::server {

struct ClientCounters {
  model::Counter connections_accepted{"accepted", "Connections accepted"};
  model::Counter connections_refused{"refused",
                                     "Connections for which there was no room",
                                     {model::MetricFamily::kRejected, R"(reason="connection")"}};
  // Law 5. Of one that dies its socket ends, as of one that leaves.
  model::Counter clients_left{"left",
                              "Clients that left or died, and were cleaned up after",
                              {model::MetricFamily::kSessionReaped, R"(cause="left")"}};
  model::Counter clients_ended{"ended",
                               "Clients whose connection the daemon ended, for what they did",
                               {model::MetricFamily::kSessionReaped, R"(cause="client_fault")"}};
  // Law 11.
  model::Counter sessions_ended_by_fault{
      "sessions_ended_by_fault",
      "Sessions ended for what stood in their rings",
      {model::MetricFamily::kSessionReaped, R"(cause="ring_fault")"}};
};

}  // namespace quire::server
