#!/bin/sh
# completions.sh BIN OUT: completions as BIN/quirectl prints them, under the names by which bash, zsh
# and fish look for them.
set -eu
bin=$1 out=$2
mkdir -p "$out"
"$bin/quirectl" completion bash >"$out/quirectl"
"$bin/quirectl" completion zsh >"$out/_quirectl"
"$bin/quirectl" completion fish >"$out/quirectl.fish"
