#!/bin/bash
# bench.sh: wirelm bench: the figures are there, positive and in order; how high they are depends on the machine and
# is never asked.
command -v python3 > /dev/null || { echo "no python3"; exit 77; }
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAILED: $*"; exit 1; }
byte() { printf "\\x$(printf %02x "$1")"; }
le32() { for shift in 0 8 16 24; do byte $(($1 >> shift & 255)); done; }

{ # three packets of no known link type
    le32 0xa1b2c3d4; le32 0x00040002; le32 0; le32 0; le32 65535; le32 147
    for i in 1 2 3; do le32 1700000000; le32 $((i * 1000)); le32 4; le32 4; printf 'E%03d' $i; done
} > a.pcap

"$WIRELM" bench tokens -r a.pcap > a.json 2> progress || fail "bench tokens: $(cat progress)"
python3 - a.json <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["bench"] == "tokens" and report["unit"] == "capture" and report["threads"] == 1, report
assert report["packets"] == 3 and report["bytes"] == 12 and report["runs"] == 5, report
assert report["file_reading_timed"] is False, report
assert {(r["codec"], r["payload"]) for r in report["results"]} == {("bytes", "full"), ("fields", 64), ("fields", "full")}
for result in report["results"]:
    assert result["tokens_per_packet"] > 0, result
    for way in "encode", "decode":
        for rate in "packets_per_s", "mb_per_s":
            r = result[way][rate]
            assert 0 < r["min"] <= r["median"] <= r["max"], result
PYTHON

"$WIRELM" bench tokens -r a.pcap --codec fields --runs 6 2> progress | python3 -c '
import json, sys
report = json.load(sys.stdin)
assert report["runs"] == 6 and [r["codec"] for r in report["results"]] == ["fields", "fields"], report'

"$WIRELM" bench train --preset trafficgpt-nano --context 48 --tokens-per-batch 100 --runs 6 --dump d > train.json \
    2> progress || fail "bench train: $(cat progress)"
"$WIRELM" bench train --preset netgpt-nano --context 32 --tokens-per-batch 32 -r a.pcap > capture.json 2> progress ||
    fail "bench train -r: $(cat progress)"
mkdir many && cp a.pcap many/ && echo "not a capture" > many/README && : > many/empty
"$WIRELM" bench train --preset netgpt-nano --context 32 --tokens-per-batch 32 -r many > folder.json 2> progress ||
    fail "bench train -r of a folder with other files: $(cat progress)"
"$WIRELM" bench train --preset netgpt-nano -r many/README > /dev/null 2> progress && fail "a text was taken for a capture"
"$WIRELM" bench threads --preset wire-nano --threads 2 --context 32 --tokens-per-batch 64 > threads.json 2> progress ||
    fail "bench threads: $(cat progress)"
"$WIRELM" bench length --preset wire-nano --context 64 --short 16 --recompute > again.json 2> progress ||
    fail "bench length --recompute: $(cat progress)"
"$WIRELM" bench length --preset wire-nano --context 64 --short 16 > length.json 2> progress || fail "bench length: $(cat progress)"
yes | "$WIRELM" bench stream --preset wire-nano --context 20 --streams 5 --paced --dump s > stream.json 2> turns ||
    fail "bench stream: $(cat turns)"
"$WIRELM" bench stream --preset wire-nano --context 20 --streams 5 --chunk 7 --ask > packets.json 2> progress ||
    fail "bench stream --chunk --ask: $(cat progress)"
"$WIRELM" bench drift --preset wire-nano --tokens 2048 > drift.json 2> progress || fail "bench drift: $(cat progress)"
python3 - <<'PYTHON'
import json, struct
def in_order(r):
    assert 0 < r["min"] <= r["median"] <= r["max"], r
report = json.load(open("threads.json"))
assert report["threads"] == 2 and report["relative_scaling"] > 0, report
for key in "tokens_per_s_1", "tokens_per_s", "onednn_scaling", "step_scaling", "relative_scaling_spread":
    in_order(report[key])
