// What a switch of eviction policies costs whoever is served meanwhile: 10^6 spans, all policies in
// turn. First the core's part alone, by its steps; then the requests of a client during switches,
// beside the same requests without any.
#pragma once

namespace quire::bench {
int run_switch_bench(bool json);
}
