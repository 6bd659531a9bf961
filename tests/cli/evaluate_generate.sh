#!/bin/bash
# wirelm evaluate generate: real flows as the generated ones, copies, and flows that are none.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "$1" >&2
    exit 1
}
# expect FILE EXPRESSION: holds for the report d
expect() {
    python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
r = next(iter(d["labels"].values()))
if not eval(sys.argv[2]): sys.exit(1)' "$1" "$2" || fail "$1: not so: $2"
}

python3 "$WIRELM_ROOT/tests/support/conversations.py" captures
"$WIRELM" import -o data --task app --part test captures >/dev/null 2>&1
"$WIRELM" import -o known --task app --part train captures >/dev/null 2>&1

# ---- the real flows themselves, by label
"$WIRELM" evaluate generate --fake captures/shell --real captures/shell --train captures/shell >same 2>note
[ ! -s note ] || fail "something to say: $(cat note)"
expect same 'list(d["labels"]) == ["all"]'
expect same 'r["fields"]["mean"] <= r["fields"]["floor"] + 0.05 and r["features"]["worst"]["jsd"] <= 1'
expect same 'all(f["fake"]["packets"] == f["real"]["packets"] for f in r["validity"]["faults"].values())'
expect same 'r["validity"]["faults"]["tcp_sequence"]["fake"]["packets"] == 0'
expect same 'sum(r["fields"]["columns"]["ttl"]["counts"]["fake"]) == r["validity"]["packets"]["fake"]'
"$WIRELM" evaluate generate --fake captures/shell --real captures/shell --train captures/shell >again
cmp same again || fail "twice the same: not the same"

"$WIRELM" evaluate generate --fake shell=captures/shell name=captures/name --real data --train known >both
expect both 'sorted(d["labels"]) == ["name", "shell"]'
"$WIRELM" evaluate generate --label shell --fake captures/shell --real data --train known >one
expect one 'list(d["labels"]) == ["shell"] and r["real"] == r["fake"]'

# ---- flows of another kind are far away
"$WIRELM" evaluate generate --label shell --fake captures/name --real data --train known >other
expect other 'r["fields"]["mean"] > r["fields"]["floor"] + 0.3 and r["features"]["mean"] > 0.3'
expect other 'r["fields"]["columns"]["flags"]["jsd"] == 1'

# ---- refused
refuse() {
    local want=$1 text=$2 got=0
    shift 2
    "$WIRELM" "$@" >out 2>note || got=$?
    [ $got = "$want" ] || fail "$*: status $got, not $want: $(cat note)"
    grep -q -e "$text" note || fail "$*: '$(cat note)' does not say '$text'"
    [ ! -s out ] || fail "$*: something on stdout"
}
refuse 2 "either a model" evaluate generate -m any --fake captures --real captures
WIRELM_MODEL=absent refuse 1 "absent" evaluate generate --real captures
refuse 2 "no real flow of label 'sehll'" evaluate generate --label sehll --fake captures --real data
refuse 1 "absent" evaluate generate --fake absent --real captures
ls "${TMPDIR:-/tmp}"/wirelm-?????? >/dev/null 2>&1 && fail "temporary files are left" || true
