#!/bin/sh
# man_pages.sh BIN OUT: manual pages as the programs in BIN print them, compressed into OUT.
set -eu
bin=$1 out=$2
"$bin/quired" --print_man | gzip -9n >"$out/quired.8.gz"
if page=$("$bin/quirectl" man 2>/dev/null); then
  printf '%s\n' "$page"
else
  # Its help, as it is: no line begins with what troff would take for a request.
  printf '.TH QUIRECTL 1 "" "Quire" "User Commands"\n.SH NAME\nquirectl \\- operate quired, the KV cache daemon\n'
  printf '.SH SYNOPSIS\n.nf\n'
  "$bin/quirectl" --help | sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^[.']/\\\\\&&/"
  printf '.fi\n'
fi | gzip -9n >"$out/quirectl.1.gz"
