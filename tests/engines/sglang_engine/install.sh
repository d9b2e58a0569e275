#!/usr/bin/env bash
# SGLang's Python sources into the virtual environment of vLLM: install.sh PYTHON.
#
# SGLang's engine needs CUDA; its pools, HiCache and cache linkers are Python over torch and run on a
# CPU. Where vLLM, whose requirements they share, is not installed, nothing is, and the tests are not
# collected.
set -euo pipefail

python=$1
requirements=$(dirname "$(readlink -f "$0")")/../../../client/engines/sglang/requirements.txt

if ! "$python" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("vllm") is None)'; then
  echo "skipped: SGLang shares vLLM's requirements, and vLLM is not installed: its tests do not run"
  exit 0
fi
if ! "$python" -m pip install --quiet --no-deps -r "$requirements"; then
  echo "skipped: SGLang cannot be had from the registry: its tests do not run"
fi
