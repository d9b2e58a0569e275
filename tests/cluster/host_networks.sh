#!/usr/bin/env bash
# Three hosts' networks on this machine: namespaces quire-host1 .. 3, each joined by a veth pair to a
# bridge, where the cluster has an address.
#
#   host_networks.sh make          prints the address of the bridge
#   host_networks.sh remove
#   host_networks.sh cut HOST      the host's cable is pulled: 1 .. 3
#   host_networks.sh mend HOST
set -euo pipefail
bridge=quire-bridge
network=10.231.77

remove() {
  local host
  for host in 1 2 3; do
    ip netns del "quire-host$host" 2>/dev/null || true
    ip link del "quire-veth$host" 2>/dev/null || true
  done
  ip link del "$bridge" 2>/dev/null || true
}

make() {
  local host
  remove
  ip link add "$bridge" type bridge
  ip addr add "$network.1/24" dev "$bridge"
  ip link set "$bridge" up
  for host in 1 2 3; do
    ip netns add "quire-host$host"
    ip link add "quire-veth$host" type veth peer name eth0 netns "quire-host$host"
    ip link set "quire-veth$host" master "$bridge" up
    ip -n "quire-host$host" addr add "$network.1$host/24" dev eth0
    ip -n "quire-host$host" link set eth0 up
    ip -n "quire-host$host" link set lo up
  done
  echo "$network.1"
}

case ${1:-} in
  make) make ;;
  remove) remove ;;
  cut) ip link set "quire-veth$2" down ;;
  mend) ip link set "quire-veth$2" up ;;
  *) sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
