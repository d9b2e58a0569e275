#!/usr/bin/env bash
# Installs the packages of a folder in a clean Debian 12 tree, uses them as an operator and an engine
# would, purges them, and compares what is left:
#
#   try_packages.sh FOLDER
#
# Needs root, debootstrap, and Debian's mirror; nothing else from outside. It runs in a mount and a
# process namespace of its own: whatever happens, nothing stays mounted and nothing keeps running.
set -euo pipefail

[[ $(id -u) == 0 ]] || { echo "try_packages.sh: needs root: debootstrap and chroot do" >&2; exit 1; }
if [[ -z ${QUIRE_IN_NAMESPACE:-} ]]; then
  QUIRE_IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi
packages=$(readlink -f "$1")
ours="quired libquire1 libquire-dev quirectl"
tree=$(mktemp -d /var/tmp/quire-package-XXXXXX)
chmod 0755 "$tree"  # users of the tree go through it
trap 'umount "$tree/proc" "$tree/dev/pts" 2>/dev/null || true; rm -rf --one-file-system "$tree"' EXIT

say() { echo "== $*"; }
fail() { echo "try_packages.sh: $*" >&2; exit 1; }
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$tree" "$@"; }
as() { inside setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }

# Every name outside of what apt, dpkg and the service manager keep for themselves, and the users that
# there are.
left_behind() {
  (cd "$tree" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./packages -o -path ./var/log \
    -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./run/systemd \) -prune -o -print | sort)
  inside sort /etc/passwd /etc/group
}

say "a clean tree"
mkdir -p "$packages/debs"
debootstrap --variant=minbase --cache-dir="$packages/debs" bookworm "$tree" >"$tree.log" 2>&1 ||
  { tail -5 "$tree.log" >&2; rm -f "$tree.log"; fail "debootstrap failed: can Debian's mirror be reached?"; }
rm -f "$tree.log"
mount -t proc proc "$tree/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"  # shells are tried at a terminal
ln -sf pts/ptmx "$tree/dev/ptmx"
mkdir "$tree/packages"
cp "$packages"/*.deb "$tree/packages"
for package in $ours; do mv "$tree"/packages/"${package}"_*.deb "$tree/packages/$package.deb"; done

say "what the packages depend on, compilers, and shells"
inside apt-get -qq update
needed=$(inside apt-get install -s --no-install-recommends /packages/{quired,libquire1,libquire-dev,quirectl}.deb |
  awk '/^Inst/ {print $2}' | grep -vxE 'quired|libquire1|libquire-dev|quirectl' || true)
# shellcheck disable=SC2086
inside apt-get -qq install -y --no-install-recommends $needed gcc g++ cmake make pkg-config \
  bash-completion zsh fish >/dev/null 2>&1
for user in engine outsider reader meter; do inside useradd --no-create-home "$user"; done
left_behind >"$tree/packages/before"

say "install"
# All of what they need is there: nothing is downloaded.
inside apt-get -qq install -y --no-install-recommends /packages/{quired,libquire1,libquire-dev,quirectl}.deb \
  >"$tree/packages/log" 2>&1 || { cat "$tree/packages/log" >&2; fail "the packages do not install"; }
grep '^Setting up' "$tree/packages/log"
# What dpkg-shlibdeps reads for those who build against it.
inside dpkg-query --control-show libquire1 symbols | grep -c '@QUIRE_1 ' >/dev/null || fail "libquire1 has no symbols file"
for user in engine reader meter; do inside usermod -aG quire "$user"; done
inside systemd-analyze verify --man=no quired.service quired.socket
inside systemd-analyze security --offline=true --no-pager quired.service >"$tree/packages/log"
tail -1 "$tree/packages/log"
inside sed -i -e 's/^--ram_bytes=.*/--ram_bytes=512MiB/' -e 's/^--segment_bytes=.*/--segment_bytes=64MiB/' \
  -e 's/^--huge_pages=.*/--huge_pages=off/' -e 's/^--reader_uids=.*/--reader_uids=reader/' \
  -e 's/^--meter_uids=.*/--meter_uids=meter/' -e 's/^#--ledger_path=/--ledger_path=/' /etc/quire/quired.flags

say "completion, found by each shell itself"
cp "$(dirname "$0")/../client/zsh_offers.zsh" "$tree/packages"
offered() { [[ $2 == "$3" ]] || fail "$1 offers '$2' behind 'quirectl policy a', not '$3'"; }
# shellcheck disable=SC2016
offered bash "$(inside bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader quirectl
  COMP_WORDS=(quirectl policy a) COMP_CWORD=2; _quirectl; echo "${COMPREPLY[@]}"')" advise
offered zsh "$(inside zsh -f /packages/zsh_offers.zsh installed /tmp 'quirectl policy a')" advise
offered fish "$(inside env HOME=/tmp fish -c 'complete -C "quirectl policy a"' | cut -f1)" advise

