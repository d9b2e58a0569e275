#!/usr/bin/env bash
# Runs a command beside a Ceph cluster of this machine alone, and ends that behind it.
#
#   with_ceph.sh COMMAND [ARGUMENT...]
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
scratch=$(realpath -m build/ceph)
clean() {
  "$here/scratch_ceph.sh" stop "$scratch" || true
  rm -rf "$scratch"
}
trap clean EXIT
{
  [[ ! -e $scratch/ceph.conf ]] || "$here/scratch_ceph.sh" stop "$scratch"
  "$here/scratch_ceph.sh" start "$scratch"
  "$here/scratch_ceph.sh" pool "$scratch" quire
} >&2
QUIRE_SCRATCH_CEPH=$scratch "$@"
