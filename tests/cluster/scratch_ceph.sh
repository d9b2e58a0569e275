#!/usr/bin/env bash
# A real Ceph cluster of this machine alone: a monitor, a manager and three OSDs (BlueStore, each on
# a sparse file) in a scratch directory. For the tests of the cluster tier and ./dev cluster.
#
#   scratch_ceph.sh start DIR [ADDRESS]  starts it; DIR/ceph.conf and DIR/keyring name it to clients
#   scratch_ceph.sh stop DIR             ends its processes, as DIR has their ids; the files stay
#   scratch_ceph.sh kill DIR DAEMON      SIGKILL: mon, mgr, osd.0 .. osd.2
#   scratch_ceph.sh halt DIR DAEMON      SIGSTOP; "resume" is SIGCONT: a daemon that hangs
#   scratch_ceph.sh revive DIR DAEMON    starts one that was killed
#   scratch_ceph.sh ceph DIR ARGUMENT... ceph's own command line, as the administrator
#   scratch_ceph.sh pool DIR NAME        makes a pool, and a user of that name who may use nothing
#                                        else, with DIR/client.NAME.conf and its keyring
#   scratch_ceph.sh await_full DIR NAME  returns when the pool counts as full
#   scratch_ceph.sh await_osds DIR       returns when every OSD takes commands
#
# Needs ceph-mon, ceph-mgr, ceph-osd and ceph-common; root, as their files are made with its rights.
set -euo pipefail
verb=${1:?"which verb? see the head of this file"}
dir=$(realpath -m "${2:?"in which directory?"}")
shift 2
conf=$dir/ceph.conf
osds=3

as_admin() { ceph --conf "$conf" --connect-timeout 20 --admin-socket= --log-file= "$@"; }

# At most so many tenths of a second.
wait_until() {
  local tenths=$1
  shift
  while ! "$@" >/dev/null 2>&1; do
    ((tenths-- > 0)) || { echo "waited in vain for: $*" >&2; return 1; }
    sleep 0.1
  done
}

write_conf() {
  local address=$1 port=$2
  cat >"$conf" <<CONF
[global]
fsid = $(cat "$dir/fsid")
mon_host = v2:$address:$port
mon_initial_members = a
public_addr = $address
ms_bind_msgr1 = false
run_dir = $dir/run
log_file = $dir/log/\$name.log
admin_socket = $dir/run/\$name.asok
pid_file = $dir/run/\$name.pid
keyring = $dir/keyring
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
auth_allow_insecure_global_id_reclaim = false
# A pool is deleted in the tests of faults.
mon_allow_pool_delete = true
mon_data_avail_crit = 1
mon_data_avail_warn = 2
osd_pool_default_size = 2
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 16
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
# A killed OSD is known to be gone in a few seconds.
osd_heartbeat_interval = 1
osd_heartbeat_grace = 4
mon_osd_min_down_reporters = 1
mon_osd_down_out_interval = 600
[mon]
mon_data = $dir/mon
[mgr]
mgr_data = $dir/mgr
mgr_initial_modules =
[osd]
osd_data = $dir/osd.\$id
keyring = $dir/osd.\$id/keyring
osd_objectstore = bluestore
bluestore_block_size = 8589934592
bluestore_block_wal_create = false
bluestore_block_db_create = false
bluestore_cache_autotune = false
bluestore_cache_size = 134217728
osd_memory_target = 939524096
osd_max_object_name_len = 256
CONF
}

free_port() {
  python3 -c 'import socket,sys
s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])' "$1"
}

make_keys() {
  ceph-authtool --create-keyring "$dir/keyring" --gen-key -n client.admin \
    --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
  ceph-authtool --create-keyring "$dir/mon.keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
  ceph-authtool "$dir/mon.keyring" --import-keyring "$dir/keyring" >/dev/null
}

launch() {
  case $1 in
    mon) setsid ceph-mon --conf "$conf" --id a --keyring "$dir/mon.keyring" >"$dir/log/mon.out" 2>&1 ;;
    mgr) setsid ceph-mgr --conf "$conf" --id a --keyring "$dir/mgr/keyring" >"$dir/log/mgr.out" 2>&1 ;;
    osd.*) setsid ceph-osd --conf "$conf" --id "${1#osd.}" >"$dir/log/$1.out" 2>&1 ;;
    *) echo "no daemon $1" >&2; exit 2 ;;
  esac
}