say "programs against the installed headers alone"
inside install -d -o engine -g engine /tmp/engine
examples=/usr/share/doc/libquire-dev/examples
as engine sh -c "cd /tmp/engine && gcc -std=c11 -Wall -Wextra -Werror $examples/package_c.c \
  \$(pkg-config --cflags --libs libquire) -o package_c"
cat >"$tree/tmp/engine/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.16)
project(engine CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(quire 0.1 REQUIRED CONFIG)
add_executable(package_cc $examples/package_cc.cc)
target_link_libraries(package_cc PRIVATE quire::quire)
END
as engine sh -c "cmake -S /tmp/engine -B /tmp/engine/build >/dev/null && cmake --build /tmp/engine/build >/dev/null"

# What the unit says, as the unit's user with the unit's capabilities.
unit=/usr/lib/systemd/system/quired.service
command=$(sed -n 's/^ExecStart=//p' "$tree$unit")
user=$(sed -n 's/^User=//p' "$tree$unit")
daemon() {
  inside setpriv --reuid="$user" --regid="$user" --init-groups --bounding-set=-all --inh-caps=-all \
    --no-new-privs "$@"
}
wait_for_socket() {
  for _ in $(seq 600); do
    inside quirectl ping >/dev/null 2>&1 && return
    sleep 0.1
  done
  fail "the daemon does not answer"
}
stop() {
  # Of this namespace; the name is the daemon's alone here.
  local pid
  pid=$(inside sh -c "for d in /proc/[0-9]*; do [ \"\$(cat \$d/comm 2>/dev/null)\" = quired ] && basename \$d; done; true" | head -1)
  kill -TERM "$pid"
  wait "$1" || fail "the daemon did not end well"
}
use() {
  as engine /tmp/engine/package_c "$1"
  as engine /tmp/engine/build/package_cc "$1"
}

say "the service's command line: $command"
# shellcheck disable=SC2086
daemon $command 2>"$tree/packages/log" &
service=$!
wait_for_socket
use /usr/share/quire/models/deepseek-v4-flash-fp8.toml
if as outsider quirectl ping >/dev/null 2>&1; then fail "who is not of the group may connect"; fi
inside quirectl status >"$tree/packages/status"
head -3 "$tree/packages/status"
inside quirectl config set log_level debug >/dev/null
inside quirectl config show >"$tree/packages/flags"
grep -- '--log_level=debug  # set' "$tree/packages/flags"
if as engine quirectl config set log_level info 2>/dev/null; then fail "anyone may set flags"; fi
say "each role, as docs/reference.md has it"
# expect CODE USER ARGUMENT...: what quirectl ends with. 4: another role is needed; 7: --yes is.
expect() {
  local code=0
  as "$2" quirectl "${@:3}" >"$tree/packages/log2" 2>&1 </dev/null || code=$?
  [[ $code == "$1" ]] || { cat "$tree/packages/log2" >&2; fail "quirectl ${*:3} of $2 ends with $code, not $1"; }
}
#          client reader meter administrator
while read -r client reader meter administrator words; do
  # shellcheck disable=SC2086
  expect "$client" engine $words && expect "$reader" reader $words && expect "$meter" meter $words &&
    expect "$administrator" root $words
done <<END
0 0 0 0 status
0 0 5 0 why --last
4 0 4 0 sessions
4 0 4 0 tenants
4 0 4 0 policy show
4 0 4 0 config show
4 0 4 0 top -n 1 -o json
4 4 0 0 meter verify
4 4 0 0 meter show
4 4 4 0 policy set ram arc
4 4 4 7 evict
4 4 4 0 verify
4 4 4 0 unpin --all
END
zcat "$tree"/usr/share/man/man{8/quired.8,1/quirectl.1}.gz | grep -c '^\.SH' >/dev/null
stop $service
grep -E 'audit=|listening|stopped' "$tree/packages/log"

say "by socket activation"
# shellcheck disable=SC2086
daemon systemd-socket-activate -l /run/quire/quired.sock $command \
  2>"$tree/packages/log" &
service=$!
for _ in $(seq 100); do [[ -S $tree/run/quire/quired.sock ]] && break; sleep 0.1; done
chmod "$(sed -n 's/^SocketMode=//p' "$tree/usr/lib/systemd/system/quired.socket")" "$tree/run/quire/quired.sock"
use /usr/share/quire/models/llama-3.1-70b.toml
stop $service
grep "the service manager's" "$tree/packages/log"
rm -f "$tree/run/quire/quired.sock"

say "purge"
rm -rf "$tree/tmp/engine"
# shellcheck disable=SC2086
inside apt-get -qq purge -y $ours >/dev/null 2>&1
left_behind >"$tree/packages/after"
diff "$tree/packages/before" "$tree/packages/after" || fail "this is left behind, or was taken"
echo "the packages passed: installed, used, purged, and nothing is left"
