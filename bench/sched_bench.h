// quire_bench sched: what a decision of the load scheduler costs under 10,000 sessions, and how
// long a batch load waits below interactive ones.
#pragma once

namespace quire::bench {

// 1 when a batch load waited beyond its bound.
int run_sched_bench(bool json);

}  // namespace quire::bench