pid_of() {
  case $1 in
    mon) cat "$dir/run/mon.a.pid" ;;
    mgr) cat "$dir/run/mgr.a.pid" ;;
    *) cat "$dir/run/$1.pid" ;;
  esac
}

start_osd() {
  local id=$1 uuid
  mkdir -p "$dir/osd.$id"
  uuid=$(cat /proc/sys/kernel/random/uuid)
  ceph-authtool --create-keyring "$dir/osd.$id/keyring" --gen-key -n "osd.$id" >/dev/null
  local key
  key=$(ceph-authtool -p -n "osd.$id" "$dir/osd.$id/keyring")
  echo "{\"cephx_secret\": \"$key\"}" | as_admin osd new "$uuid" "$id" -i - >/dev/null
  ceph-osd --conf "$conf" --id "$id" --mkfs --osd-uuid "$uuid" >"$dir/log/osd.$id.mkfs" 2>&1
  launch "osd.$id"
}

all_osds_up() { [[ $(as_admin osd stat --format json | python3 -c 'import json,sys
print(json.load(sys.stdin)["num_up_osds"])') == "$osds" ]]; }

# One that was revived or resumed a moment ago counts as up before it does.
all_osds_answer() {
  local id
  for ((id = 0; id < osds; id++)); do as_admin tell "osd.$id" version >/dev/null 2>&1 || return 1; done
}

start() {
  local address=${1:-127.0.0.1}
  rm -rf "$dir"
  mkdir -p "$dir"/{run,log,mon,mgr}
  cat /proc/sys/kernel/random/uuid >"$dir/fsid"
  write_conf "$address" "$(free_port "$address")"
  make_keys
  monmaptool --create --addv a "[$(sed -n 's/^mon_host = //p' "$conf")]" --fsid "$(cat "$dir/fsid")" \
    "$dir/monmap" >/dev/null
  ceph-mon --conf "$conf" --id a --mkfs --monmap "$dir/monmap" --keyring "$dir/mon.keyring"
  launch mon
  as_admin auth get-or-create mgr.a mon 'allow profile mgr' osd 'allow *' >"$dir/mgr/keyring"
  launch mgr
  for ((id = 0; id < osds; id++)); do start_osd "$id" & done
  wait
  wait_until 300 all_osds_up
}

# Those that do not end by themselves in ten seconds are killed.
stop() {
  local file pid
  local pids=()
  for file in "$dir"/run/*.pid; do
    [[ -e $file ]] || continue
    pid=$(cat "$file")
    [[ $(readlink "/proc/$pid/exe") == */ceph-* ]] || continue
    kill -CONT "$pid" && kill -TERM "$pid"
    pids+=("$pid")
  done
  for pid in "${pids[@]}"; do
    wait_until 100 test ! -e "/proc/$pid" 2>/dev/null || kill -KILL "$pid"
  done
}

make_pool() {
  local pool=$1
  as_admin osd pool create "$pool" >/dev/null 2>&1
  as_admin osd pool application enable "$pool" quire >/dev/null 2>&1
  as_admin auth get-or-create "client.$pool" mon 'allow r' osd "allow rwx pool=$pool" \
    -o "$dir/client.$pool.keyring" >/dev/null
  sed "s|^keyring = .*|keyring = $dir/client.$pool.keyring|; /^run_dir\|^admin_socket\|^log_file\|^pid_file/d" \
    "$conf" >"$dir/client.$pool.conf"
}

# A pool's quota counts what OSDs told the manager, seconds ago.
is_full() { as_admin osd dump --format json | python3 -c 'import json, sys
pools = {pool["pool_name"]: pool for pool in json.load(sys.stdin)["pools"]}
sys.exit("full" not in pools[sys.argv[1]]["flags_names"].split(","))' "$1"; }

case $verb in
  start) start "$@" ;;
  stop) stop ;;
  kill) kill -KILL "$(pid_of "$1")" ;;
  halt) kill -STOP "$(pid_of "$1")" ;;
  resume) kill -CONT "$(pid_of "$1")" ;;
  revive) launch "$1" ;;
  ceph) as_admin "$@" ;;
  pool) make_pool "$@" ;;
  await_full) wait_until 600 is_full "$1" ;;
  await_osds) wait_until 600 all_osds_answer ;;
  *) sed -n '2,18p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