report = json.load(open("length.json"))
assert report["train_64_over_16"] > 0 and report["infer_64_over_16"] > 0 and report["tokens_per_step"] == 64, report
assert report["infer_64_over_16"] == max(report[k]["median"] for k in ("chunk_ratio", "step_ratio")), report
assert [m["context"] for m in report["memory"]] == [8, 16, 32, 64], report
again = json.load(open("again.json"))
share = again["memory"][-1]["activation_bytes"] / report["memory"][-1]["activation_bytes"]
assert share < 1 and again["recompute_memory_over_plain"] == report["recompute_memory_over_plain"], again
assert abs(share - again["recompute_memory_over_plain"]) < 1e-4, again
assert again["recompute"] is True and report["recompute"] is False, again
memory = [m["activation_bytes"] for m in report["memory"]]
assert all(1.5 * a < b < 2.5 * a for a, b in zip(memory, memory[1:])), report
report = json.load(open("stream.json"))
assert report["streams"] == 5 and report["tokens_before"] == 20 and report["state_bytes"] > 0, report
in_order(report["tokens_per_s"])
assert open("turns").read().split() == ["1/5", "2/5", "3/5", "4/5", "5/5"]
assert b"'shape': (1, 5, 21)" in open("s.npy", "rb").read(128)
report = json.load(open("packets.json"))
assert report["chunk"] == 7 and report["ask"] is True, report
assert abs(report["tokens_per_s"]["median"] / report["chunks_per_s"]["median"] - 7) < 1e-3, report
report = json.load(open("drift.json"))
assert [p["position"] for p in report["points"]] == [1024, 2048] and report["tokens"] == 2048, report
report = json.load(open("train.json"))
assert report["bench"] == "train" and report["preset"] == "trafficgpt-nano" and report["data"] == "synthetic", report
assert (report["context"], report["segments"], report["tokens_per_step"], report["runs"]) == (48, 2, 96, 6), report
for rate in "tokens_per_s", "step_s", "flops_per_s", "onednn_flops_per_s":
    in_order(report[rate])
assert 0 < report["product_time_share"] < 1 and report["gemm_share"] > 0 and report["activation_bytes"] > 0, report
assert len(report["losses"]) == 8 and report["losses"][-1] < report["losses"][0], report
products = sum(2 * p["m"] * p["n"] * p["k"] * p["calls"] for p in report["products"])
assert 0 < products < report["flops_per_token"] * 96, report
assert {p["way"] for p in report["products"]} == {"forward", "backward_input", "backward_weight"}, report
header = struct.unpack("<Q", open("d.safetensors", "rb").read(8))[0]
model = json.loads(open("d.safetensors", "rb").read(8 + header)[8:])
assert json.loads(model["__metadata__"]["config"])["preset"] == "trafficgpt-nano", model
data = open("d.npy", "rb").read()
assert data[:8] == b"\x93NUMPY\x01\x00" and struct.unpack("<H", data[8:10]) == (118,) and data[127:128] == b"\n"
assert eval(data[10:128]) == {"descr": "<i4", "fortran_order": False, "shape": (8, 2, 49)}, data[:128]
assert len(data) == 128 + 8 * 2 * 49 * 4
assert json.load(open("capture.json"))["data"] == "captures"
PYTHON

"$WIRELM" bench quantised --preset wire-nano --codec bytes --context 32 --tokens-per-batch 64 --steps 2 > int8.json \
    2> progress || fail "bench quantised: $(cat progress)"
"$WIRELM" bench quantised -m d.safetensors > /dev/null 2> progress && fail "bench quantised: a checkpoint without a folder"
"$WIRELM" import -o kept --part test a.pcap 2> progress || fail "import: $(cat progress)"
"$WIRELM" bench quantised -m d.safetensors -d kept > int8_model.json 2> progress || fail "bench quantised -m: $(cat progress)"
python3 - <<'PYTHON'
import json
for name in "int8.json", "int8_model.json":
    report = json.load(open(name))
    assert report["scored_tokens"] > 0 and report["bits_per_token"] > 0, report
    assert abs(report["bits_loss"] + 1 - report["bits_per_token_int8"] / report["bits_per_token"]) < 1e-4, report
    assert abs(report["bits_loss"]) < .01, report
    for ratio in "product_ratio", "step_ratio":
        assert set(report[ratio]) == {"2048", "256", "1"} and min(report[ratio].values()) > 0, report
    assert [w["rows"] for w in report["workloads"]] == [2048, 256, 1], report
    for w in report["workloads"]:
        for key in "product_ratio", "step_ratio", "tokens_per_s", "tokens_per_s_int8", "product_tokens_per_s":
            assert 0 < w[key]["min"] <= w[key]["median"] <= w[key]["max"], w
