#!/bin/bash
# wirelm classify, evaluate and generate with a model that has seen a few steps of training: their contracts.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "$1" >&2
    exit 1
}
# expect FILE EXPRESSION VALUE: lines holds the JSON objects of the file, d the first
expect() {
    local got
    got=$(python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
print(eval(sys.argv[2], {"lines": lines, "d": lines[0] if lines else None}))' "$1" "$2")
    [ "$got" = "$3" ] || fail "$1: $2 is '$got', not '$3'"
}
# refuse STATUS TEXT COMMAND ARGUMENT...: ends so, with one line that says so
refuse() {
    local want=$1 text=$2 got=0
    shift 2
    "$WIRELM" "$@" >out 2>note || got=$?
    [ $got = "$want" ] || fail "$*: status $got, not $want: $(cat note)"
    grep -q -e "$text" note || fail "$*: '$(cat note)' does not say '$text'"
    [ $want = 2 ] || [ "$(wc -l <note)" = 1 ] || fail "$*: more than one line: $(cat note)"
    [ ! -s out ] || fail "$*: something on stdout"
}

python3 "$WIRELM_ROOT/tests/support/conversations.py" captures
"$WIRELM" import -o data --task app captures >/dev/null 2>&1
"$WIRELM" train -d data -o model --steps 8 --context 256 --tokens-per-batch 1024 >/dev/null 2>&1
file=captures/shell/03.pcap

# ---- classify
"$WIRELM" classify -m model -r $file captures/name/00.pcap >flows 2>note
[ ! -s note ] || fail "classify has something to say: $(cat note)"
expect flows 'len(lines)' 16
expect flows '[line["flow_id"] for line in lines] == sorted(line["flow_id"] for line in lines)' True
expect flows 'list(d)' "['timestamp', 'event_type', 'file', 'flow_id', 'community_id', 'src_ip', 'src_port', 'dest_ip',\
 'dest_port', 'proto', 'wirelm']"
expect flows 'list(d["wirelm"])' "['task', 'label', 'best', 'confidence', 'top', 'start', 'end', 'oneway', 'truncated',\
 'packets', 'packets_used', 'tokens_used', 'hide', 'payload', 'model']"
expect flows '[d[k] for k in ("event_type", "file", "dest_port", "proto")]' "['wirelm', '$file', 22, 'TCP']"
expect flows 'd["timestamp"][:19], len(d["timestamp"]), d["timestamp"][-1]' "('2023-11-14T22:13:20', 27, 'Z')"
expect flows '[d["wirelm"][k] for k in ("task", "start", "end", "packets", "hide")]' "['app', 'syn', 'closed', 7, 'ids']"
expect flows 'd["wirelm"]["model"][:7], len(d["wirelm"]["model"])' "('sha256:', 71)"
expect flows 'd["wirelm"]["label"] == d["wirelm"]["best"] == max(d["wirelm"]["top"], key=d["wirelm"]["top"].get)' True
expect flows 'all(abs(sum(line["wirelm"]["top"].values()) - 1) < 1e-4 for line in lines)' True
expect flows '{line["wirelm"]["end"] for line in lines if line["proto"] == "UDP"} == {"eof", "timeout"}' True

"$WIRELM" classify -m model -r $file captures/name/00.pcap >again
cmp flows again || fail "classify twice: not the same"
"$WIRELM" classify -m model -r - <$file >piped
expect piped 'len(lines), d["file"]' "(8, '-')"
"$WIRELM" classify -m model -r captures --top 1 --threshold 1 --max-packets 2 >all
expect all 'len(lines), {line["wirelm"]["label"] for line in lines}' "(160, {'unknown'})"
expect all '{len(line["wirelm"]["top"]) for line in lines}, {line["wirelm"]["packets_used"] for line in lines}' "({1}, {2})"
"$WIRELM" classify -m model -r $file captures/name/00.pcap udp port 53 >filtered
expect filtered 'len(lines), {line["proto"] for line in lines}' "(8, {'UDP'})"
"$WIRELM" classify -m model -r $file --text >table
[ "$(wc -l <table)" = 9 ] || fail "table: $(cat table)"
"$WIRELM" classify -m model -r $file tcp port 23 >none 2>note
[ ! -s none ] && grep -q "no flows: the filter" note || fail "no flows: $(cat note)"

head -c 500 $file >cut.pcap
"$WIRELM" classify -m model -r cut.pcap >cut 2>note
expect cut 'len(lines)' 1
grep -q "cut.pcap: offset [0-9]*: " note && [ "$(wc -l <note)" = 1 ] || fail "cut: $(cat note)"
echo "no capture" >text
refuse 1 "text: " classify -m model -r text
refuse 1 "absent: " classify -m model -r absent
refuse 1 "nomodel: " classify -m nomodel -r $file
refuse 1 "trained with --hide ids" classify -m model -r $file --hide none
"$WIRELM" classify -m model -r $file --hide none --force >forced
expect forced 'd["wirelm"]["hide"]' none
expect flows 'd["wirelm"]["payload"]' full
refuse 1 "trained with --payload full, not 4" classify -m model -r $file --payload 4
"$WIRELM" classify -m model -r $file --payload none --force --codec fields --unit flow >forced
expect forced 'd["wirelm"]["payload"], d["wirelm"]["truncated"]' "(0, True)"
"$WIRELM" classify -m model -r $file captures/name/00.pcap --payload full >again
cmp flows again || fail "classify with the payload it was trained with: not the same"
refuse 1 "labels belong to flows" classify -m model -r $file --unit capture
refuse 2 "made with codec 'fields', not 'bytes'" classify -m model -r $file --codec bytes
refuse 2 "no task 'weather'; the model knows: app" classify -m model -r $file --task weather
refuse 2 "filter" classify -m model -r $file 'port port'
refuse 2 "--read' is missing" classify -m model

# a labelled copy, from a file and from a pipe: the same packets, with comments
for input in $file -; do
    "$WIRELM" classify -m model -r $input -w labelled.pcapng <$file >copied
    expect copied 'len(lines)' 8
    [ "$(grep -a -c 'wirelm: app=' labelled.pcapng)" -ge 1 ] || fail "no comments"
    "$WIRELM" verify -r labelled.pcapng >verified
    expect verified 'd["packets"]' 56
    if command -v tshark >/dev/null; then
        tshark -r labelled.pcapng -Y frame.comment -T fields -e frame.comment 2>/dev/null >comments
        [ "$(grep -c '^wirelm: app=[a-z]* [01]\.[0-9][0-9]$' comments)" = 8 ] || fail "comments: $(cat comments)"
    fi
done
[ ! -e labelled.pcapng.spool ] || fail "the spool stayed"

# an interrupt labels what is open, also while a quiet pipe is waited for
# (the pipe takes all of the capture only when most of it has been read)
{ cat captures/name/00.pcap; for _ in $(seq 300); do tail -c +25 captures/name/00.pcap; done; } >long.pcap
mkfifo pipe
"$WIRELM" classify -m model -r - <pipe >interrupted 2>note &
run=$!
exec 3>pipe
cat long.pcap >&3
sleep 1
kill -INT $run
wait $run || fail "interrupted classify: status $?: $(cat note)"
exec 3>&-
expect interrupted 'len(lines)' 8

# ---- evaluate
"$WIRELM" evaluate classify -m model -d data --split test >score 2>/dev/null
expect score '[d[k] for k in ("task", "split", "split_by", "fell_back", "hide", "flows")]' \
    "['app', 'test', 'capture', False, 'ids', 40]"
expect score 'd["payload"]' full
expect score 'sum(map(sum, d["confusion"]["matrix"])), sum(l["support"] for l in d["labels"].values())' '(40, 40)'
expect score 'd["controls"]["majority"]["accuracy"]' 0.6
expect score 'abs(d["accuracy"] - sum(r[i] for i, r in enumerate(d["confusion"]["matrix"])) / 40) < 1e-5' True
for policy in implicit shape; do
    refuse 1 "trained with --hide ids" evaluate classify -m model -d data --hide $policy
done
refuse 1 "trained with --payload full, not 4" evaluate classify -m model -d data --payload 4
"$WIRELM" evaluate classify -m model -d data --split test --payload 4 --force --unit flow >score 2>/dev/null
expect score 'd["payload"], d["flows"]' '(4, 40)'
refuse 1 "labels belong to flows" evaluate classify -m model -d data --unit capture
"$WIRELM" evaluate classify -m model -d data --curves --stress nat,snap96 --draws 50 --predictions lines \
    --strangers data >score 2>/dev/null
expect score 'sorted(d["curves"]), [r["packets"] for r in d["curves"]["packets"]]' \
    "(['packets', 'tokens'], [1, 2, 4, 8, 16, 32])"
expect score 'sorted(d["stress"]), d["intervals"]["groups"] > 1' "(['nat', 'snap96'], True)"
expect score 'd["intervals"]["accuracy"][0] <= d["accuracy"] <= d["intervals"]["accuracy"][1]' True
expect score 'd["calibration"]["calibrated"]["temperature"] > 0, len(d["calibration"]["as_found"]["bins"])' '(True, 15)'
expect score 'sum(s["flows"] for s in d["strata"].values()), d["open_set"]["strangers"]' '(40, 40)'
expect lines 'len(lines), sum(l["stranger"] for l in lines)' '(80, 40)'
expect lines 'round(sum(l["truth"] == l["predicted"] for l in lines if not l["stranger"]) / 40, 6)' \
    "$(python3 -c 'import json; print(round(json.load(open("score"))["accuracy"], 6))')"
"$WIRELM" evaluate classify -m model model -d data --hide ids,shape --force --draws 10 >several 2>/dev/null
expect several '[(r["hide"], r["models"], r["accuracy"]["deviation"]) for r in d["summary"]], len(d["runs"])' \
    "([('ids', 2, 0.0), ('shape', 2, 0.0)], 4)"
refuse 2 "knows the label 'shell'" evaluate classify -m model -d data --left-out shell
refuse 2 "no alteration for stress is called 'rain'" evaluate classify -m model -d data --stress rain
refuse 2 "with commas between them" evaluate classify -m model -d data --hide ids,some
refuse 2 "one model and one policy" evaluate classify -m model -d data --hide ids,shape --predictions x

# ---- calibrate
"$WIRELM" calibrate -m model -d data -o calibrated >fitted 2>/dev/null
expect fitted '[(t["task"], t["flows"]) for t in d["tasks"]], d["split"]' "([('app', 24)], 'val')"
"$WIRELM" classify -m calibrated -r captures >labels
threshold=$(python3 -c 'import json; print(json.load(open("fitted"))["tasks"][0]["threshold"])')
expect labels "[l for l in (l['wirelm'] for l in lines) if abs(l['confidence'] - $threshold) > 1e-5 and
    l['label'] != ('unknown' if l['confidence'] < $threshold else l['best'])]" "[]"
