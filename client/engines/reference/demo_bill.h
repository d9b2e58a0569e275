// What the demo's own requests cost: the bill by a price book, as `quirectl meter bill` prints it,
// and the same once more after the daemon was killed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/result.h"

namespace quire::client {

struct DemoBill {
  int64_t to_us = 0;  // of requests that began before
  uint64_t requests = 0;
  std::vector<std::string> totals;  // exact, a currency each
};

// Waits until all that was asked for so far is in the ledger. Prints the bill.
model::Result<DemoBill> show_bill(const std::string& socket_path, const std::string& source);
// The daemon was killed and started since. kInternal: the ledger is not whole, or requests of
// before are billed otherwise than they were.
model::Result<void> show_bill_again(const std::string& socket_path, const std::string& source,
                                    const DemoBill& before);

}  // namespace quire::client
