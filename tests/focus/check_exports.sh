#!/usr/bin/env bash
# Makes a ledger as users do (a daemon, requests of several conversations, a stop), exports it, and has
# others judge the exports: FOCUS by the FOCUS project's validator, CloudEvents by a JSON schema of
# the specification's rules. A band of its own, for both validators come from a package registry.
#
#   tests/focus/check_exports.sh BIN_DIRECTORY
#
# Ends with 0 and a line that says so where the registry cannot be reached.
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
bin=$(readlink -f "${1:?"usage: check_exports.sh BIN_DIRECTORY"}")
work=$(mktemp -d)
daemon=
cleanup() {
  [[ -z $daemon ]] || kill -KILL "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

if ! "$here/check_focus.sh" --install || ! "$here/check_events.sh" --install; then
  echo "skipped: the validators are not installed, and the package registry cannot be reached"
  exit 0
fi

# Twenty conversations of four turns, each of which has two blocks more than the one before.
python3 - >"$work/trace.jsonl" <<'TRACE'
import json
block = 0
chains = [[] for _ in range(20)]
for turn in range(4):
    for number, chain in enumerate(chains):
        chain += [block, block + 1]
        block += 2
        print(json.dumps({"timestamp": (turn * 20 + number) * 10, "input_length": 512 * len(chain) + 7,
                          "output_length": 20, "hash_ids": chain, "conversation": number + 1}))
TRACE

export QUIRE_SOCKET=$work/quired.sock
"$bin/quired" --socket="$QUIRE_SOCKET" --ram_bytes=256MiB --ledger_path="$work/ledger" 2>"$work/log" &
daemon=$!
for _ in $(seq 600); do
  ! "$bin/quirectl" ping >/dev/null 2>&1 || break
  sleep 0.1
done
"$bin/quirectl" trace replay "$work/trace.jsonl" --asap | head -3
kill -TERM "$daemon"
wait "$daemon"
daemon=

# A price of every kind that has a row of its own.
cat >"$work/book.toml" <<'BOOK'
vendor = "trial"
[[price]]
model = "trace-replay"
currency = "USD"
from = 2020-01-01T00:00:00Z
hit = "0.003625"
miss = "0.435001"
output = "0.870003"
[[storage]]
currency = "USD"
from = 2020-01-01T00:00:00Z
price = "0.017"
per = "million_token_hours"
charged = "lived"
[[storage]]
currency = "USD"
from = 2020-01-01T00:00:00Z
price = "1.25"
per = "tib_hours"
charged = "hourly_maximum"
BOOK

meter() { "$bin/quirectl" meter "$1" --ledger "$work/ledger" --quired "$bin/quired" "${@:2}"; }
export_as() { meter export --format "$1" --out "$2" "${@:3}"; }
export_as focus "$work/focus.csv"
export_as focus "$work/costs.csv" --book "$work/book.toml"
export_as cloudevents "$work/events.jsonl"
[[ $(grep -c '"dev.quire.receipt.v1"' "$work/events.jsonl") == 80 ]] || {
  echo "80 requests were made, and the export has other receipts than theirs" >&2
  exit 1
}
grep -q 'dev.quire.storage.v1' "$work/events.jsonl" || { echo "no storage in the export" >&2; exit 1; }
# The file with costs says what the bill says.
meter bill -o json --book "$work/book.toml" >"$work/bill.json"
python3 - "$work/costs.csv" "$work/bill.json" <<'SUM'
import csv, decimal, json, sys
decimal.getcontext().prec = 60
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
billed = sum(decimal.Decimal(row["BilledCost"]) for row in rows)
total = json.load(open(sys.argv[2], encoding="utf-8"))["bill"]["totals"][0]
digits = decimal.Decimal(1).scaleb(-len(total["amount"].split(".")[1]))
if billed.quantize(digits, decimal.ROUND_HALF_EVEN) != decimal.Decimal(total["amount"]) or billed == 0:
    sys.exit(f"rows add up to {billed}, the bill says {total['amount_exact']}")
print(f"{len(rows)} charges add up to {billed}: the bill's {total['amount']} {total['currency']}")
SUM
"$here/check_focus.sh" "$work/focus.csv" "$work/costs.csv"
"$here/check_events.sh" "$here/cloudevents.schema.json" "$work/events.jsonl"