"$WIRELM" classify -m calibrated -r captures --threshold 0 >labels
expect labels '"unknown" in {l["wirelm"]["label"] for l in lines}' False
refuse 2 "threshold must lie between 0 and 1" classify -m calibrated -r captures --threshold 2

# ---- labels left out
"$WIRELM" train -d data -o few --steps 2 --context 256 --tokens-per-batch 1024 --leave-out shell >/dev/null 2>&1
"$WIRELM" evaluate classify -m few -d data --left-out shell --draws 10 >score 2>/dev/null
expect score 'sorted(d["labels"]), d["open_set"]["left_out"]["flows"] + d["flows"], d["labels_unknown"]' \
    "(['name'], 40, [])"
refuse 2 "no folder has the label 'rain'" train -d data -o x --steps 1 --leave-out rain
refuse 1 "absent" evaluate classify -m model -d absent
refuse 2 "labelled for task 'app', not 'vpn'" evaluate classify -m model -d data --task vpn
refuse 2 "cannot evaluate 'weather'" evaluate weather

# ---- generate
generate() {
    "$WIRELM" generate -m model --task app --label shell --flows 3 --max-tokens 150 "$@" 2>note
}
generate -w a.pcap >report
expect report 'd["flows"], sorted(d)' "(3, ['candidates', 'checksums_mended', 'flows', 'flows_cut', 'flows_resampled', 'lengths_mended',\
 'note', 'packets', 'reencoded_differently', 'seconds', 'tokens', 'tokens_per_s'])"