PYTHON

"$WIRELM" bench ablate --help > /dev/null
"$WIRELM" import -o flows --part train a.pcap 2> progress || fail "import: $(cat progress)"
ablate() { "$WIRELM" bench ablate -d flows --split train --tokens 300 --context 64 --window 8 -o rows.jsonl "$@" 2> progress; }
ablate --heads window > first.jsonl || fail "bench ablate: $(cat progress)"
ablate --heads window > again.jsonl || fail "bench ablate again: $(cat progress)"
cmp -s first.jsonl again.jsonl || fail "rows that were done are not run again"
cmp -s first.jsonl rows.jsonl || fail "rows are not written as they are shown"
ablate --heads full --codec bytes > /dev/null || fail "bench ablate full: $(cat progress)"
python3 - <<'PYTHON'
import json
rows = [json.loads(line) for line in open("rows.jsonl")]
assert [(r["heads"], r["codec"], r["roles"]) for r in rows] == [
    ("window", "bytes", False), ("window", "bytes", True), ("window", "fields", False), ("window", "fields", True),
    ("full", "bytes", False), ("full", "bytes", True)], rows
for r in rows:
    assert r["bits_per_byte"] > 0 and r["trained_tokens"] >= 300 and r["train_tokens_per_s"] > 0, r
    assert r["capture_bytes"] == rows[0]["capture_bytes"] and r["activation_bytes"] > 0, r
assert abs(rows[0]["parameters"] / rows[4]["parameters"] - 1) < .01, rows
PYTHON

"$WIRELM" bench classify --preset wire-nano --packets 4 --payload 8 --seconds 1 --open-flows 300 > classify.json \
    2> progress || fail "bench classify: $(cat progress)"
python3 - <<'PYTHON'
import json
report = json.load(open("classify.json"))
assert report["bench"] == "classify" and report["weights"] == "random" and report["traffic"] == "drawn", report
assert report["tokens_per_flow"] > 4 and report["packets_per_flow"] == 4 and report["payload"] == 8, report
rates = report["flows_per_s_runs"]
assert 0 < rates["min"] <= report["flows_per_s"] <= rates["max"], report
assert abs(report["load_flows_per_s"] - report["flows_per_s"] / 2) < 1e-3 * report["flows_per_s"], report
assert 0 < report["p50_ms"] <= report["p99_ms"], report
assert report["open_flows"] == 300 and report["rss_bytes"] > 1 << 20 and "rss_bytes_100k" not in report, report
assert 0 < report["product_share"] <= 1 and report["product_flops_per_flow"] > 0, report
PYTHON

status() { set +e; "$@" > out 2> err; got=$?; set -e; echo $got; }
[ "$(status "$WIRELM" bench tokens -r a.pcap --runs 4)" = 2 ] || fail "four runs make no median"
[ "$(status "$WIRELM" bench tokens -r a.pcap --codec none)" = 2 ] || fail "a codec that is not there"
[ "$(status "$WIRELM" bench train --preset none)" = 2 ] || fail "a preset that is not there"
[ "$(status "$WIRELM" bench length --context 100 --short 30)" = 2 ] || fail "no multiple"
[ "$(status "$WIRELM" bench threads --threads 1)" = 2 ] || fail "one thread does not scale"
[ "$(status "$WIRELM" bench train --runs 1)" = 2 ] || fail "one run makes no median"
[ "$(status "$WIRELM" bench classify --packets 0)" = 2 ] || fail "no packets to label by"
[ "$(status "$WIRELM" bench classify --seconds 0)" = 2 ] || fail "no time to measure in"
[ "$(status "$WIRELM" bench)" = 2 ] || fail "bench what?"
[ "$(status "$WIRELM" bench nothing)" = 2 ] || fail "bench nothing"
head -c 24 a.pcap > empty.pcap
head -c 50 a.pcap > cut.pcap
for bad in empty.pcap cut.pcap absent.pcap; do
    [ "$(status "$WIRELM" bench tokens -r $bad)" = 1 ] || fail "$bad"
    [ -s out ] && fail "$bad prints: $(cat out)"
    [ "$(grep -c . err)" = 1 ] && grep -q "$bad" err || fail "$bad: $(cat err)"
done
