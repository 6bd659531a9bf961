#!/bin/bash
# Which model a command uses where none is named, and models in bf16.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset WIRELM_MODEL
fail() { echo "$*" >&2; exit 1; }
value() { python3 -c 'import json, sys; print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"; }

sample=$WIRELM_ROOT/sample
grep -E '^path|^run01.*,(dns|ntp),' "$sample/labels.csv" >labels.csv
sed -i "2,\$s|^|$sample/|" labels.csv
"$WIRELM" import -o service --task service --labels labels.csv --split flow >/dev/null 2>&1
"$WIRELM" train -d service -o full --preset wire-nano --payload 16 --max-packets 4 --context 128 --steps 2 >/dev/null 2>&1

# bf16: half the size, the same words, the same bytes once more
"$WIRELM" convert -m full -o half >report || fail "convert"
[ "$(value report 'd["dtype"]')" = bf16 ] || fail "convert reports $(cat report)"
[ "$(stat -c %s half)" -lt $(($(stat -c %s full) * 6 / 10)) ] || fail "bf16 is $(stat -c %s half) bytes, f32 $(stat -c %s full)"
"$WIRELM" convert -m half -o wide --dtype f32 >/dev/null && "$WIRELM" convert -m wide -o narrow >/dev/null
cmp half narrow || fail "bf16, f32, bf16 is not the same"
"$WIRELM" info full >full.json && "$WIRELM" info half >half.json
[ "$(value full.json 'd["record"], d["tasks"]')" = "$(value half.json 'd["record"], d["tasks"]')" ] || fail "other words"
[ "$(value half.json 'd["sha256"]')" = "$(sha256sum <half | cut -d' ' -f1)" ] || fail "another hash"
if "$WIRELM" convert -m full -o other --dtype f16 2>note || ! grep -q "cannot be 'f16'" note; then fail "f16: $(cat note)"; fi
# The mean: of a model and itself, that model; of two, half way; of models that differ in shape, none.
"$WIRELM" train -d service -o more --init full --payload 16 --max-packets 4 --context 128 --steps 2 >/dev/null 2>&1
"$WIRELM" convert -m full full -o same --dtype f32 >/dev/null && cmp same full || fail "the mean of a model and itself is another"
"$WIRELM" convert -m full more full more -o mean --dtype f32 >/dev/null || fail "mean of four"
python3 - <<'PY' || fail "the mean is not half way"
import array, json, struct
def values(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    return array.array("f", data[8 + n:])
full, more, mean = map(values, ("full", "more", "mean"))
assert any(a != b for a, b in zip(full, more))
assert all(abs(m - (a + b) / 2) <= 1e-6 * (1 + abs(m)) for a, b, m in zip(full, more, mean))
PY
"$WIRELM" train -d service -o other --preset trafficgpt-nano --payload 16 --max-packets 4 --context 128 --steps 1 >/dev/null 2>&1
if "$WIRELM" convert -m full other -o none 2>note || ! grep -q "different shapes" note; then fail "mean of two shapes: $(cat note)"; fi
python3 - <<'PY'
import json, struct
data = open("half", "rb").read()
header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
header.pop("__metadata__")
for name, t in header.items():
    assert t["dtype"] == ("BF16" if len(t["shape"]) == 2 else "F32"), name
    assert t["data_offsets"][0] % (2 if t["dtype"] == "BF16" else 4) == 0, name
PY

# The program as installed, its model beside it; as built, with the model in the source tree; or WIRELM_MODEL.
capture=$(awk -F, 'NR == 2 { print $1 }' labels.csv)
mkdir -p installed/bin installed/share/wirelm/models tree/build/dev tree/models
cp "$WIRELM" installed/bin/wirelm
cp "$WIRELM" tree/build/dev/wirelm
for program in installed/bin/wirelm tree/build/dev/wirelm; do
    status=0
    $program classify -r "$capture" >out 2>note || status=$?
    [ $status = 1 ] && [ ! -s out ] || fail "no model, and status $status"
    grep -q 'WIRELM_MODEL' note && grep -q 'share/wirelm/models' note && [ "$(wc -l <note)" = 1 ] || fail "$(cat note)"
done
cp half installed/share/wirelm/models/wire-tiny.safetensors
cp half tree/models/wire-tiny.safetensors
id=$(sha256sum <half | cut -d' ' -f1)
for program in installed/bin/wirelm tree/build/dev/wirelm; do
    $program classify -r "$capture" udp port 123 2>/dev/null >labels.jsonl
    grep -q "sha256:$id" labels.jsonl || fail "$program classified with another model: $(head -n 1 labels.jsonl)"
    $program info --model >info.json
    [ "$(value info.json 'd["sha256"]')" = "$id" ] || fail "info --model is of another model"
done
if installed/bin/wirelm generate --flows 1 -w new.pcap >/dev/null 2>note || ! grep -q 'wire-tiny-generate' note; then
    fail "it wrote with a model that labels: $(cat note)"
fi
cp full installed/share/wirelm/models/wire-tiny-generate.safetensors
installed/bin/wirelm generate --flows 1 --max-tokens 64 --random-payload -w new.pcap >/dev/null 2>note || fail "generate: $(cat note)"
ln -s "$PWD/installed/bin/wirelm" linked
./linked info --model --text >table || fail "a link to the program finds no model"
grep -q "sha256  *$id" table && grep -q 'task service' table && grep -Eq 'ntp +[0-9]+ +[0-9]+$' table && grep -q 'hides  *ids' table ||
    fail "$(cat table)"
installed/bin/wirelm evaluate classify -d service --split test >/dev/null 2>note || fail "evaluate: $(cat note)"
[ "$(WIRELM_MODEL=full installed/bin/wirelm info --model | value /dev/stdin 'd["dtype"]')" = f32 ] || fail "WIRELM_MODEL is not heard"
[ "$(WIRELM_MODEL=full installed/bin/wirelm info --model half | value /dev/stdin 'd["dtype"]')" = bf16 ] || fail "a named model is not"
if WIRELM_MODEL=absent installed/bin/wirelm info --model 2>note || ! grep -q '^wirelm: absent: ' note; then fail "$(cat note)"; fi
