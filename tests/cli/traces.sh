#!/bin/bash
# wirelm generate: whole traces: labels in a mix, truth that import reads back, a file per flow, mixed into a capture.
set -eu
command -v python3 >/dev/null || { echo "no python3"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "$*" >&2; exit 1; }
value() { python3 -c 'import json, sys; print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' "$1" "$2"; }
expect() { [ "$(value "$1" "$2")" = "$3" ] || fail "$2 of $1 is '$(value "$1" "$2")', not '$3'"; }
refuse() { # refuse STATUS TEXT ARGUMENT...
    local want=$1 text=$2 got=0
    shift 2
    "$WIRELM" generate "$@" >out 2>note || got=$?
    [ $got = "$want" ] || fail "generate $*: status $got, not $want: $(cat note)"
    grep -q -e "$text" note || fail "generate $*: '$(cat note)' does not say '$text'"
}
# A capture as python sees it: time, packet, link type, comment
cat >see.py <<'PY'
import struct
def packets(path):
    data = open(path, "rb").read()
    if data[:4] == b"\n\r\r\n":
        at, links = 0, []
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            if kind == 1:
                links.append(struct.unpack_from("<H", data, at + 8)[0])
            if kind == 6:
                link, high, low, n, wire = struct.unpack_from("<IIIII", data, at + 8)
                options = data[at + 28 + (n + 3) // 4 * 4:at + size - 4]
                comment = None
                if options:
                    code, length = struct.unpack_from("<HH", options)
                    comment = options[4:4 + length].decode()
                yield (high << 32) + low, data[at + 28:at + 28 + n], links[link], comment
            at += size
        return
    scale = 1 if data[:4] == b"\x4d\x3c\xb2\xa1" else 1000
    at = 24
    while at < len(data):
        s, fraction, n, wire = struct.unpack_from("<IIII", data, at)
        yield s * 10**9 + fraction * scale, data[at + 16:at + 16 + n], struct.unpack_from("<I", data, 20)[0], None
        at += 16 + n
PY

python3 "$WIRELM_ROOT/tests/support/conversations.py" captures
"$WIRELM" import -o data --task app --part train captures >/dev/null 2>&1
"$WIRELM" train -d data -o model --preset wire-nano --context 256 --tokens-per-batch 512 --threads 1 --steps 30 \
    --prompts generate=1 >/dev/null 2>&1 || fail "train"
common=(-m model --max-tokens 150)

# ---- a mix with its truth, in another folder than the capture
mkdir -p made/deep
"$WIRELM" generate "${common[@]}" --labels shell=7,name=5 --rate 50 -w made/deep/mix.pcapng --truth made/truth.csv >report
expect report 'd["flows"]' 12
python3 - <<'PY'
import csv
from see import packets
rows = list(csv.DictReader(open("made/truth.csv")))
assert sorted(r["label"] for r in rows) == ["name"] * 5 + ["shell"] * 7, rows
assert [r["label"] for r in rows] != sorted(r["label"] for r in rows) and {r["path"] for r in rows} == {"deep/mix.pcapng"}, rows
assert [r["start"] for r in rows] == sorted(r["start"] for r in rows) and rows[0]["start"] == "2026-01-01T00:00:00.000000000Z"
seen = list(packets("made/deep/mix.pcapng"))
comments = [p[3] for p in seen if p[3]]
assert sorted(comments) == ["wirelm: app=name"] * 5 + ["wirelm: app=shell"] * 7, comments
assert comments == ["wirelm: app=" + r["label"] for r in rows]
assert len(seen) == sum(int(r["packets"]) for r in rows)
assert [p[0] for p in seen] == sorted(p[0] for p in seen)
PY
"$WIRELM" import -o back --task app --labels made/truth.csv made >imported 2>note || fail "import --labels: $(cat note)"
# The model is hardly trained: packets behind a connection's end are a flow of their own to import.
expect imported 'd["labelled"] >= 12, d["unlabelled_dropped"], d["csv_unmatched"], d["labels"]' "(True, 0, 0, 2)"
"$WIRELM" generate "${common[@]}" --labels shell=7,name=5 --rate 50 -w again.pcapng >/dev/null
cmp made/deep/mix.pcapng again.pcapng || fail "the same seed, another trace"

# ---- a file per flow, which import reads by folder; both forms hold the same packets
"$WIRELM" generate "${common[@]}" --labels shell=7,name=5 --rate 50 --per-flow flows --truth flows.csv >report
[ "$(find flows -name '*.pcap' | wc -l)" = 12 ] && [ "$(find flows/shell -name '*.pcap' | wc -l)" = 7 ] || fail "$(find flows)"
"$WIRELM" import -o back --task app --labels flows.csv >imported 2>note || fail "import --labels: $(cat note)"
expect imported 'd["files"], d["labelled"] >= 12, d["unlabelled_dropped"], d["csv_unmatched"]' "(12, True, 0, 0)"
"$WIRELM" import -o back --task app flows >imported 2>note
expect imported 'd["labelled"] >= 12, d["labels"]' "(True, 2)"
python3 - <<'PY'
import glob
from see import packets
apart = sorted((p[0], p[1]) for f in glob.glob("flows/*/*.pcap") for p in packets(f))
assert apart == sorted((p[0], p[1]) for p in packets("made/deep/mix.pcapng"))
PY

# ---- rate and duration
"$WIRELM" generate "${common[@]}" --label name --rate 10 --duration 3 -w long.pcap >report
expect report '15 <= d["flows"] <= 50' True
"$WIRELM" generate "${common[@]}" --labels name=1,shell=1 --flows 0 --duration 1m -w spread.pcap --truth spread.csv >report
expect report 'd["flows"]' 2

# ---- each flow one of several, like the training flows
"$WIRELM" generate "${common[@]}" --max-tokens 40 --label name --flows 6 --like data --candidates 3 -w like.pcap >report
expect report 'd["flows"], d["candidates"]' '(6, 1012)'

# ---- mixed into a capture whose addresses are those that would be drawn: its packets stay, no flow meets another
python3 - <<'PY'
import struct
def packet(a, b, text):
    udp = struct.pack(">HHHH", 50000, 53, 8 + len(text), 0) + text
    ip = struct.pack(">BBHHHBBH4s4s", 69, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(a), bytes(b)) + udp
    return b"\2" * 12 + b"\x08\0" + ip
for name, link, skip in ("ethernet", 1, 0), ("raw", 101, 14):
    with open(f"{name}.pcap", "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link))
        for i in range(240):
            p = packet([192, 0, 2, 1 + i], [198, 51, 100, 9], b"real")[skip:]
            f.write(struct.pack("<IIII", 1700000000 + i // 4 - (i % 50 == 49), 0, len(p), len(p)) + p)
PY
for into in ethernet.pcap:mixed.pcap ethernet.pcap:mixed.pcapng raw.pcap:mixed-raw.pcapng; do
    "$WIRELM" generate "${common[@]}" --labels shell=5,name=15 --merge ${into%:*} -w ${into#*:} --truth mixed.csv >report 2>note ||
        fail "--merge ${into%:*}: $(cat note)"
    python3 - ${into%:*} ${into#*:} <<'PY'
import csv, sys
from see import packets
real = [p[:3] for p in packets(sys.argv[1])]
both = list(packets(sys.argv[2]))
rows = list(csv.DictReader(open("mixed.csv")))
kept = {(p[0], p[1]) for p in real}
assert [p[:3] for p in both if (p[0], p[1]) in kept] == real, "packets of the capture were changed"
made = [p for p in both if (p[0], p[1]) not in kept]
assert len(made) == sum(int(r["packets"]) for r in rows) and all(p[2] == 1 for p in made)
assert [p[0] for p in made] == sorted(p[0] for p in made)
times = sorted(p[0] for p in real)
starts = [p[0] for p in made if p[3]] or [times[0]]
assert times[0] <= min(starts) and max(starts) <= times[-1]
there = {f"192.0.2.{1 + i}" for i in range(240)} | {"198.51.100.9"}
assert not there & {r["src_ip"] for r in rows} and not there & {r["dst_ip"] for r in rows}
assert len({(r["src_ip"], r["src_port"]) for r in rows}) == 20
PY
done
"$WIRELM" import -o back --task app --labels mixed.csv >imported 2>note
expect imported 'd["labelled"] >= 20, d["unlabelled_dropped"], d["csv_unmatched"]' "(True, 240, 0)"
if command -v tshark >/dev/null; then
    tshark -r made/deep/mix.pcapng -Y frame.comment -T fields -e frame.comment 2>/dev/null | sort | uniq -c | grep -q '7 wirelm: app=shell' ||
        fail "tshark reads other comments"
    tshark -r mixed.pcap -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE \
        -Y 'ip.checksum.status == 0 && !(ip.addr == 198.51.100.9)' 2>/dev/null | grep . && fail "tshark finds wrong checksums"
fi

# ---- refused
refuse 2 "be like" "${common[@]}" --candidates 3 -w x.pcap
refuse 1 "absent" "${common[@]}" --label name --like absent -w x.pcap
refuse 1 "not Ethernet" "${common[@]}" --merge raw.pcap -w x.pcap
refuse 1 "absent" "${common[@]}" --merge absent -w x.pcap
refuse 2 "read twice" "${common[@]}" --merge - -w x.pcap
refuse 2 "no addresses left" "${common[@]}" --merge ethernet.pcap --net 198.51.100.8/31 -w x.pcap
refuse 2 "standard output has no name" "${common[@]}" --truth x.csv -w -
refuse 2 "no file to write" "${common[@]}" --label name
refuse 2 "cannot be 'name'" "${common[@]}" --labels name -w x.pcap
refuse 2 "cannot be 'name=0'" "${common[@]}" --labels name=0 -w x.pcap
refuse 2 "no label 'telnet'" "${common[@]}" --labels name=1,telnet=1 -w x.pcap
refuse 2 "either one label" "${common[@]}" --labels name=1 --label name -w x.pcap
refuse 2 "exclude each other" "${common[@]}" --complete --allow-cut -w x.pcap
refuse 2 "two of them give the third" "${common[@]}" --flows 3 --rate 1 --duration 1 -w x.pcap
[ ! -e x.pcap ] && [ ! -e x.csv ] || fail "a failed run left a file"

# ---- payload that the model never saw
"$WIRELM" train -d data -o lossy --preset wire-nano --payload 8 --context 256 --tokens-per-batch 512 --threads 1 --steps 5 \
    --prompts generate=1 >/dev/null 2>&1
refuse 1 "random-payload" -m lossy -w x.pcap
"$WIRELM" generate -m lossy --random-payload --max-tokens 150 -w chance.pcap >report 2>note
grep -q 'first 8 bytes' note || fail "no word of random payload: $(cat note)"
