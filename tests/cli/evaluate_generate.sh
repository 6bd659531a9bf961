#!/bin/bash
# wirelm evaluate generate: real flows as the generated ones, copies, and flows that are none.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir tmp
export TMPDIR=$PWD/tmp

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
"$WIRELM" evaluate generate --no-programs --fake captures/shell --real captures/shell --train captures/shell >same 2>note
[ ! -s note ] || fail "something to say: $(cat note)"
expect same 'list(d["labels"]) == ["all"] and d["left_out"]["fake"] == {"packets_without_ip": 0, "flows_without_label": 0, "captures_damaged": 0}'
expect same 'r["fields"]["mean"] <= r["fields"]["floor"] + 0.05 and r["features"]["worst"]["jsd"] <= 1'
expect same 'all(f["fake"]["packets"] == f["real"]["packets"] for f in r["validity"]["faults"].values())'
expect same 'r["validity"]["faults"]["tcp_sequence"]["fake"]["packets"] == 0'
expect same 'r["copies"]["fake"]["flows"] == 0' # less than 16 bytes of payload each
expect same 'r["identifiers"]["addresses"]["real"] == {"distinct": r["identifiers"]["addresses"]["fake"]["distinct"],
 "from_training": r["identifiers"]["addresses"]["fake"]["from_training"]}'
expect same '0.2 < r["discriminator"]["auc"] < 0.7 and r["discriminator"]["too_few"]'
expect same 'sum(r["fields"]["columns"]["ttl"]["counts"]["fake"]) == r["validity"]["packets"]["fake"]'
"$WIRELM" evaluate generate --no-programs --fake captures/shell --real captures/shell --train captures/shell >again
cmp same again || fail "twice the same: not the same"

"$WIRELM" evaluate generate --no-programs --fake shell=captures/shell name=captures/name --real data --train known >both
expect both 'd["labels"]["name"]["copies"]["fake"]["flows_share"] == 1'
expect both 'd["labels"]["name"]["copies"]["fake"]["grams_share"] == 1'
expect both 'd["train_on_synthetic"]["macro_f1_synthetic"] == 1 and d["train_on_synthetic"]["ratio"] == 1'
expect both 'sorted(d["labels"]) == ["name", "shell"]'
"$WIRELM" evaluate generate --no-programs --label shell --fake captures/shell --real data --train known >one
expect one 'list(d["labels"]) == ["shell"] and r["real"] == r["fake"]'

# ---- where some flows of a folder have a label, the others are not of any
{ echo path,label; ls captures/shell/* | sed 's/$/,shell/'; } >some.csv
"$WIRELM" import -o some --task app --labels some.csv --keep-unlabelled --part test captures >/dev/null 2>&1
"$WIRELM" evaluate generate --no-programs --label shell --fake captures/shell --real some --train known >partly
expect partly 'r["real"] == r["fake"] and d["left_out"]["real"]["flows_without_label"] > 0'

# ---- flows of another kind are far away
"$WIRELM" evaluate generate --no-programs --label shell --fake captures/name --real data --train known >other
expect other 'r["fields"]["mean"] > r["fields"]["floor"] + 0.3 and r["features"]["mean"] > 0.3'
expect other 'r["discriminator"]["auc"] > 0.95'
expect other 'r["fields"]["columns"]["flags"]["jsd"] == 1' # TCP and UDP: not to have flags is a value
expect other 'r["fields"]["columns"]["flags"]["counts"]["fake"][-1] == r["validity"]["packets"]["fake"]'

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

# ---- other programs: those that are here look at the flows, the others are said to be absent
"$WIRELM" evaluate generate --fake captures/name --real captures/name >seen
expect seen 'sorted(r["programs"]) == ["ndpiReader", "suricata", "tcptrace", "tshark"]'
expect seen 'all("real" in p and "fake" in p or p["not_run"] == "absent" for p in r["programs"].values())'
expect seen 'r["programs"]["tshark"].get("fake", {"packets": 160})["packets"] == 160'
"$WIRELM" evaluate generate --fake captures/name --real captures/name --no-programs >unseen
expect unseen '"programs" not in r and "captures" not in r'
mkdir bin
printf '#!/bin/sh\nprintf "%%s" "\t\t117440512,1\t8388608,2097152\t\t\t\t\t\t\t\t\n"\n' >bin/tshark
printf '#!/bin/sh\nexit 3\n' >bin/tcptrace
cat >bin/suricata <<'END'
#!/bin/sh
while [ "$1" != -l ]; do shift; done
printf '%s\n' '{"event_type":"dns"}' '{"event_type":"flow","app_proto":"dns"}' '{"event_type":"flow"}' 'cut off' >$2/eve.json
END
chmod +x bin/tshark bin/tcptrace bin/suricata
PATH=$PWD/bin:/nowhere "$WIRELM" evaluate generate --fake captures/name --real captures/name --train captures/name >stubs || fail "stubs"
expect stubs 'r["programs"]["tshark"]["fake"]["malformed_share"] == 1'
expect stubs 'r["programs"]["suricata"]["fake"] == {"protocols": {"dns": 1, "none": 1}}'
expect stubs 'r["programs"]["suricata"]["training"] == r["programs"]["suricata"]["fake"]'
expect stubs 'r["programs"]["suricata"]["agreement"]["copy_of_training"] == 1'
expect stubs 'r["programs"]["ndpiReader"] == {"not_run": "absent"} and r["programs"]["tcptrace"] == {"not_run": "failed"}'
[ -z "$(ls tmp)" ] || fail "temporary files are left: $(ls tmp)"

# ---- a model as discriminator: a question is no shell
"$WIRELM" evaluate generate --no-programs --fake captures/name/0[0-3].pcap --real captures/shell/0[0-3].pcap --neural 3 \
    --threads 1 >neural 2>/dev/null
expect neural 'r["neural_discriminator"]["flows_each"] == 32 and r["neural_discriminator"]["auc"] >= 0'
[ -z "$(ls tmp)" ] || fail "temporary files are left: $(ls tmp)"

# ---- with a model: generates first
"$WIRELM" train -d known -o model --steps 8 --context 256 --tokens-per-batch 1024 >/dev/null 2>&1
"$WIRELM" evaluate generate -m model --task app --label name shell --flows 6 --seed 3 --real data --train known \
    --no-programs >made 2>note
expect made 'list(d["labels"]) == ["name", "shell"] and r["fake"]["flows"] == 6'
refuse 2 "needs its task" evaluate generate -m model --label name --real data
[ -z "$(ls tmp)" ] || fail "temporary files are left: $(ls tmp)"
