#!/usr/bin/env bash
# LMCache into the virtual environment of vLLM: install.sh PYTHON.
#
# Its wheel runs on a CPU (server and connector), but asks for CUDA's packages, so it comes without its
# dependencies. Where vLLM, whose requirements it shares, is not installed, nothing is, and the tests
# are not collected.
set -euo pipefail

python=$1
requirements=$(dirname "$(readlink -f "$0")")/../../../client/engines/lmcache/requirements.txt

if ! "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("vllm") is None)'; then
  echo "skipped: LMCache shares vLLM's requirements, and vLLM is not installed: its tests do not run"
  exit 0
fi
if ! "$python" -m pip install --quiet --no-deps -r "$requirements"; then
  echo "skipped: LMCache cannot be had from the registry: its tests do not run"
fi
