#!/bin/bash
# wirelm train: what it prints and writes; killed and interrupted runs resume to the same bytes; the checkpoint reads
# without our help.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "$1" >&2
    exit 1
}
# Two labels in one capture each, flows of UDP whose payload tells them apart.
python3 - <<'PY'
import os, struct
def packet(sport, dport, text):
    udp = struct.pack(">HHHH", sport, dport, 8 + len(text), 0) + text
    return struct.pack(">BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 9])) + udp
for label, port in ("ask", 53), ("shout", 5353):
    os.makedirs("data/" + label)
    with open(f"data/{label}/1.pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for i in range(120):
            p = packet(20000 + port + i // 3, port, label.encode() * 4)
            f.write(struct.pack("<IIII", 1700000000 + i, 0, len(p), len(p)) + p)
PY
"$WIRELM" import -o in --task mood --split flow data >/dev/null 2>note || fail "import: $(cat note)"

train=("$WIRELM" train -d in --context 128 --tokens-per-batch 256 --threads 1 --steps 40)

"${train[@]}" -o straight >report 2>note || fail "train: $(cat note)"
python3 - <<'PY'
import json, struct
report = json.load(open("report"))
assert report["steps"] == 40 and report["model"] == "straight" and report["skipped"] == 0, report
assert report["loss_last"] < report["loss_first"] and report["loss_val"] is not None, report
data = open("straight", "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + length])
meta = header.pop("__metadata__")
assert (8 + length) % 64 == 0
assert all(isinstance(v, str) for v in meta.values())
config, tasks, record = (json.loads(meta[k]) for k in ("config", "tasks", "record"))
assert record["hide"] == "ids" and record["codec"] == "fields" and record["steps"] == 40, record
assert tasks[0]["name"] == "mood" and sorted(tasks[0]["labels"]) == ["ask", "shout"], tasks
assert header["embed.tokens"]["shape"] == [config["vocabulary"], config["width"]]
assert header["tasks.mood.labels"]["shape"] == [2, config["width"]]
assert header["tasks.mood.query"]["shape"] == [1, config["width"]]
at = count = 0
for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"][0]):
    size = 4
    for n in t["shape"]:
        size *= n
    assert t["dtype"] == "F32" and t["data_offsets"] == [at, at + size], name
    at += size
    count += size // 4
assert 8 + length + at == len(data) and count == report["parameters"]
values = struct.unpack("<%df" % count, data[8 + length:])
assert all(abs(v) < 100 for v in values) and max(values) > 0.5
PY

# activations computed twice: the same bytes
"${train[@]}" -o again --recompute >/dev/null
cmp straight again || fail "train --recompute is not the same as train"

await() { # await FILE PID: until the file stands there, or the process is gone
    for _ in $(seq 600); do
        [ ! -e "$1" ] || return 0
        kill -0 "$2" 2>/dev/null || return 0
        sleep 0.05
    done
}

# killed: nothing under the output's name, the run beside it, and the same bytes in the end
echo keep >killed
"${train[@]}" -o killed --save-every 0.05 >/dev/null 2>&1 &
pid=$!
await killed.resume $pid
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
if [ -e killed.resume ]; then
    [ "$(cat killed)" = keep ] || fail "a killed run touched the output"
    "$WIRELM" info killed.resume | grep -q 'unfinished training run' || fail "info does not know a run put aside"
    "${train[@]}" -o killed --save-every 0.05 --resume >/dev/null 2>note || fail "resume after a kill: $(cat note)"
fi
cmp straight killed || fail "killed and resumed is not the same as straight"
[ ! -e killed.resume ] || fail "a finished run left its resume file"

# interrupted: exit 0, a line that names the way on, and the same bytes
"${train[@]}" -o stopped --save-every 0 >/dev/null 2>note &
pid=$!
for _ in $(seq 600); do
    ! grep -q steps note || break
    sleep 0.05
done
kill -INT $pid 2>/dev/null || true
wait $pid || fail "an interrupted run exits with $?"
if [ -e stopped.resume ]; then
    [ ! -e stopped ] || fail "an interrupted run wrote its output"
    grep -q -e '--resume goes on from stopped.resume' note || fail "no word of how to resume: $(cat note)"
    "${train[@]}" -o stopped --save-every 0 --resume >/dev/null 2>note || fail "resume after SIGINT: $(cat note)"
fi
cmp straight stopped || fail "interrupted and resumed is not the same as straight"

refuse() { # refuse STATUS TEXT ARGUMENT...
    local want=$1 text=$2 got=0
    shift 2
    "$WIRELM" train "$@" >out 2>note || got=$?
    [ $got = "$want" ] || fail "train $*: status $got, not $want"
    grep -q -e "$text" note || fail "train $*: '$(cat note)' does not say '$text'"
    [ "$(grep -vc '^train ' note)" -le 2 ] || fail "train $*: more than one line: $(cat note)"
    [ ! -e new ] || fail "train $*: left an output"
}
refuse 2 "'--output' is missing\|'-o, --output' is missing" -d in
refuse 2 "no schedule is called 'triangle'" -d in -o new --schedule triangle
refuse 1 "training diverged" -d in -o new --context 128 --threads 1 --learning-rate 1e30
refuse 2 "prompts" -d in -o new --prompts plain=x
refuse 2 "no preset is called 'huge'" -d in -o new --preset huge
refuse 2 "codec bytes has no fields to shuffle" -d in -o new --codec bytes --shuffle-fields 3
refuse 2 "unit capture trains plain prompts only" -d in -o new --unit capture --prompts classify=1
refuse 2 "codec bytes does not tell flows apart" -d in -o new --codec bytes --unit capture
refuse 2 "'--unit' cannot be 'packet'" -d in -o new --unit packet
refuse 1 "absent" -d absent -o new
refuse 1 "no unfinished run" -d in -o new --resume
echo "this is no checkpoint, whatever its name" >note0
refuse 1 "not a safetensors file" -d in -o new --init note0
refuse 1 "." -d in -o no/such/folder/new --steps 1

# A summary: what taught the rest stays; what is stopped leaves nothing, and a run gives the same bytes again.
refuse 2 "name it to start from" -d in -o new --summary
refuse 2 "give them a share" -d in -o new --init straight --summary --prompts plain=1
refuse 2 "from a number of batches" -d in -o new --init straight --summary --prompts classify=1 --time 5
judge=("$WIRELM" train -d in --init straight --summary --prompts classify=1 --hide shape --context 128 --tokens-per-batch 256
    --steps 200)
"${judge[@]}" -o judge --log judge.log --threads 1 >report 2>note || fail "a summary: $(cat note)"
python3 - <<'PY'
import json, struct
def parts(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    meta = header.pop("__metadata__")
    return meta, {k: data[8 + n + t["data_offsets"][0]:8 + n + t["data_offsets"][1]] for k, t in header.items()}
(before, old), (after, new) = parts("straight"), parts("judge")
assert all(new[k] == old[k] for k in old) and len(new) == len(old) + 3, sorted(new)
assert json.loads(after["record"]) == json.loads(before["record"])
assert json.loads(after["tasks"])[0]["calibration"]["summary_share"] == .5
PY
[ "$(wc -l <judge.log)" -ge 250 ] && tail -1 judge.log | python3 -c 'import json; assert json.loads(input())["loss"] > 0' ||
    fail "the log of a summary: $(tail -1 judge.log)"
"${judge[@]}" -o judged --threads 2 >/dev/null 2>note || fail "a summary once more: $(cat note)"
cmp judge judged || fail "a summary is not the same again, by two threads"
"${judge[@]}" -o never --steps 1000000 --seed 2 >/dev/null 2>note &
pid=$!
sleep 1
kill -INT $pid
wait $pid && fail "a summary that was stopped ended well"
grep -q "stopped after" note || fail "a summary that was stopped: $(cat note)"
[ ! -e never ] || fail "a summary that was stopped left a model"
"$WIRELM" train -d in -o onward --init judge "${train[@]:4}" --steps 1 >/dev/null 2>note || fail "onward: $(cat note)"
"$WIRELM" train -d in -o beside --init straight "${train[@]:4}" --steps 1 >/dev/null 2>note || fail "beside: $(cat note)"
cmp onward beside || fail "a model's summary goes along when the rest is trained"
"$WIRELM" calibrate -m judge -d in -o chosen >report 2>note || fail "calibrate with a summary: $(cat note)"
python3 -c 'import json; s = json.load(open("report"))["tasks"][0]["summary"]; assert s["loss"] <= max(s["loss_own"], s["loss_summary"]), s'

# Unit capture: of itself trains plain prompts, also on labelled flows; the checkpoint tells, and --init inherits it.
few=(--context 128 --tokens-per-batch 256 --threads 1 --steps 2)
"$WIRELM" train -d in -o capture --unit capture "${few[@]}" >report 2>note || fail "unit capture: $(cat note)"
"$WIRELM" info capture | grep -q '"unit":"capture"' || fail "info does not tell the unit: $("$WIRELM" info capture)"
"$WIRELM" train -d in -o more --init capture "${few[@]}" >report 2>note || fail "unit capture, inherited: $(cat note)"
"$WIRELM" info more | grep -q '"unit":"capture"' || fail "the unit is not inherited"
"$WIRELM" train -d in -o flow --init capture --unit flow "${few[@]}" >report 2>note || fail "from capture to flow: $(cat note)"
"$WIRELM" info flow | grep -q '"unit":"flow"' || fail "the unit cannot be changed"
for command in "classify -m capture -r data/ask/1.pcap" "evaluate classify -m capture -d in"; do
    status=0
    "$WIRELM" $command >out 2>note || status=$?
    [ $status = 1 ] && grep -q "labels belong to flows" note && [ ! -s out ] || fail "$command: $status, $(cat note)"
done
status=0
"$WIRELM" generate -m capture --unit flow -w none.pcap 2>note || status=$?
[ $status = 1 ] && grep -q "trained with --unit capture, not flow" note || fail "generate --unit flow: $(cat note)"
"$WIRELM" generate -m capture --unit capture --flows 3 --max-tokens 300 -w some.pcap >report 2>note || fail "$(cat note)"
"$WIRELM" verify -r some.pcap | grep -q '"exact":true' || fail "what was generated is no capture"
"$WIRELM" generate -m capture --flows 3 --max-tokens 300 -w again.pcap >report 2>note && cmp some.pcap again.pcap ||
    fail "the same seed, another capture"

# One model for several policies, limits and alterations: the record names them, queries may take any, others are refused.
mixed=(--hide ids=.6,implicit=.2,shape=.2 --payload 8=.6,full=.4 --max-packets 2=.5,3=.5 --alter nat=.3,oneway=.1,randomise=.2)
"$WIRELM" train -d in -o mixed "${mixed[@]}" "${few[@]}" >report 2>note || fail "mixed: $(cat note)"
"$WIRELM" info mixed | python3 -c '
import json, sys
r = json.load(sys.stdin)["record"]
assert r["hide"] == "ids" and r["payload"] == 8 and r["max_packets"] == 2, r
assert r["hide_shares"] == "ids=.6,implicit=.2,shape=.2" and r["payload_shares"] == "8=.6,full=.4", r
assert r["max_packets_shares"] == "2=.5,3=.5" and r["alter"] == "nat=.3,oneway=.1,randomise=.2", r' ||
    fail "info does not tell the mixture"
for asked in "" "--hide implicit" "--hide shape --payload 3" "--payload full"; do
    "$WIRELM" classify -m mixed -r data/ask/1.pcap $asked >out 2>note || fail "mixed, asked with '$asked': $(cat note)"
done
for asked in "--hide none" "--payload 16"; do
    status=0
    "$WIRELM" classify -m mixed -r data/ask/1.pcap $asked >out 2>note || status=$?
    [ $status = 1 ] && grep -q "trained with" note || fail "mixed, asked with '$asked': $status, $(cat note)"
done
"$WIRELM" train -d in -o more --init mixed --hide ids "${few[@]}" >report 2>note || fail "mixed, inherited: $(cat note)"
"$WIRELM" info more | grep -q '"payload_shares":"8=.6,full=.4"' || fail "shares are not inherited"
"$WIRELM" info more | grep -q hide_shares && fail "one policy alone is no mixture"

# Few labels, and shares of tasks.
"$WIRELM" train -d in -o few --per-label 3 --draw 7 --balance 0 --task-shares mood=2 "${few[@]}" >report 2>note ||
    fail "few labels: $(cat note)"
"$WIRELM" info few | grep -q '"per_label":3,"draw":"7"' || fail "info does not tell the few labels: $("$WIRELM" info few)"
refuse 2 "'--hide'" -d in -o new --hide ids=.5,nothing=.5
refuse 2 "'--hide'" -d in -o new --hide ids,shape
refuse 2 "'--payload'" -d in -o new --payload 64=.5,64=.5
refuse 2 "'--payload'" -d in -o new --payload -1
refuse 2 "at most 1" -d in -o new --alter nat=.7,oneway=.4
refuse 2 "'--alter'" -d in -o new --alter nat=.7,nothing=.1
refuse 2 "'--task-shares'" -d in -o new --task-shares weather=1
refuse 2 "balance" -d in -o new --balance 1.5
refuse 2 "one manner" -d in -o new --unit capture --alter nat
