// What hits in RAM take beside the cluster tier: while it has nothing to do, while it is saturated
// in both directions, and while the cluster hangs (its OSDs are stopped) with writes and loads
// under way. Turns of a second or two in one run; what is compared lies beside each other.
//
// A saturated cluster of this machine takes its processors, too. So hits are also timed beside a
// bare loop of librados that writes as many bytes at once, with the tier idle: what the machine
// takes, and not Quire.
#pragma once

#include <string>

#include "bench/cluster_bench_raw.h"

namespace quire::bench {

// Of p50: medians of turns, each over the idle turn before it.
struct ClusterHitFigures {
  double idle_p50_us = 0;
  double saturated_ratio = 0;
  double beside_raw_ratio = 0;
  double hanging_ratio = 0;
  double saturated_gib_s = 0;  // to and from the cluster meanwhile
};

// `ceph`: directory of tests/cluster/scratch_ceph.sh.
ClusterHitFigures measure_hits_beside_cluster(const CephPlace& place, const std::string& ceph);

}  // namespace quire::bench
