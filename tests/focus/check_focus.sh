#!/usr/bin/env bash
# Runs the FOCUS project's own validator over exports. It needs a package registry once, and half a
# minute a file. What it checks without either is tests/meter/focus_rows_test.cc.
#
#   tests/focus/check_focus.sh FILE.csv...      files of `quirectl meter export --format focus`
#   tests/focus/check_focus.sh --install        only makes it ready
#
# FOCUS_RULES: the version of its rules; those of 1.2 come with the package, later ones it downloads
# itself, where it can. FOCUS 1.3 adds columns to those of 1.2, and takes none away.
# FOCUS_CRITERIA: what the exporting service supports.
#
# One failure is none: these rules ask of InvoiceId in every row to be null (InvoiceId-C-004-C) and not
# to be (InvoiceId-C-005-C), as they cannot know which charges are on an invoice. No file passes both.
set -euo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
venv=$root/build/focus
rules=${FOCUS_RULES:-1.2.0.1}
criteria=${FOCUS_CRITERIA:-USAGE_MEASUREMENT_SUPPORTED,SUB_ACCOUNT_SUPPORTED,UNIT_PRICING_SUPPORTED}
[[ $# -gt 0 ]] || { sed -n '5p' "$0" | sed 's/^# *//'; exit 2; }

# The validator asks for Python 3.12 for the sake of one expression: on 3.11 that is written anew.
install() {
  local python=python3
  ! python3.12 -c '' 2>/dev/null || python=python3.12  # its numpy knows none that is newer
  "$python" -m venv "$venv"
  "$venv/bin/pip" install -q 'pandas<3' tabulate 'pyarrow<20' 'pydantic<3' pyyaml requests \
    'pandera==0.26.*' 'multimethod>=2.0,<2.1' 'sqlglot>=27.28,<28' 'jsonschema<5' 'numpy<2' \
    'pytz<2026' pandasql 'polars<2' ddt 'duckdb<2' graphviz
  "$venv/bin/pip" install -q --no-deps --ignore-requires-python focus-validator==2.2.1
  "$venv/bin/python" - "$(packages)" <<'PATCH'
import pathlib, sys
path = pathlib.Path(sys.argv[1], "focus_validator/config_objects/focus_to_duckdb_converter.py")
text = path.read_text()
old = r"""f"'{k.replace('\"', '\"\"')}'" for k in ignore_keys"""
path.write_text(text.replace(old, """("'" + k.replace('"', '""') + "'") for k in ignore_keys"""))
PATCH
  touch "$venv/complete"
}

packages() { "$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }

[[ -e $venv/complete ]] || install
[[ $1 != --install ]] || exit 0
failed=0
for file in "$@"; do
  file=$(readlink -f "$file")
  # It finds its list of currencies from where it is installed.
  report=$(cd "$(packages)" && "$venv/bin/focus-validator" --data-file "$file" --block-download \
    --validate-version "$rules" --applicability-criteria "$criteria" --show-violations 2>&1) || true
  summary=$(grep -E '^Total: ' <<<"$report" || true)
  # Its exit code does not say whether anything failed.
  failures=$(sed -n '/--- Failures ---/,$p' <<<"$report" | grep -oE '^- [A-Za-z]+-[A-Z]-[0-9]+-[A-Z]' || true)
  if [[ -n $summary && -z ${failures/- InvoiceId-C-005-C/} ]]; then
    echo "$file: $summary${failures:+ (InvoiceId-C-005-C)}"
  else
    printf '%s\n' "$report" | sed -n '/--- Failures ---/,$p'
    echo "$file: ${summary:-the validator did not run}"
    [[ -n $summary ]] || tail -n 5 <<<"$report"
    failed=1
  fi
done
exit $failed
