#!/bin/bash
# wirelm train under mpirun: two ranks give one rank's loss curve, resume to the same bytes, and fail as one.
set -eu
command -v mpirun >/dev/null || { echo "no mpirun here"; exit 77; }
"$WIRELM" info --build | grep -q '"mpi"' || { echo "built without MPI"; exit 77; }
case "$WIRELM" in *asan*) echo "the sanitizers report what the MPI library itself leaks"; exit 77 ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
# One memory is all that the ranks share here: quiet about ways to reach it that a container forbids.
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none

fail() {
    echo "$1" >&2
    exit 1
}
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

two=(mpirun --allow-run-as-root --oversubscribe -n 2)
train=("$WIRELM" train --codec bytes --context 128 --tokens-per-batch 256 --threads 1 --steps 16 --learning-rate 1e-3)
"${train[@]}" -d in -o one --accumulate 4 --log one.log >one.out 2>note || fail "one rank: $(cat note)"
"${two[@]}" "${train[@]}" -d in -o two --accumulate 2 --log two.log >two.out 2>note || fail "two ranks: $(cat note)"
"${two[@]}" "${train[@]}" -d in -o half --accumulate 2 --reduce bf16 --log half.log >half.out 2>note ||
    fail "two ranks, bf16: $(cat note)"
python3 - <<'PY'
import json
def curve(name):
    return [json.loads(line) for line in open(name)]
one, two, half = curve("one.log"), curve("two.log"), curve("half.log")
assert len(one) == len(two) == len(half) == 16
for a, b, c in zip(one, two, half):
    assert a["tokens"] == b["tokens"] == c["tokens"], (a, b, c)
    assert abs(a["loss"] - b["loss"]) < 1e-3 * a["loss"], (a, b)
    assert abs(a["loss"] - c["loss"]) < 1e-2 * a["loss"], (a, c)
assert one[-1]["loss"] < 0.8 * one[0]["loss"]
assert [a["loss"] for a in one] != [c["loss"] for c in half]
report = json.load(open("two.out"))
assert report["ranks"] == 2 and report["steps"] == 16 and report["loss_val"] is not None, report
PY

# stopped, and taken up by as many ranks: the same bytes; by one: refused
"${two[@]}" "${train[@]}" -d in -o stopped --accumulate 2 --save-every 0.05 >/dev/null 2>note &
pid=$!
for _ in $(seq 600); do
    [ ! -e stopped.resume ] && kill -0 $pid 2>/dev/null || break
    sleep 0.05
done
kill -TERM $pid 2>/dev/null || true
wait $pid || true
if [ -e stopped.resume ]; then
    got=0
    "${train[@]}" -d in -o stopped --accumulate 2 --resume >/dev/null 2>note || got=$?
    [ $got = 2 ] && grep -q "another number of ranks: the run had 2" note || fail "resumed by one rank: $got, $(cat note)"
    "${two[@]}" "${train[@]}" -d in -o stopped --accumulate 2 --resume >/dev/null 2>note || fail "resume: $(cat note)"
fi
cmp two stopped || fail "stopped and resumed is not the same as straight"

# What fails on one rank ends all, with one line of ours.
refuse() { # refuse STATUS TEXT OPTION...: the options of rank 1
    local want=$1 text=$2 got=0
    shift 2
    mpirun --allow-run-as-root --oversubscribe -n 1 "${train[@]}" -d in -o new : -n 1 "${train[@]}" -o new "$@" \
        >out 2>note || got=$?
    [ $got = "$want" ] || fail "rank 1 with $*: status $got, not $want: $(cat note)"
    [ "$(grep -c '^wirelm: ' note)" = 1 ] && grep -q -e "^wirelm: .*$text" note || fail "rank 1 with $*: $(cat note)"
    [ ! -s out ] && [ ! -e new ] || fail "rank 1 with $*: left an output"
}
refuse 1 "rank 1: " -d absent
refuse 2 "the ranks differ in their options or data" -d in --seed 2
got=0
"${two[@]}" "${train[@]}" -d in -o new --learning-rate 1e30 >out 2>note || got=$?
[ $got = 1 ] && [ "$(grep -c '^wirelm: training diverged' note)" = 1 ] || fail "diverged: $got, $(cat note)"
