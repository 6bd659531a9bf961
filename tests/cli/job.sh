#!/bin/bash
# job.sh: the whole job on the committed sample, at a small size: captures in, a trained model, labels and new captures
# out. The floor on macro-F1 is far above a majority guess (about 0.1 for these labels) and far below what a
# few minutes of training reach.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
sample=$WIRELM_ROOT/sample
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "$*" >&2; exit 1; }
value() { python3 -c 'import json, sys; print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"; }

grep -E '^path|,(dns|ntp|http|redis|modbus),' "$sample/labels.csv" >labels.csv
sed -i "2,\$s|^|$sample/|" labels.csv
unseen=$(awk -F, '$8 == "test" { print $1; exit }' labels.csv)

"$WIRELM" verify -r "$unseen" >verified
[ "$(value verified 'd["exact"]')" = True ] || fail "not exact: $(cat verified)"

"$WIRELM" import -o flows --labels labels.csv --split given >/dev/null 2>&1
"$WIRELM" import -o service --task service --labels labels.csv --split given >imported 2>/dev/null
[ "$(value imported 'd["labels"], d["fell_back"]')" = "(5, False)" ] || fail "imported: $(cat imported)"
view=(--payload 16 --max-packets 4 --context 192 --tokens-per-batch 1024 --learning-rate 1.5e-3 --seed 3)
"$WIRELM" train -d flows -o pretrained --preset trafficgpt-nano "${view[@]}" --steps 10 >/dev/null 2>&1
"$WIRELM" train -d service -o model --init pretrained --prompts plain=.1,classify=.8,generate=.1 "${view[@]}" \
    --steps 70 >/dev/null 2>&1

"$WIRELM" evaluate classify -m model -d service --split test >scores 2>/dev/null
f1=$(value scores 'd["macro_f1"]') majority=$(value scores 'd["controls"]["majority"]["macro_f1"]')
echo "macro-F1 $f1, majority $majority"
[ "$(value scores "$f1 > 0.6 > 2 * $majority")" = True ] || fail "macro-F1 $f1 is below the floor of 0.6"

"$WIRELM" evaluate classify -m model -d service --split test --int8 >scores8 2>/dev/null
f8=$(value scores8 'd["macro_f1"]')
echo "in int8: macro-F1 $f8"
[ "$(value scores "abs($f1 - $f8) < 0.05")" = True ] || fail "macro-F1 $f8 in int8, $f1 otherwise"

"$WIRELM" classify -m model -r "$unseen" -w labelled.pcapng >labels.jsonl 2>/dev/null
[ "$(wc -l <labels.jsonl)" -gt 100 ] || fail "only $(wc -l <labels.jsonl) flows labelled"
"$WIRELM" generate -m model --task service --label ntp --flows 5 --seed 1 --random-payload -w made.pcap >generated 2>/dev/null
"$WIRELM" generate -m model --task service --label ntp --flows 2 --random-payload --int8 -w made8.pcap >/dev/null 2>&1 ||
    fail "generate --int8"
[ "$(value generated 'd["flows"]')" = 5 ] || fail "generated: $(cat generated)"
"$WIRELM" verify -r made.pcap made8.pcap labelled.pcapng >/dev/null || fail "what was written is not exact"
command -v tshark >/dev/null || { echo "no tshark: what it says of the files was not asked"; exit 0; }
tshark -r labelled.pcapng -Y frame.comment -T fields -e frame.comment 2>/dev/null | grep -q 'wirelm: service=' ||
    fail "no label in the packet comments"
tshark -r made.pcap -T fields -e frame.time_epoch 2>problems | awk '$1 < last { exit 1 } { last = $1 }' || fail "time runs back"
! grep -v 'Running as user' problems | grep . || fail "tshark has something to say"
