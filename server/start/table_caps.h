// How many entries the daemon's tables must have place for: what its budgets can ever hold. Tables
// reserve address space for as many, and a limit of address space (RLIMIT_AS) counts all of it.
#pragma once

#include <cstdint>

#include "server/start/options.h"

namespace quire::server {

struct TableCaps {
  uint64_t slots = 0;  // pages in RAM
  uint64_t nodes = 0;  // objects in RAM or on SSD, and roots
};

// Also counts what the SSD directory holds beyond --ssd_bytes: all of it is served.
TableCaps table_caps(const Options& options);

// Address space of all tables, with the policy of one domain; each further domain takes
// kPolicyBytesPerNode a node more.
uint64_t table_bytes(const TableCaps& caps);
inline constexpr uint64_t kPolicyBytesPerNode = 28;

}  // namespace quire::server
