#!/usr/bin/env bash
# What ./dev cluster does after it has built: a Ceph cluster and three hosts' networks on this
# machine, the tests of the cluster tier, and the demo across daemons. Leaves no process, no network
# and no directory behind, however it ends.
#
#   run_cluster.sh BIN [GTEST_FILTER]
set -euo pipefail
bin=$(realpath "${1:?"where are the programs?"}")
filter=${2:-*}
here=$(dirname "$(readlink -f "$0")")
scratch=$(realpath -m build/ceph)

clean() {
  "$here/scratch_ceph.sh" stop "$scratch" || true
  "$here/host_networks.sh" remove
  rm -rf "$scratch"
}
trap clean EXIT
[[ -e $scratch/ceph.conf ]] && "$here/scratch_ceph.sh" stop "$scratch"

address=$("$here/host_networks.sh" make)
echo "== a Ceph cluster at $address: a monitor, a manager, three OSDs (BlueStore on sparse files) =="
"$here/scratch_ceph.sh" start "$scratch" "$address"
"$here/scratch_ceph.sh" pool "$scratch" quire
"$here/scratch_ceph.sh" ceph "$scratch" -s
export QUIRE_SCRATCH_CEPH=$scratch QUIRE_HOST_NETWORKS=1
echo "== the tier against it, with faults; two hosts =="
"$bin/cluster_tests" --gtest_filter="$filter" --gtest_brief=1
"$bin/cluster_host_tests" --gtest_filter="$filter" --gtest_brief=1
