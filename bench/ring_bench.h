// Request round trips through a session's ring, polled and asleep, beside what the machine gives to
// two bare threads.
#pragma once

namespace quire::bench {
int run_ring_bench(bool json);
}
