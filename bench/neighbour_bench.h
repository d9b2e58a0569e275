// What a hostile client of another uid costs a neighbour: its p99 with each attack over its p99
// without, in turns in one run, and how soon a killed attacker is gone. Real processes; needs root.
#pragma once

#include <string>

namespace quire::bench {

// `only`: the name of one attack; empty: all of them.
int run_neighbour_bench(bool json, const std::string& only);

}  // namespace quire::bench