generate -w b.pcap >/dev/null
cmp a.pcap b.pcap || fail "the same seed, another file"
generate -w c.pcap --seed 9 >/dev/null
! cmp -s a.pcap c.pcap || fail "another seed, the same file"
generate -w d.pcapng.gz --temperature 0.8 --top-k 20 --top-p 0.9 --net 10.9.0.0/16 --start 2020-02-02T02:02:02Z \
    --prefix $file --max-tokens 700 >report
expect report 'd["packets"] >= 21' True
"$WIRELM" classify -m model -r d.pcapng.gz >flows
expect flows 'all(line["src_ip"].startswith("10.9.") for line in lines), d["timestamp"]' "(True, '2020-02-02T02:02:02.000000Z')"
if command -v tshark >/dev/null; then
    for capture in a.pcap c.pcap d.pcapng.gz; do
        tshark -r $capture -T fields -e frame.time_epoch >times 2>complaints || fail "tshark: $(cat complaints)"
        ! grep -i -e "cut short" -e "malformed" -e "damaged" complaints || fail "tshark complains"
        [ -s times ] && sort -c -n times || fail "$capture: times run back"
    done
fi
refuse 2 "no label 'telnet' in task 'app'; there are: name, shell" generate -m model --task app --label telnet -w x.pcap
refuse 1 "as it was trained with" generate -m model -w x.pcap --payload 4
refuse 1 "trained with --unit flow, not capture" generate -m model -w x.pcap --unit capture
refuse 2 "made with codec 'fields', not 'bytes'" generate -m model -w x.pcap --codec bytes
generate -w e.pcap --payload full --unit flow --codec fields >/dev/null
cmp a.pcap e.pcap || fail "what the model has was asked for, and another file came"
refuse 2 "a task needs a label" generate -m model --task app -w x.pcap
refuse 2 "CIDR" generate -m model -w x.pcap --net 10.9
refuse 2 "'--start' cannot be" generate -m model -w x.pcap --start tomorrow
refuse 1 "nomodel: " generate -m nomodel -w x.pcap
refuse 1 "absent: " generate -m model -w x.pcap --prefix absent
refuse 1 "nowhere/x.pcap" generate -m model -w nowhere/x.pcap
[ ! -e x.pcap ] || fail "a failed run left a file"
