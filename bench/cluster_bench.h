// quire_bench cluster: the cluster tier against a bare librados loop of the same objects and depth,
// and what a search of a long chain takes. Needs a cluster: ./dev bench cluster starts one.
#pragma once

namespace quire::bench {

// 1 when there is no cluster, or it does not do what it should.
int run_cluster_bench(bool json);

}  // namespace quire::bench
