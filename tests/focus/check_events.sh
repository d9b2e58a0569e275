#!/usr/bin/env bash
# Checks exported CloudEvents against the JSON schema of the specification: by hand, for it needs a
# package registry once, and the schema (cloudevents/formats/cloudevents.json of its repository).
# What it checks without either is tests/meter/event_format_test.cc.
#
#   tests/focus/check_events.sh SCHEMA FILE...     files of `quirectl meter export --format cloudevents`
set -euo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
venv=$root/build/events
[[ $# -gt 1 ]] || { sed -n '6p' "$0" | sed 's/^# *//'; exit 2; }
if [[ ! -e $venv/complete ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q 'jsonschema[format]<5'
  touch "$venv/complete"
fi
"$venv/bin/python" - "$@" <<'CHECK'
import json, sys
import jsonschema
schema = json.load(open(sys.argv[1]))
checker = jsonschema.FormatChecker()
validator = jsonschema.Draft7Validator(schema, format_checker=checker)
events = faults = 0
for name in sys.argv[2:]:
    for number, line in enumerate(open(name), 1):
        events += 1
        for fault in validator.iter_errors(json.loads(line)):
            faults += 1
            print(f"{name}:{number}: {fault.message}")
print(f"{events} events, {faults} faults; formats checked: "
      f"{', '.join(sorted({'date-time', 'uri', 'uri-reference'} & set(checker.checkers)))}")
sys.exit(1 if faults or not events else 0)
CHECK
