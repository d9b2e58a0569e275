#!/usr/bin/env bash
# Checks exported CloudEvents against a JSON schema: cloudevents.schema.json beside this has the
# specification's rules; its own (cloudevents/formats/cloudevents.json of its repository) does as well.
# It needs a package registry once. What is checked without is tests/meter/event_format_test.cc.
#
#   tests/focus/check_events.sh SCHEMA FILE...     files of `quirectl meter export --format cloudevents`
#   tests/focus/check_events.sh --install          only makes it ready
set -euo pipefail

root=$(dirname "$(dirname "$(dirname "$(readlink -f "$0")")")")
venv=$root/build/events
[[ $# -gt 1 || ${1:-} == --install ]] || { sed -n '6p' "$0" | sed 's/^# *//'; exit 2; }
if [[ ! -e $venv/complete ]]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q 'jsonschema[format]<5'
  touch "$venv/complete"
fi
[[ $1 != --install ]] || exit 0
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
